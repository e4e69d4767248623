"""The agenda: each row has its effect once, on time, whatever dies or races in between (rule G-6)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from actors.runtime import agenda as agenda_module
from actors.runtime.call import Outcome, Published
from actors.runtime.limits import CRASHES_MAX, SWEEP_EVERY_S
from protocol.errors import Busy
from protocol.registry import Command
from storage.database import Pool
from tests.support.runtime import Node, make_runtime
from tests.support.sample_actors import (
    ACTORS,
    Add,
    AddLater,
    Candidates,
    Forget,
    Known,
    Look,
    Tell,
    know_nobody,
    know_one,
)
from tests.support.sample_decisions import HANG_S, declared

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def catalogue() -> Any:
    with declared():
        yield


@pytest.fixture
def start(database_dsn: str, pool: Pool) -> Callable[[], AbstractAsyncContextManager[Node]]:
    """Starts a node on the test's database."""
    return partial(make_runtime, database_dsn, pool, ACTORS, {Known: know_one, Candidates: know_nobody})


@pytest.fixture
async def node(start: Callable[[], AbstractAsyncContextManager[Node]]) -> AsyncIterator[Node]:
    async with start() as node:
        yield node


async def send(node: Node, command: Command) -> Outcome:
    outcome = await node.send(command)
    assert outcome.error is None, outcome
    return outcome


async def value(node: Node, counter: UUID) -> int:
    state = await node.pool.fetchval("SELECT state->>'value' FROM actors WHERE id = $1", counter)
    return int(state or 0)


async def rows(pool: Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM agenda")
    return count


async def pass_time(node: Node, by: timedelta) -> None:
    """Advance, and wait for what fires; unlike ``Node.advance`` not until nothing is due."""
    node.clock.advance(by)
    await node.agenda.time_moved()
    await node.runtime.drain()


async def heard(node: Node, version: int) -> Published:
    """The event that brings an actor to the version, as soon as it is published."""
    found: asyncio.Future[Published] = asyncio.get_running_loop().create_future()

    def publish(published: Published) -> None:
        if published.version == version and not found.done():
            found.set_result(published)

    node.runtime.publish = publish
    async with asyncio.timeout(HANG_S):
        return await found


# On time


async def test_a_timer_fires_when_it_is_due_and_not_before(node: Node) -> None:
    counter = uuid4()
    fired = asyncio.create_task(heard(node, 2))
    await asyncio.sleep(0)
    set_at = datetime.now().astimezone()

    await send(node, AddLater(booking_id=counter, after_s=0.2))

    assert (await fired).at - set_at >= timedelta(seconds=0.2)
    await node.runtime.drain()
    assert (await value(node, counter), await rows(node.pool)) == (1, 0)


async def test_advancing_the_clock_fires_what_is_due_by_then(node: Node) -> None:
    near, far = uuid4(), uuid4()
    await send(node, AddLater(booking_id=near, after_s=50))
    await send(node, AddLater(booking_id=far, after_s=500))

    await node.advance(MINUTE)
    assert (await value(node, near), await value(node, far)) == (1, 0)

    await node.advance(10 * MINUTE)
    assert (await value(node, far), await rows(node.pool)) == (1, 0)


async def test_a_timer_set_again_replaces_the_old_one(node: Node) -> None:
    counter = uuid4()
    await send(node, AddLater(booking_id=counter, after_s=50, amount=1))
    await send(node, AddLater(booking_id=counter, after_s=500, amount=10))

    await node.advance(MINUTE)
    assert await value(node, counter) == 0

    await node.advance(10 * MINUTE)
    assert await value(node, counter) == 10


async def test_a_cancelled_timer_never_fires(node: Node) -> None:
    counter = uuid4()
    await send(node, AddLater(booking_id=counter, after_s=50))
    await send(node, Forget(booking_id=counter))

    await node.advance(MINUTE)

    assert (await value(node, counter), await rows(node.pool)) == (0, 0)


async def test_of_cancelling_and_firing_exactly_one_wins(node: Node) -> None:
    for _ in range(20):
        counter = uuid4()
        await send(node, AddLater(booking_id=counter, after_s=50))
        node.clock.advance(MINUTE)

        await asyncio.gather(node.agenda.time_moved(), send(node, Forget(booking_id=counter)))
        await node.runtime.drain()

        events = "SELECT data->>'value' FROM journal WHERE id = $1 ORDER BY version"
        values = [row[0] for row in await node.pool.fetch(events, counter)]
        assert values in (["0", "0"], ["0", "1", "1"])  # set, (fired,) cancelled
        assert await rows(node.pool) == 0


async def test_a_timer_that_its_actor_refuses_is_done_and_the_refusal_is_kept(node: Node) -> None:
    counter = uuid4()
    await send(node, AddLater(booking_id=counter, after_s=50, amount=-1))

    await node.advance(MINUTE)

    assert await rows(node.pool) == 0
    assert await node.pool.fetchval("SELECT reply FROM command_log WHERE refused") is not None


async def test_a_timer_past_its_last_moment_is_skipped_and_that_is_kept(node: Node) -> None:
    counter = uuid4()
    await send(node, AddLater(booking_id=counter, after_s=50, expires_after_s=55))
    await send(node, Add(booking_id=counter, amount=5))

    await node.advance(MINUTE)

    assert (await value(node, counter), await rows(node.pool)) == (5, 0)
    reply = await node.pool.fetchval("SELECT reply FROM command_log WHERE refused")
    assert '"skipped"' in reply


async def test_a_skip_that_finds_the_committer_busy_comes_again(node: Node) -> None:
    counter = uuid4()
    await send(node, AddLater(booking_id=counter, after_s=50, expires_after_s=55))
    submit = node.agenda._submit

    def busy(*args: object) -> None:
        raise Busy(queue="commit")

    node.agenda._submit = busy
    await pass_time(node, MINUTE)
    assert await rows(node.pool) == 1

    node.agenda._submit = submit
    await node.agenda.sweep(0.0)
    await node.at_rest()
    assert await rows(node.pool) == 0


# Messages


async def test_a_message_is_applied_once_however_often_it_is_delivered(node: Node) -> None:
    sender, receiver = uuid4(), uuid4()
    deliver = node.runtime.send

    def deliver_twice(effect: Any, cause: str) -> None:
        deliver(effect, cause)
        deliver(effect, cause)

    node.runtime.send = deliver_twice
    await send(node, Tell(booking_id=sender, other_id=receiver, amount=3))
    await asyncio.gather(node.agenda.sweep(0.0), node.agenda.sweep(0.0))
    await node.at_rest()

    assert (await value(node, receiver), await rows(node.pool)) == (3, 0)


async def test_a_message_is_applied_once_though_two_nodes_deliver_it(
    start: Callable[[], AbstractAsyncContextManager[Node]], pool: Pool
) -> None:
    receivers = [uuid4() for _ in range(30)]
    async with start() as first, start() as second:
        first.runtime.send = lambda effect, cause: None
        for receiver in receivers:
            await send(first, Tell(booking_id=uuid4(), other_id=receiver))
        await asyncio.gather(first.agenda.sweep(0.0), second.agenda.sweep(0.0))
        await first.at_rest()

        assert [await value(first, receiver) for receiver in receivers] == [1] * len(receivers)


async def test_a_message_that_was_sent_before_a_crash_is_delivered_after_it(
    start: Callable[[], AbstractAsyncContextManager[Node]], pool: Pool
) -> None:
    receiver = uuid4()
    async with start() as first:
        first.runtime.send = lambda effect, cause: None  # dies before it can
        await send(first, Tell(booking_id=uuid4(), other_id=receiver))

    async with start() as second:
        await second.at_rest()
        assert await value(second, receiver) == 1


async def test_timers_outlive_a_restart(start: Callable[[], AbstractAsyncContextManager[Node]]) -> None:
    counter = uuid4()
    async with start() as first:
        await send(first, AddLater(booking_id=counter, after_s=50))

    async with start() as second:
        assert second.agenda.jobs == 1
        await second.advance(MINUTE)
        assert await value(second, counter) == 1


async def test_the_sweeper_takes_over_what_another_process_left(
    start: Callable[[], AbstractAsyncContextManager[Node]],
) -> None:
    counter = uuid4()
    async with start() as first, start() as second:
        first.runtime.scheduled = lambda to, effect: None  # it will never ring
        await send(first, AddLater(booking_id=counter, after_s=1))
        second.clock.advance(MINUTE)

        await second.agenda.sweep()
        await second.at_rest()

        assert await value(second, counter) == 1


# Trouble


async def test_a_row_that_crashes_its_actor_is_put_away_after_some_tries(node: Node) -> None:
    counter = uuid4()
    await send(node, AddLater(booking_id=counter, after_s=50, command="crash"))
    for tries in range(CRASHES_MAX):
        assert await node.pool.fetchval("SELECT count(*) FROM agenda_quarantine") == 0, tries
        await pass_time(node, timedelta(seconds=SWEEP_EVERY_S * 2**CRASHES_MAX))
    await asyncio.gather(*node.agenda._tasks)

    assert await rows(node.pool) == 0
    assert await node.pool.fetchval("SELECT error FROM agenda_quarantine") is not None
    await send(node, Add(booking_id=counter))


async def test_a_row_that_crashed_rests_before_its_next_try(node: Node) -> None:
    await send(node, AddLater(booking_id=uuid4(), after_s=50, command="crash"))
    await pass_time(node, MINUTE)
    for _ in range(CRASHES_MAX):
        await node.agenda.sweep(0.0)
        await node.agenda.scan()
        await node.runtime.drain()

    assert await rows(node.pool) == 1


async def test_crashes_of_a_row_that_was_cancelled_are_forgotten(node: Node) -> None:
    counter = uuid4()
    await send(node, AddLater(booking_id=counter, after_s=50, command="crash"))
    await pass_time(node, MINUTE)
    assert len(node.agenda._crashes) == 1
    await node.agenda.sweep(0.0)
    assert len(node.agenda._crashes) == 1  # it is there still

    await send(node, Forget(booking_id=counter))
    await node.agenda.sweep(0.0)

    assert len(node.agenda._crashes) == 0


async def test_an_observer_of_lateness_that_crashes_costs_no_timer(node: Node) -> None:
    def crash(late_s: float) -> None:
        raise RuntimeError("a bug in a metric")

    counter = uuid4()
    node.agenda._observe_lateness = crash
    await send(node, AddLater(booking_id=counter, after_s=50))

    await node.advance(MINUTE)

    assert await value(node, counter) == 1


async def test_a_row_that_nobody_can_read_holds_up_nobody(node: Node) -> None:
    counter = uuid4()
    for name, command in ((None, "nobody.knows"), (None, "counter.add")):
        await node.pool.execute(
            "INSERT INTO agenda (id, kind, actor_id, name, due_at, command, payload, cause)"
            " VALUES ($1, 'booking', $2, $3, now() - interval '1 minute', $4, $5, '')",
            *(uuid4(), counter, name, command, f'{{"booking_id":"{counter}"}}'),
        )

    await node.agenda.sweep()
    await node.runtime.drain()

    assert await value(node, counter) == 1
    assert [row["command"] for row in await node.pool.fetch("SELECT command FROM agenda")] == ["nobody.knows"]


async def test_only_so_many_rows_are_fired_at_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda_module, "FIRING_MAX", 7)
    counters = [uuid4() for _ in range(50)]
    for counter in counters:
        await node.pool.execute(
            "INSERT INTO agenda (id, kind, actor_id, due_at, command, payload, cause)"
            " VALUES ($1, 'booking', $2, now() - interval '1 minute', 'counter.add', $3, '')",
            *(uuid4(), counter, f'{{"booking_id":"{counter}"}}'),
        )
    most = 0
    submit = node.runtime.submit

    def watch(call: Any) -> None:
        nonlocal most
        submit(call)
        most = max(most, node.runtime.in_flight)

    node.runtime.submit = watch  # type: ignore[method-assign]  # looks on
    await node.agenda.sweep()
    await node.at_rest()

    assert most == 7
    assert [await value(node, counter) for counter in counters] == [1] * len(counters)


async def test_the_clock_holds_only_so_many_timers_those_due_soonest(
    start: Callable[[], AbstractAsyncContextManager[Node]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda_module, "CLOCK_JOBS_MAX", 3)
    counters = [uuid4() for _ in range(6)]
    async with start() as node:
        for nth, counter in enumerate(reversed(counters)):
            await send(node, AddLater(booking_id=counter, after_s=50 - nth))
        assert node.agenda.jobs == 3
        assert node.agenda._upcoming.last is not None
        assert node.agenda._upcoming.last[0] - node.clock.now() < timedelta(seconds=48)

        await node.advance(MINUTE)

        assert [await value(node, counter) for counter in counters] == [1] * len(counters)
        assert (await node.send(Look(booking_id=counters[0]))).error is None


async def test_a_timer_that_is_due_before_all_others_fires_on_time_though_the_clock_is_full(
    start: Callable[[], AbstractAsyncContextManager[Node]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("SCAN_EVERY_S", 10 * HANG_S), ("SWEEP_EVERY_S", 10 * HANG_S), ("CLOCK_JOBS_MAX", 2)):
        monkeypatch.setattr(agenda_module, name, seconds)
    async with start() as node:
        for _ in range(5):
            await send(node, AddLater(booking_id=uuid4(), after_s=60))
        urgent = uuid4()
        fired = asyncio.create_task(heard(node, 2))
        await send(node, AddLater(booking_id=urgent, after_s=0.1))

        await fired
        await node.runtime.drain()

        assert await value(node, urgent) == 1
        assert await rows(node.pool) == 5


async def test_an_alarm_that_got_lost_is_set_again(
    start: Callable[[], AbstractAsyncContextManager[Node]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda_module, "SWEEP_EVERY_S", 10 * HANG_S)
    counter = uuid4()
    async with start() as node:
        await send(node, AddLater(booking_id=counter, after_s=60))
        node.agenda._scheduler.remove_job("alarm")
        node.agenda._alarm_at = datetime.now(UTC) - MINUTE
        fired = asyncio.create_task(heard(node, 2))

        node.clock.advance(MINUTE)  # without a word to the agenda: only the alarm can fire it
        await node.agenda.scan()

        assert (await fired).to.id == counter


async def test_what_found_the_clock_full_is_loaded_as_soon_as_there_is_room(
    start: Callable[[], AbstractAsyncContextManager[Node]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda_module, "CLOCK_JOBS_MAX", 4)
    monkeypatch.setattr(agenda_module, "SCAN_EVERY_S", 10 * HANG_S)
    monkeypatch.setattr(agenda_module, "SWEEP_EVERY_S", 10 * HANG_S)
    counters = [uuid4() for _ in range(12)]
    async with start() as node:
        for nth, counter in enumerate(counters):
            await send(node, AddLater(booking_id=counter, after_s=0.2 + 0.02 * nth))
        async with asyncio.timeout(HANG_S):
            while await rows(node.pool):
                await asyncio.sleep(0.01)
        await node.runtime.drain()

        assert [await value(node, counter) for counter in counters] == [1] * len(counters)
