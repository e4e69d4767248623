"""The wall clock jumps by hours: a timer fires once, never before its time, and never does one fail to fire.

``time_machine`` moves the wall clock of this process and leaves the monotonic one alone, as a wrong NTP server does.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
import time_machine

from actors.runtime import agenda as agenda_module
from protocol.errors import Unauthenticated
from protocol.ids import SessionId, UserId
from protocol.roles import Role
from protocol.user.views import SessionGrant
from server.accounts.keys import load_keys
from server.accounts.tokens import TokenService
from storage.database import Pool
from tests.support.faults import until
from tests.support.runtime import Node, make_runtime
from tests.support.sample_actors import ACTORS, AddLater, Candidates, Known, Look, know_nobody, know_one
from tests.support.sample_decisions import declared

HOUR = timedelta(hours=1)
EVERY_S = 0.05
Wall = Any  # time_machine names its type nowhere


@pytest.fixture(autouse=True)
def catalogue() -> Any:
    with declared():
        yield


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The wall clock, which goes on and can be shifted; the agenda looks around more often than usual."""
    monkeypatch.setattr(agenda_module, "SCAN_EVERY_S", EVERY_S)
    monkeypatch.setattr(agenda_module, "SWEEP_EVERY_S", EVERY_S)
    with time_machine.travel(datetime.now(UTC), tick=True) as wall:
        yield wall


@pytest.fixture
async def node(wall: Wall, database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    async with make_runtime(database_dsn, pool, ACTORS, {Known: know_one, Candidates: know_nobody}) as node:
        yield node


async def events(pool: Pool, counter: UUID) -> int:
    """How often the counter has moved; setting its timer counts once."""
    count: int = await pool.fetchval("SELECT count(*) FROM journal WHERE id = $1", counter)
    return count


async def add_later(node: Node, after: timedelta) -> UUID:
    counter = uuid4()
    outcome = await node.send(AddLater(booking_id=counter, after_s=after.total_seconds()))
    assert outcome.error is None, outcome
    return counter


async def looked_around(node: Node, times: int = 3) -> None:
    """Wait until the agenda has looked for overdue rows some more times."""
    seen = asyncio.Semaphore(0)
    load_due = node.agenda._load_due

    async def watched(*args: Any) -> Any:
        seen.release()
        return await load_due(*args)

    node.agenda._load_due = watched
    async with asyncio.timeout(30):
        for _ in range(2 * times):
            await seen.acquire()
    node.agenda._load_due = load_due
    await node.runtime.drain()


async def fired(pool: Pool, *counters: UUID) -> None:
    """Wait until each timer has had its effect."""
    for counter in counters:

        async def moved(counter: UUID = counter) -> bool:
            return await events(pool, counter) >= 2

        await until(moved)


async def test_a_jump_forward_fires_what_is_overdue_and_nothing_else(wall: Wall, node: Node, pool: Pool) -> None:
    near, far, later = [await add_later(node, after) for after in (HOUR / 60, 2 * HOUR, 9 * HOUR)]
    assert node.agenda.jobs == 1  # the others are beyond the horizon

    wall.shift(5 * HOUR)

    await fired(pool, near, far)
    await looked_around(node)
    assert [await events(pool, counter) for counter in (near, far, later)] == [2, 2, 1]


async def test_a_jump_back_fires_nothing_early_and_everything_at_its_time(wall: Wall, node: Node, pool: Pool) -> None:
    near, far = [await add_later(node, after) for after in (HOUR / 60, 2 * HOUR)]

    wall.shift(-3 * HOUR)
    await looked_around(node)
    assert [await events(pool, counter) for counter in (near, far)] == [1, 1]

    wall.shift(3 * HOUR + HOUR / 30)
    await fired(pool, near)
    assert await events(pool, far) == 1
    wall.shift(2 * HOUR)
    await fired(pool, far)
    await looked_around(node)
    assert [await events(pool, counter) for counter in (near, far)] == [2, 2]


async def test_after_a_jump_back_what_falls_due_is_not_left_until_the_clock_has_caught_up(
    wall: Wall, node: Node, pool: Pool
) -> None:
    wall.shift(-3 * HOUR)
    counter = uuid4()

    await pool.execute(  # by another node: only the sweeper can find it
        "INSERT INTO agenda (id, kind, actor_id, due_at, command, payload, cause)"
        " VALUES ($1, 'booking', $2, $3, 'counter.add', $4, '')",
        *(uuid4(), counter, datetime.now(UTC) - HOUR, f'{{"booking_id":"{counter}"}}'),
    )

    async def there() -> bool:
        return await events(pool, counter) == 1

    await until(there)


async def test_a_clock_that_jumps_to_and_fro_fires_each_timer_once(wall: Wall, node: Node, pool: Pool) -> None:
    counters = [await add_later(node, nth * HOUR / 2) for nth in range(1, 9)]

    for hours in (3, -5, 4, -1, 6, -8, 9):
        wall.shift(hours * HOUR)
        await looked_around(node, times=1)
    await fired(pool, *counters)

    await looked_around(node)
    assert [await events(pool, counter) for counter in counters] == [2] * len(counters)
    assert await pool.fetchval("SELECT count(*) FROM agenda") == 0


async def test_ids_stay_unique_however_the_clock_jumps(wall: Wall, node: Node) -> None:
    instant = datetime.now(UTC)
    ids: list[UUID] = []
    for hours in (0, 5, -5, -9, 9):
        wall.move_to(instant + hours * HOUR, tick=False)  # the same milliseconds again
        ids += [node.runtime.new_id() for _ in range(2_000)]

    assert len(set(ids)) == len(ids)
    assert {made.version for made in ids} == {7}


async def test_commands_are_decided_while_the_clock_jumps(wall: Wall, node: Node) -> None:
    counter = await add_later(node, 9 * HOUR)
    for hours in (7, -20, 3):
        wall.shift(hours * HOUR)

        fresh = await node.send(Look(booking_id=counter))
        again = await node.send(Look(booking_id=counter), key="the same")

        assert (fresh.error, fresh.version, fresh.replayed) == (None, 1, False)
        assert (again.error, again.version, again.replayed) == (None, 1, hours != 7), "sent again it is the same one"


def test_a_revoked_token_stays_revoked_however_the_clock_jumps(wall: Wall, tmp_path: Any) -> None:
    tokens = TokenService(load_keys(tmp_path), lifetime_s=600)
    grant = partial(
        SessionGrant, role=Role.CUSTOMER, roles=(Role.CUSTOMER,), business_id=None, manager=False, roles_version=1
    )
    mine, others = [SessionId(uuid4()) for _ in range(2)]
    user_id = UserId(uuid4())
    token = tokens.issue(user_id, grant(session_id=mine))
    tokens._revoke(user_id, mine)

    for hours in (2, -2):
        wall.shift(hours * HOUR)
        tokens._revoke(user_id, others)  # makes room
        with pytest.raises(Unauthenticated):
            tokens.verify(token)
