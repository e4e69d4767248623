"""Opens the configured database: the one that is named, or the embedded one in the data folder; migrated."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from server.edge.config import ServerConfig
from server.ops.config import DatabaseConfig
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database. ``lost`` raises DatabaseLost when the embedded one is gone for good, else never returns."""

    dsn: str
    lost: Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_database(server: ServerConfig, database: DatabaseConfig) -> AsyncIterator[Database]:
    """Give a migrated database; the embedded one runs for as long as this does."""
    async with AsyncExitStack() as stack:
        dsn, lost = database.url, _never
        if not dsn:
            postgres = EmbeddedPostgres(Path(server.data_dir) / "postgres")
            stack.push_async_callback(postgres.stop)
            dsn, lost = await postgres.start(), postgres.wait_lost
        await migrate(dsn)
        yield Database(dsn, lost)


async def _never() -> None:
    await asyncio.Event().wait()
