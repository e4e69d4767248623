"""The server dies, or loses its database, at each step of one commit: the effect comes once, and every event is heard.

The steps are those of ``tests/support/pgproxy.py``. Afterwards the client has its answer, and ``server verify`` finds
nothing.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import Pool
from tests.support.faults import (
    ROUNDS,
    Scene,
    Witness,
    make_scene,
    patient_config,
    prepare_scene,
    relaying,
    until,
    watching,
)
from tests.support.pgproxy import End, PgProxy, Step, pg_proxy
from tests.support.process import ServerProcess, server_process
from tests.support.server import Site, open_site
from tests.support.sizes import some

NO_LIMITS = {
    "GUILDWIRE_LIMITS__COMMANDS_PER_S": "100000",
    "GUILDWIRE_LIMITS__UNPAID_HOLDS_MAX": "0",
    "GUILDWIRE_LIMITS__REQUESTS_PER_ADDRESS_PER_S": "100000",
    "GUILDWIRE_DEV__ENABLED": "false",
}
#: Each step at which the call itself stands; what is not committed at death is not committed later either.
STEPS = [Step.CALL, Step.EXECUTE, Step.SYNC, Step.REPLY, Step.AMID_REPLY]
LOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
async def proxy(database_dsn: str) -> AsyncIterator[PgProxy]:
    async with pg_proxy(database_dsn) as proxy:
        yield proxy


@pytest.fixture
async def site(proxy: PgProxy, tmp_path: Path) -> AsyncIterator[Site]:
    """A server in this process that reaches its database only through the proxy."""
    async with open_site(proxy.dsn, patient_config(tmp_path)) as site:
        yield site


@pytest.fixture
async def process(proxy: PgProxy, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server that reaches its database only through the proxy; not started yet."""
    async with server_process(tmp_path, GUILDWIRE_DATABASE__URL=proxy.dsn, **NO_LIMITS) as server:
        yield server


@pytest.fixture
async def scene(database_dsn: str, tmp_path: Path) -> Scene:
    return await prepare_scene(database_dsn, tmp_path)


async def blocked(pool: Pool, sessions: int) -> None:
    """Wait until this many sessions wait for a lock."""

    async def so_many() -> bool:
        return bool(await pool.fetchval(LOCKED) >= sessions)

    await until(so_many)


# The server is killed


async def kill_at(step: Step, server: ServerProcess, proxy: PgProxy, witness: Witness) -> None:
    """Let a booking come to that step, kill the server there, start it again, and wait for the answer."""
    stop = proxy.stop_at(step)
    booking = asyncio.create_task(witness.book())
    await stop.reached()
    await server.kill()
    proxy.cut()
    stop.go_on()
    await server.start()
    await booking


@pytest.mark.sized
@pytest.mark.parametrize("step", some(STEPS, Step.EXECUTE, Step.REPLY))
async def test_a_server_that_is_killed_at_any_step_of_a_commit_leaves_its_effect_once(
    process: ServerProcess, proxy: PgProxy, pool: Pool, scene: Scene, step: Step
) -> None:
    await process.start()
    async with watching(process.url, scene) as witness:
        await witness.book()
        for _ in range(ROUNDS):
            await kill_at(step, process, proxy, witness)

        await witness.book()
        await witness.prove(pool)
    assert await process.stop() == 0


async def test_a_commit_that_ends_after_its_server_was_killed_and_started_again_is_known_to_the_retry(
    process: ServerProcess, proxy: PgProxy, pool: Pool, scene: Scene
) -> None:
    proxy.settings = {"lock_timeout": "0", "statement_timeout": "0"}  # it outlives a start, however slow that is
    await process.start()
    async with watching(process.url, scene) as witness:
        await witness.book()
        for _ in range(ROUNDS):
            stop = proxy.stop_at(Step.SENT)
            async with pool.acquire() as blocker, blocker.transaction():
                await blocker.execute("SELECT FROM inbox_counters FOR UPDATE")
                booking = asyncio.create_task(witness.book())
                await stop.reached()
                await blocked(pool, 1)
                await process.kill()
                proxy.cut()  # Postgres works on, and does not look
                await process.start()
                await blocked(pool, 2)  # the retry waits for the old commit

            assert (await booking).replayed

        await witness.prove(pool)
    assert await process.stop() == 0


async def test_a_server_that_is_killed_before_it_read_the_word_of_its_commit_leaves_its_effect_once(
    process: ServerProcess, proxy: PgProxy, pool: Pool, scene: Scene
) -> None:
    pid = (await process.start()).pid
    async with watching(process.url, scene) as witness:
        await witness.book()
        for _ in range(ROUNDS):
            before, after = proxy.stop_at(Step.REPLY), proxy.stop_at(Step.REPLIED)
            booking = asyncio.create_task(witness.book())
            await before.reached()
            os.kill(pid, signal.SIGSTOP)
            before.go_on()
            await after.reached()  # the word is in its socket
            await process.kill()
            after.go_on()
            pid = (await process.start()).pid

            assert (await booking).replayed

        await witness.prove(pool)
    assert await process.stop() == 0


async def test_a_server_that_is_killed_while_its_answer_is_on_the_way_gives_the_same_answer_again(
    process: ServerProcess, pool: Pool, scene: Scene
) -> None:
    await process.start()
    async with relaying(process.port) as relay, watching(relay.url, scene) as witness:
        await witness.book()
        for _ in range(ROUNDS):
            relay.keep_answers()
            booking = asyncio.create_task(witness.book())
            await relay.kept()
            await process.kill()
            relay.pass_answers()
            await process.start()

            await booking

        await witness.prove(pool)
    assert await process.stop() == 0


# The line to the database is cut


@pytest.mark.parametrize(("step", "how"), [(step, how) for step in STEPS for how in End])
async def test_a_line_that_is_cut_at_any_step_of_a_commit_costs_nobody_anything(
    site: Site, proxy: PgProxy, pool: Pool, step: Step, how: End
) -> None:
    async with watching(site.url, await make_scene(site)) as witness:
        for _ in range(ROUNDS):
            stop = proxy.stop_at(step)
            booking = asyncio.create_task(witness.rest.call(witness.scene.next_booking()))
            await stop.reached()
            proxy.cut(how)
            stop.go_on()

            witness.booked.append((await booking).reply)  # at once, without a retry

        await site.at_rest()
        await witness.prove(pool)


# The gate


@pytest.mark.parametrize("step", [Step.CALL, Step.SYNC, Step.REPLY])
async def test_nothing_is_heard_of_a_booking_before_its_commit(
    site: Site, proxy: PgProxy, pool: Pool, step: Step
) -> None:
    async with watching(site.url, await make_scene(site)) as witness:
        stop = proxy.stop_at(step)
        booking = asyncio.create_task(witness.book())
        await stop.reached()
        for _ in range(3):
            await site.request("GET", "/ready")  # what had left would be here by now
        assert (booking.done(), witness.heard) == (False, [])

        stop.go_on()

        await booking
        await site.at_rest()
        await witness.prove(pool)
