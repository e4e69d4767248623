"""Faults of the network between server and database: resets, silence, refused connections. The server recovers."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

import server.app.node
from protocol.errors import Unavailable
from protocol.user.views import CurrentUser
from server.client import live
from server.delivery import worker
from server.ops import health
from server.ops.config import DatabaseConfig
from storage import commit, database, supervision
from storage.database import Pool, connect_pool
from tests.support.faults import PATIENCE_S, ROUNDS, make_scene, patient_config, until, watching
from tests.support.pgproxy import PgProxy, Step, pg_proxy
from tests.support.process import server_process
from tests.support.server import Site, open_site, outcome_of

#: Every wait for the database, in the place of many seconds.
SHORT_S = 0.3
BALANCER_S = 10


@pytest.fixture
async def proxy(database_dsn: str) -> AsyncIterator[PgProxy]:
    async with pg_proxy(database_dsn) as proxy:
        yield proxy


@pytest.fixture
async def site(proxy: PgProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A server in this process that reaches its database only through the proxy, over as few lines as can be."""
    end_soon(monkeypatch)
    async with open_site(proxy.dsn, patient_config(tmp_path, database=DatabaseConfig(pool_max=2))) as site:
        yield site


def end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring down how long a stop waits for what hangs."""
    monkeypatch.setattr(database, "CLOSE_TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(supervision, "END_TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(worker, "ROUND_MAX_S", SHORT_S)
    monkeypatch.setattr(worker, "SETTLE_MAX_S", SHORT_S)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring every timeout of the database's clients down."""
    monkeypatch.setattr(commit, "CALL_TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(commit, "CONNECT_TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(database, "CONNECT_TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(database, "COMMAND_MARGIN_S", 0.0)
    monkeypatch.setattr(server.app.node, "connect_pool", partial(connect_pool, statement_timeout_s=SHORT_S))
    monkeypatch.setattr(health, "DATABASE_TIMEOUT_S", SHORT_S)


async def readiness(site: Site) -> int:
    """The status that a load balancer with a short timeout gets."""
    async with asyncio.timeout(BALANCER_S):
        return (await site.request("GET", "/ready")).status


async def ready(site: Site) -> None:
    """Wait until the server says so."""

    async def fine() -> bool:
        return await readiness(site) == 200

    await until(fine)


@pytest.mark.parametrize("step", [Step.CALL, Step.SENT, Step.REPLY])
async def test_a_line_that_falls_silent_in_the_middle_of_a_commit_is_given_up_and_the_effect_comes_once(
    impatient: None, site: Site, proxy: PgProxy, pool: Pool, step: Step
) -> None:
    async with watching(site.url, await make_scene(site)) as witness:
        for _ in range(ROUNDS):
            stop = proxy.stop_at(step)
            booking = asyncio.create_task(witness.book())
            await stop.reached()
            proxy.silence()
            stop.go_on()
            await proxy.knocked()  # the committer has given the old line up
            assert not booking.done()
            proxy.restore()

            await booking

        await ready(site)
        await site.at_rest()
        await witness.prove(pool)


async def test_a_silent_database_makes_the_server_unready_at_once_however_long_its_other_waits_are(
    site: Site, proxy: PgProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "DATABASE_TIMEOUT_S", SHORT_S)
    assert await readiness(site) == 200

    proxy.silence()
    for _ in range(4):  # more than there are lines
        assert await readiness(site) == 503

    proxy.restore()
    proxy.cut()  # lines that others wait on
    await ready(site)


async def test_a_silent_database_makes_reads_unavailable_until_it_is_back(
    impatient: None, site: Site, proxy: PgProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FAULTS_MAX", 0)  # it would ask again by itself
    ada = await site.person("Ada", live=True)

    proxy.silence()
    answers = await asyncio.gather(outcome_of(ada.call(CurrentUser())), outcome_of(ada.phone.ask(CurrentUser())))
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]

    proxy.restore()
    await ready(site)
    assert (await ada.call(CurrentUser())).id == ada.id


async def test_a_server_whose_database_is_silent_still_ends(
    impatient: None, proxy: PgProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_soon(monkeypatch)
    async with asyncio.timeout(PATIENCE_S), open_site(proxy.dsn, patient_config(tmp_path)) as site:
        assert await readiness(site) == 200

        proxy.silence()


async def test_a_database_that_resets_every_line_makes_the_server_unready_until_it_is_back(
    site: Site, proxy: PgProxy, pool: Pool
) -> None:
    async with watching(site.url, await make_scene(site)) as witness:
        for _ in range(ROUNDS):
            proxy.refuse()
            assert await readiness(site) == 503
            refused = await outcome_of(witness.rest.call(witness.scene.next_booking()))
            assert isinstance(refused, Unavailable)
            assert refused.fields["retry_after_s"] > 0

            proxy.restore()
            await ready(site)
            await witness.book()

        await site.at_rest()
        await witness.prove(pool)


async def test_a_server_that_starts_before_its_database_waits_for_it(proxy: PgProxy, tmp_path: Path) -> None:
    proxy.refuse()
    async with server_process(tmp_path, GUILDWIRE_DATABASE__URL=proxy.dsn) as process:
        starting = asyncio.create_task(process.start())
        for _ in range(3):
            await proxy.knocked()
        assert not starting.done()

        proxy.restore()

        await starting
        assert await process.stop() == 0
