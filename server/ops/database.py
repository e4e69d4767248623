"""Opens and migrates the configured database, or the embedded one in the data folder."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from server.edge.config import ServerConfig
from server.ops.config import DatabaseConfig
from server.ops.port import by, other_server
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate
from storage.postgres_installation import InstallationInUse


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database. ``lost`` raises DatabaseLost when the embedded one cannot restart, else never returns."""

    dsn: str
    lost: Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_database(server: ServerConfig, database: DatabaseConfig) -> AsyncIterator[Database]:
    """Yield a migrated database; the embedded one runs until the context is left."""
    async with AsyncExitStack() as stack:
        dsn, lost = database.url, _never
        if not dsn:
            postgres = EmbeddedPostgres(Path(server.data_dir) / "postgres")
            stack.push_async_callback(postgres.stop)
            try:
                dsn, lost = await postgres.start(), postgres.wait_lost
            except InstallationInUse as error:
                who = by(other_server(Path(server.data_dir))) or " by another process"
                raise InstallationInUse(f"{error}{who}") from None
        await migrate(dsn)
        yield Database(dsn, lost)


async def _never() -> None:
    await asyncio.Event().wait()
