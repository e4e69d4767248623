"""Demo accounts have a public password: outside of development mode no server starts on a database with them."""

from pathlib import Path

import pytest

from actors.actor import ACTORS
from server.accounts.bulk import NewAccount, make_accounts
from server.app.config import Config
from server.app.node import STARTUP_ERRORS
from server.app.nouns import import_all
from server.demo.accounts import ADMIN_EMAIL
from server.edge.config import DevConfig, ServerConfig
from server.ops.config import DatabaseConfig
from server.ops.demo_accounts import DemoAccountsError
from server.ops.doctor import examine
from storage.database import Pool
from tests.support.runtime import make_runtime
from tests.support.server import make_config, open_site

PRODUCTION = DevConfig(enabled=False)


@pytest.fixture
async def left_over(database_dsn: str, pool: Pool) -> str:
    """A database with a demo account, as development mode leaves it."""
    import_all()
    async with make_runtime(database_dsn, pool, ACTORS, {}) as node:
        await make_accounts(node.runtime, [NewAccount(email=ADMIN_EMAIL, name="Ada Admin")], "no hash of anything")
    return database_dsn


async def test_a_start_in_production_is_refused_by_name(left_over: str, tmp_path: Path) -> None:
    with pytest.raises(DemoAccountsError, match=r"dev\.enabled is off, and the database has 1 demo accounts"):
        async with open_site(left_over, make_config(tmp_path, dev=PRODUCTION)):
            pass
    assert DemoAccountsError in STARTUP_ERRORS


async def test_development_mode_serves_them(left_over: str, tmp_path: Path) -> None:
    async with open_site(left_over, make_config(tmp_path)) as site:
        assert (await site.request("GET", "/ready")).status == 200


@pytest.mark.parametrize(("dev", "expected"), [(PRODUCTION, [(False, True)]), (DevConfig(enabled=True), [])])
async def test_doctor_reports_them_in_production(
    left_over: str, tmp_path: Path, dev: DevConfig, expected: list[tuple[bool, bool]]
) -> None:
    config = Config(
        server=ServerConfig(port=0, data_dir=str(tmp_path)), database=DatabaseConfig(url=left_over), dev=dev
    )

    found = [(each.ok, each.fatal) async for each in examine(config) if each.name == "demo accounts"]

    assert found == expected


async def test_without_demo_accounts_doctor_has_nothing_to_report(database_dsn: str, tmp_path: Path) -> None:
    config = Config(server=ServerConfig(port=0, data_dir=str(tmp_path)), database=DatabaseConfig(url=database_dsn))

    assert [each.ok async for each in examine(config) if each.name == "demo accounts"] == [True]


async def test_doctor_calls_development_that_others_reach_bad(tmp_path: Path) -> None:
    config = Config(
        server=ServerConfig(port=0, data_dir=str(tmp_path), public_url="https://shop.example"),
        dev=DevConfig(enabled=True, allow_non_loopback=True),
    )

    (found,) = [each async for each in examine(config) if each.name == "development mode"]

    assert (found.ok, found.fatal) == (False, True)
