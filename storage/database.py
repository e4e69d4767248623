"""Connections to Postgres, all with the same bounds: a pool for reads, single ones for committers and listeners.

`json` and `jsonb` are passed as text, asyncpg's default: writers encode them, and readers decode them into structs.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import asyncpg
import structlog

log = structlog.get_logger(__name__)

if TYPE_CHECKING:  # asyncpg's classes are generic in its stubs only
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection, Pool = asyncpg.Connection, asyncpg.Pool
T = TypeVar("T")

POOL_MIN = 2
POOL_MAX = 10
CONNECT_TIMEOUT_S = 10.0
#: How long a server may take to come up (or recover) before a first connection gives up.
STARTUP_WAIT_S = 60.0
STARTUP_POLL_FIRST_S = 0.05
STARTUP_POLL_MAX_S = 1.0
STATEMENT_TIMEOUT_S = 30.0
LOCK_TIMEOUT_S = 5.0
IDLE_IN_TRANSACTION_TIMEOUT_S = 30.0
#: How long closing a connection may take before it is terminated.
CLOSE_TIMEOUT_S = 5.0
#: How long after the server's own limit the client times out: the network or the server is down.
COMMAND_MARGIN_S = 5.0

APPLICATION_NAME = "guildwire"

#: Errors while a server is starting. A wrong password or database is not among these.
_STARTING = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError)


#: Errors of a read while the database is unreachable: a reason to retry, not a bug.
OUTAGES = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut in the middle of a response
    OSError,
    TimeoutError,
)

#: Errors of a write while the database is unreachable or read-only.
UNWRITABLE = (*OUTAGES, asyncpg.ReadOnlySQLTransactionError)


class DatabaseUnreachable(Exception):
    """The database did not accept a connection in time."""


async def connect_pool(
    dsn: str,
    *,
    size_min: int = POOL_MIN,
    size_max: int = POOL_MAX,
    startup_wait_s: float = STARTUP_WAIT_S,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
) -> Pool:
    """Open a pool, once the server accepts connections. Raises: DatabaseUnreachable after `startup_wait_s`."""

    async def open_pool() -> Pool:
        return await asyncpg.create_pool(
            dsn,
            min_size=min(size_min, size_max),
            max_size=size_max,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=statement_timeout_s + COMMAND_MARGIN_S,
            server_settings=_server_settings(statement_timeout_s),
            reset=_keep,
        )

    return await _once_started(open_pool, dsn, startup_wait_s)


async def _keep(connection: Connection) -> None:
    """Return a connection to the pool without a reset: readers change no session state, and a reset costs 0.1 ms."""


async def connect(dsn: str, *, startup_wait_s: float = STARTUP_WAIT_S) -> Connection:
    """Open one connection, once the server accepts them. Raises: DatabaseUnreachable after `startup_wait_s`."""

    async def open_connection() -> Connection:
        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S + COMMAND_MARGIN_S,
            server_settings=_server_settings(STATEMENT_TIMEOUT_S),
        )

    return await _once_started(open_connection, dsn, startup_wait_s)


async def close(connections: Pool | Connection) -> None:
    """Close a pool or a connection; one that does not close in time is terminated."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await connections.close()
    except OUTAGES as error:
        log.warning("database.not_closed", action="cut", error=repr(error))
        connections.terminate()


async def _once_started(attempt: Callable[[], Awaitable[T]], dsn: str, startup_wait_s: float) -> T:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + startup_wait_s
    poll_s = STARTUP_POLL_FIRST_S
    while True:
        try:
            return await attempt()
        except _STARTING as error:
            if loop.time() + poll_s > deadline_s:
                raise DatabaseUnreachable(f"{_without_secrets(dsn)}: {error!r}") from error
            log.info("database.not_yet", database=_without_secrets(dsn), error=str(error))
        await asyncio.sleep(poll_s)
        poll_s = min(STARTUP_POLL_MAX_S, poll_s * 2)


def _server_settings(statement_timeout_s: float) -> dict[str, str]:
    """Return the session's parameters; times in ms, 0 for no limit."""
    return {
        "application_name": APPLICATION_NAME,
        "timezone": "UTC",
        "jit": "off",
        "statement_timeout": str(round(statement_timeout_s * 1000)),
        "lock_timeout": str(round(LOCK_TIMEOUT_S * 1000)),
        "idle_in_transaction_session_timeout": str(round(IDLE_IN_TRANSACTION_TIMEOUT_S * 1000)),
    }


def _without_secrets(dsn: str) -> str:
    """Return the DSN for messages, without user and password."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
