"""Postgres restarts, refuses to write, is full or slow: typed answers, bounded queues, nothing lost or doubled."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from actors.runtime import turns
from actors.runtime.call import Outcome
from protocol.errors import Busy, Unavailable
from server.ops import health
from storage import commit
from storage.commit import Committer, connect_committer
from storage.database import Pool, connect_pool
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate
from tests.support.faults import ROUNDS, Witness, make_scene, patient_config, until, watching
from tests.support.pgproxy import PgProxy, Step, pg_proxy
from tests.support.process import readable_directory
from tests.support.runtime import make_runtime
from tests.support.sample_actors import (
    ACTORS,
    Add,
    Candidates,
    Known,
    execute,
    know_nobody,
    know_one,
    make_call,
    make_samples_runtime,
)
from tests.support.sample_decisions import HANG_S, declared
from tests.support.server import Site, open_site, outcome_of

SHORT_S = 0.3
ADDERS = 8
#: Answers between two restarts.
ANSWERS_A_ROUND = 100


@pytest.fixture
async def proxy(database_dsn: str) -> AsyncIterator[PgProxy]:
    async with pg_proxy(database_dsn) as proxy:
        yield proxy


@pytest.fixture
async def site(proxy: PgProxy, tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(proxy.dsn, patient_config(tmp_path)) as site:
        yield site


@pytest.fixture
async def witness(site: Site) -> AsyncIterator[Witness]:
    async with watching(site.url, await make_scene(site)) as witness:
        yield witness


async def refused(witness: Witness) -> Any:
    return await outcome_of(witness.rest.call(witness.scene.next_booking()))


# It refuses to write


async def test_a_database_that_only_reads_is_unavailable_until_it_writes(
    site: Site, witness: Witness, proxy: PgProxy, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "RETRY_DELAY_S", 0.001)
    name = await pool.fetchval("SELECT current_database()")
    await pool.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    proxy.cut()
    await site.request("GET", "/ready")  # opens a line anew

    answer = await refused(witness)
    assert isinstance(answer, Unavailable), answer
    assert answer.fields["retry_after_s"] > 0
    unready = await site.request("GET", "/ready")
    assert (unready.status, unready.json["checks"]["database"]) == (503, "read_only")

    await pool.execute("SET default_transaction_read_only = off")
    await pool.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    proxy.cut()
    await witness.book()
    await site.at_rest()
    await witness.prove(pool)


@pytest.mark.parametrize("sqlstate", ["53100", "53200"])
async def test_a_full_database_is_unavailable_until_there_is_room(
    site: Site, witness: Witness, pool: Pool, monkeypatch: pytest.MonkeyPatch, sqlstate: str
) -> None:
    monkeypatch.setattr(commit, "RETRY_DELAY_S", 0.001)
    await pool.execute(
        f"""
        CREATE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE SQLSTATE '{sqlstate}'; END $$;
        CREATE TRIGGER full_up BEFORE INSERT ON journal FOR EACH STATEMENT EXECUTE FUNCTION full_up();
        """
    )
    assert isinstance(await refused(witness), Unavailable)

    await pool.execute("DROP TRIGGER full_up ON journal")

    await witness.book()
    await site.at_rest()
    await witness.prove(pool)


# It is slow


async def test_behind_a_stalled_database_queues_are_bounded_and_whoever_is_told_to_come_again_is_served(
    proxy: PgProxy, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "IN_FLIGHT_MAX", 400)
    monkeypatch.setattr(turns, "MAILBOX_MAX", 50)
    with declared():
        committer = Committer(lambda: connect_committer(proxy.dsn))
        await committer.start()
        runtime = make_samples_runtime(pool, committer)
        crowded, outcomes = uuid4(), dict[str, Outcome]()

        def submit(key: str, counter: Any) -> None:
            runtime.submit(make_call(Add(booking_id=counter), key=key, done=lambda said: outcomes.update({key: said})))

        stop = proxy.stop_at(Step.REPLY)
        counters = {f"crowded {nth}": crowded for nth in range(200)} | {f"alone {nth}": uuid4() for nth in range(600)}
        for key, counter in counters.items():
            submit(key, counter)
        await stop.reached()
        busy = {key for key, outcome in outcomes.items() if isinstance(outcome.error, Busy)}
        assert len(counters) - len(busy) == runtime.in_flight <= 400
        assert committer.queued <= 400
        assert all(outcomes[key].error.fields["retry_after_s"] > 0 for key in busy)  # type: ignore[union-attr]

        stop.go_on()
        async with asyncio.timeout(HANG_S):
            await runtime.drain()
            while left := [key for key, outcome in outcomes.items() if outcome.error is not None]:
                for key in left:
                    submit(key, counters[key])
                await runtime.drain()
        await committer.stop()

    assert await pool.fetchval("SELECT state->>'value' FROM actors WHERE id = $1", crowded) == "200"
    assert await pool.fetchval("SELECT count(*) FROM journal") == len(counters)


async def test_a_full_queue_of_the_committer_is_busy_and_is_served_later(
    proxy: PgProxy, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "QUEUE_MAX", 20)
    with declared():
        committer = Committer(lambda: connect_committer(proxy.dsn))
        await committer.start()
        runtime = make_samples_runtime(pool, committer)
        counters = [uuid4() for _ in range(60)]
        stop = proxy.stop_at(Step.CALL)
        first = asyncio.create_task(execute(runtime, make_call(Add(booking_id=uuid4()))))
        await stop.reached()
        outcomes = asyncio.gather(
            *[execute(runtime, make_call(Add(booking_id=counter), key=str(counter))) for counter in counters]
        )
        await until_queued(committer, 20)
        stop.go_on()
        said = dict(zip(counters, await outcomes, strict=True))
        assert {type(outcome.error) for outcome in said.values()} == {type(None), Busy}

        for counter, outcome in said.items():
            if outcome.error is not None:
                again = await execute(runtime, make_call(Add(booking_id=counter), key=str(counter)))
                assert (again.error, again.replayed) == (None, False)
        assert (await first).error is None
        await committer.stop()

    assert await pool.fetchval("SELECT count(*) FROM journal") == len(counters) + 1


async def until_queued(committer: Committer, decisions: int) -> None:
    async def so_many() -> bool:
        return committer.queued >= decisions

    await until(so_many)


async def test_a_stalled_database_makes_the_server_unready_and_costs_no_answer(
    site: Site, witness: Witness, proxy: PgProxy, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "DATABASE_TIMEOUT_S", SHORT_S)
    bookings = [asyncio.create_task(witness.book()) for _ in range(10)]
    stop = proxy.stop_at(Step.REPLY)
    await stop.reached()
    proxy.stall()
    assert (await site.request("GET", "/ready")).status == 503
    assert not all(booking.done() for booking in bookings)

    proxy.resume()
    stop.go_on()

    await asyncio.gather(*bookings)

    async def ready() -> bool:
        return (await site.request("GET", "/ready")).status == 200

    await until(ready)
    await site.at_rest()
    await witness.prove(pool)


# It restarts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["fast_shutdown", "crash"])
async def test_a_database_that_restarts_under_load_loses_and_doubles_nothing(number: signal.Signals) -> None:
    with readable_directory() as directory, declared():
        server = EmbeddedPostgres(directory / "postgres", settings={"shared_buffers": "32MB"})
        dsn = await server.start()
        try:
            await migrate(dsn)
            pool = await connect_pool(dsn, size_max=4)
            counters = await add_while_it_restarts(server, dsn, pool, number)
            rows = await pool.fetch("SELECT id, (state->>'value')::int AS value FROM actors")
            assert {row["id"]: row["value"] for row in rows} == counters
            assert await pool.fetchval("SELECT count(*) FROM journal") == sum(counters.values())
            await pool.close()
        finally:
            await server.stop(immediate=True)


async def add_while_it_restarts(
    server: EmbeddedPostgres, dsn: str, pool: Pool, number: signal.Signals
) -> dict[Any, int]:
    """Let some people add, each insisting on each answer; gives what each has counted."""
    counters, stop, answers = {uuid4(): 0 for _ in range(ADDERS)}, asyncio.Event(), 0
    async with make_runtime(dsn, pool, ACTORS, {Known: know_one, Candidates: know_nobody}) as node:

        async def add(counter: Any) -> None:
            nonlocal answers
            while not stop.is_set():
                key = str(uuid4())
                while (await node.send(Add(booking_id=counter), key=key)).error is not None:
                    await asyncio.sleep(0.01)
                counters[counter] += 1
                answers += 1

        async def more() -> None:
            goal = answers + ANSWERS_A_ROUND

            async def enough() -> bool:
                return answers >= goal

            await until(enough)

        async with asyncio.TaskGroup() as adding:
            for counter in counters:
                adding.create_task(add(counter))
            for _ in range(min(3, ROUNDS)):
                await more()
                assert server.pid is not None
                psutil.Process(server.pid).send_signal(number)
            await more()
            stop.set()
    return counters
