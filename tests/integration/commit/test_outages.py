"""Connections break, the database restarts, a batch is refused for the moment: each effect comes once (rule G-1)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psutil
import pytest

from protocol.effects import Decision, ReserveSlot
from protocol.errors import Unavailable
from protocol.ids import UserId
from storage.batch import BATCH_MAX
from storage.commit import RETRIES_MAX, Committer, connect_committer
from storage.database import Pool, connect, connect_pool
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate
from storage.outcomes import OK, STALE, Committed
from tests.support.commit_model import CommitModel, read_model
from tests.support.process import readable_directory
from tests.support.proxy import Cut, Proxy, proxied
from tests.support.sample_decisions import HANG_S, NOW, ROWS_DDL, booking, commit, make_decision, running, statuses

ANNA, BEN = UserId(uuid4()), UserId(uuid4())


@pytest.fixture
async def proxy(database_dsn: str, pool: Pool) -> AsyncIterator[tuple[Proxy, Committer]]:
    """A proxy that can cut, and a committer that goes through it."""
    await pool.execute(ROWS_DDL)
    with TemporaryDirectory(prefix="gw-") as directory:
        async with proxied(database_dsn, Path(directory)) as (proxy, dsn), running(dsn) as committer:
            yield proxy, committer


def some_decisions() -> list[Decision]:
    """A chain of two, one that claims time, and a refusal."""
    first, free = make_decision(booking(), audiences=[[ANNA, BEN]]), booking()
    slot = ReserveSlot(uuid4(), ANNA, free, NOW, NOW + timedelta(hours=1))
    return [
        first,
        make_decision(first.to, first, audiences=[[ANNA], [BEN]]),
        make_decision(free, effects=[slot], audiences=[[BEN]]),
        make_decision(booking(), audiences=()),
    ]


async def assert_kept_once(pool: Pool, decisions: list[Decision], outcomes: list[Committed]) -> None:
    expected = CommitModel()
    for decision, outcome in zip(decisions, outcomes, strict=True):
        assert outcome.status == expected.apply(decision) == OK
    assert [list(outcome.seqs) for outcome in outcomes] == [[1, 1], [2, 2], [3], []]
    real = await read_model(pool)
    assert {**vars(real), "journal": sorted(real.journal)} == {**vars(expected), "journal": sorted(expected.journal)}


@pytest.mark.parametrize("when", [Cut.BEFORE_SENDING, Cut.BEFORE_REPLY])
async def test_a_cut_call_has_its_effect_once(proxy: tuple[Proxy, Committer], pool: Pool, when: Cut) -> None:
    wire, committer = proxy
    decisions = some_decisions()
    wire.arm(when)

    outcomes = await commit(committer, *decisions)

    assert wire.cut.is_set()
    await assert_kept_once(pool, decisions, outcomes)


async def test_a_call_that_still_runs_when_it_is_repeated_is_known_as_our_own(
    proxy: tuple[Proxy, Committer], pool: Pool
) -> None:
    wire, committer = proxy
    first = make_decision(booking())
    await commit(committer, first)
    slot = ReserveSlot(uuid4(), ANNA, first.to, NOW, NOW + timedelta(hours=1))
    second = make_decision(first.to, first, audiences=[[ANNA]], effects=[slot])
    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM actors FOR UPDATE")
        wire.arm(Cut.WHILE_RUNNING)
        answer = asyncio.create_task(commit(committer, second))
        await until_blocked(pool, 2)

    (outcome,) = await answer

    assert (outcome.status, list(outcome.seqs)) == (OK, [1])
    assert (await read_model(pool)).actors == {first.to: (2, second.stamp)}


async def test_what_another_process_did_meanwhile_is_not_taken_for_our_own(
    proxy: tuple[Proxy, Committer], pool: Pool, database_dsn: str
) -> None:
    wire, committer = proxy
    first = make_decision(booking())
    await commit(committer, first)
    ours, theirs = make_decision(first.to, first), make_decision(first.to, first)
    async with running(database_dsn, Committer(partial(connect_committer, database_dsn))) as other:
        assert statuses(await commit(other, theirs)) == [OK]
    wire.arm(Cut.BEFORE_SENDING)

    assert statuses(await commit(committer, ours)) == [STALE]


async def until_blocked(pool: Pool, sessions: int) -> None:
    """Wait until this many sessions wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(HANG_S):
        while await pool.fetchval(waiting) < sessions:
            pass


@pytest.mark.parametrize("sqlstate", ["40P01", "40001", "55P03", "53100"])
async def test_a_batch_refused_for_the_moment_is_called_again(database_dsn: str, pool: Pool, sqlstate: str) -> None:
    await pool.execute(
        f"""
        CREATE SEQUENCE tries;
        CREATE FUNCTION refuse_twice() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('tries') <= 2 THEN RAISE SQLSTATE '{sqlstate}'; END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER refuse_twice AFTER INSERT ON journal FOR EACH STATEMENT EXECUTE FUNCTION refuse_twice();
        """
    )
    async with running(database_dsn) as committer:
        outcomes = await commit(committer, *[make_decision(booking()) for _ in range(3)])

    assert statuses(outcomes) == [OK, OK, OK]
    assert await pool.fetchval("SELECT count(*) FROM journal") == 3


async def test_a_batch_that_loses_a_deadlock_is_called_again(database_dsn: str, pool: Pool) -> None:
    first, second = sorted((make_decision(booking()) for _ in range(2)), key=lambda decision: decision.to.id)
    async with running(database_dsn) as committer, pool.acquire() as rival:
        await commit(committer, first, second)
        async with rival.transaction():
            await rival.execute("SELECT FROM actors WHERE id = $1 FOR UPDATE", second.to.id)
            answer = asyncio.create_task(
                commit(committer, make_decision(second.to, second), make_decision(first.to, first))
            )
            await until_blocked(pool, 1)
            await rival.execute("SELECT FROM actors WHERE id = $1 FOR UPDATE", first.to.id)  # its turn comes first

        assert statuses(await answer) == [OK, OK]


async def test_a_database_that_stays_away_is_unavailable(database_dsn: str, pool: Pool) -> None:
    reachable, tries = True, 0

    async def connect_while_reachable() -> object:
        nonlocal tries
        tries += 1
        if not reachable:
            raise OSError("no route")
        return await connect_committer(database_dsn)

    async with running(database_dsn, Committer(connect_while_reachable)) as committer:  # type: ignore[arg-type]
        await commit(committer, make_decision(booking()))
        reachable = False
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE '%committer' AND datname = current_database()"
        )

        outcomes = await commit(committer, *[make_decision(booking()) for _ in range(5 * BATCH_MAX)])
        assert {type(outcome.fault) for outcome in outcomes} == {Unavailable}
        assert tries <= 1 + RETRIES_MAX  # later batches do not wait as long again

        reachable = True
        assert statuses(await commit(committer, make_decision(booking()))) == [OK]


@pytest.fixture
async def own_postgres() -> AsyncIterator[tuple[EmbeddedPostgres, str]]:
    """A database server that may be killed."""
    with readable_directory() as directory:
        async with started(EmbeddedPostgres(directory / "postgres", settings={"shared_buffers": "32MB"})) as both:
            yield both


@contextlib.asynccontextmanager
async def started(server: EmbeddedPostgres) -> AsyncIterator[tuple[EmbeddedPostgres, str]]:
    dsn = await server.start()
    try:
        await migrate(dsn)
        connection = await connect(dsn)
        await connection.execute(ROWS_DDL)
        await connection.close()
        yield server, dsn
    finally:
        await server.stop(immediate=True)


@pytest.mark.parametrize("rounds", [2])
async def test_a_killed_database_loses_nothing_that_was_answered(
    own_postgres: tuple[EmbeddedPostgres, str], rounds: int
) -> None:
    server, dsn = own_postgres
    users = [UserId(uuid4()) for _ in range(3)]
    answered: list[tuple[Decision, Committed]] = []
    stop = asyncio.Event()

    async def client(committer: Committer) -> None:
        last = None
        to = booking()
        while not stop.is_set():
            decision = make_decision(to, last, audiences=[users])
            (outcome,) = await commit(committer, decision)
            answered.append((decision, outcome))
            if outcome.status == OK:
                last = decision
            else:
                to, last = booking(), None

    def went_well(count: int, since: int) -> bool:
        return sum(outcome.status == OK for _, outcome in answered[since:]) >= count

    async with running(dsn) as committer, asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(client(committer))
        for _ in range(rounds):
            # A postmaster's backends outlive it for a moment, and answer: it may not have been started again yet.
            await until(lambda: len(answered) >= 100 and server.pid is not None)
            assert server.pid is not None
            psutil.Process(server.pid).kill()
            await until(partial(went_well, 100, len(answered)))
        stop.set()

    await assert_all_there(dsn, answered)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_S):
        while not true():
            await asyncio.sleep(0.001)


async def assert_all_there(dsn: str, answered: list[tuple[Decision, Committed]]) -> None:
    """What was answered is there at its place; every decision is there wholly or not at all."""
    async with contextlib.AsyncExitStack() as stack:
        pool = await connect_pool(dsn, size_max=2)
        stack.push_async_callback(pool.close)
        real = await read_model(pool)
    journal = set(real.journal)
    assert len(journal) == len(real.journal) == len(real.log)
    for decision, outcome in answered:
        kept = (decision.to, decision.version) in journal
        assert outcome.status in (OK, "fault", STALE)
        assert kept or outcome.status != OK
        for user_id, seq in zip(decision.emitted[0].audience, outcome.seqs, strict=outcome.status == OK):
            assert real.inbox[user_id][seq - 1] == (decision.to, decision.version)
