"""Fixtures of the whole test suite: a real database for each test that asks for one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from server.app.nouns import import_all
from storage.database import Pool, connect_pool
from tests.support.postgres import TestPostgres

import_all()  # whatever a test imports itself, every noun has registered

if TYPE_CHECKING:
    from tests.support.server import Site

#: How long an example takes says how busy the machine is, not whether the rule holds.
settings.register_profile("guildwire", deadline=None)
settings.load_profile("guildwire")

_postgres = pytest.StashKey[TestPostgres]()


def pytest_configure(config: pytest.Config) -> None:
    """Join the session's Postgres in every process; nothing is started before a test needs it."""
    config.stash[_postgres] = TestPostgres()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave it; the last process to do so sees to it that nothing is left running."""
    config.stash[_postgres].leave()


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> TestPostgres:
    """The session's database server, for tests that need more than one database."""
    return pytestconfig.stash[_postgres]


@pytest.fixture
async def database_dsn(postgres_server: TestPostgres) -> AsyncIterator[str]:
    """The address of a fresh database with our schema and no data."""
    async with postgres_server.database(migrated=True) as dsn:
        yield dsn


@pytest.fixture
async def bare_dsn(postgres_server: TestPostgres) -> AsyncIterator[str]:
    """The address of a fresh database without any schema."""
    async with postgres_server.database(migrated=False) as dsn:
        yield dsn


@pytest.fixture
async def pool(database_dsn: str) -> AsyncIterator[Pool]:
    """A pool on a fresh database with our schema."""
    pool = await connect_pool(database_dsn, size_min=1, size_max=5)
    yield pool
    await pool.close()


@pytest.fixture
async def server(database_dsn: str, tmp_path: Path) -> "AsyncIterator[Site]":
    """The whole server on a fresh database, in development mode, without demo data."""
    from tests.support.server import make_config, open_site  # tests of the core do without it

    async with open_site(database_dsn, make_config(tmp_path)) as site:
        yield site
