"""An embedded Postgres 18 from a wheel, so that the server runs with nothing else installed.

`EmbeddedPostgres` supervises one cluster: it creates it, starts it, restarts it when its postmaster dies, and shuts it
down. It does not listen on TCP; the only access is a unix socket in a private directory.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import asyncpg
import structlog

from storage import postmaster
from storage.postgres_installation import REACHABLE_ROOT, Installation, prepare_installation
from storage.postmaster import SUPERUSER, ClusterError, Postmaster

log = structlog.get_logger(__name__)

DATABASE = "guildwire"
#: The database that initdb makes; for connections that create or drop others.
MAINTENANCE_DATABASE = "postgres"

#: For a machine of two cores and a few GB. Every commit is on disk before it is acknowledged.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements and details of errors contain personal data, which must not be logged.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}

#: Long enough for the recovery of a full max_wal_size.
READY_TIMEOUT_S = 180.0
READY_POLL_FIRST_S = 0.01
READY_POLL_MAX_S = 0.2
CONNECT_TIMEOUT_S = 10.0
LAUNCH_ATTEMPTS_MAX = 3
RESTARTS_IN_A_ROW_MAX = 10
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0
#: A postmaster that ran this long was healthy: the count of restarts starts at 0 again.
HEALTHY_AFTER_S = 60.0


class DatabaseLost(Exception):
    """The embedded database died and could not be brought back."""


class EmbeddedPostgres:
    """One cluster in `data_dir`, kept running between `start` and `stop`."""

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        on_exit: Callable[[int], None] | None = None,
        reachable_root: Path = REACHABLE_ROOT,
    ) -> None:
        """Describe the database; nothing is touched before `start`.

        settings: server parameters that override SETTINGS.
        on_exit: called with the return code each time the postmaster dies unasked, before its restart.
        reachable_root: where copies go that the database's user can access; used only when running as root.
        """
        self._data_dir = data_dir
        self._settings = {**SETTINGS, **(settings or {})}
        self._on_exit = on_exit
        self._reachable_root = reachable_root
        self._installation: Installation | None = None
        self._socket_dir: Path | None = None
        self._postmaster: Postmaster | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None while there is none."""
        child = self._postmaster
        return child.pid if child and not child.exited.done() else None

    def dsn(self, database: str = DATABASE) -> str:
        """Return the address of a database of this cluster; stable until `stop`, over restarts too."""
        host = quote(str(self._require_socket_dir()), safe="")
        return f"postgresql:///{quote(database)}?host={host}&user={SUPERUSER}"

    async def start(self) -> str:
        """Create the cluster if needed, start it, wait until it accepts connections, and return its DSN.

        Stops processes that a killed server left behind. Raises: InstallationError, ClusterError; nothing runs then.
        """
        if self._installation is not None:
            raise RuntimeError("the embedded database is already started")
        self._installation = installation = await asyncio.to_thread(
            prepare_installation, self._data_dir, reachable_root=self._reachable_root
        )
        try:
            await asyncio.to_thread(postmaster.init_cluster, installation)
            self._socket_dir = installation.make_socket_dir()
            await self._launch(installation, attempts_max=LAUNCH_ATTEMPTS_MAX)
            await self._create_database()
        except BaseException:
            await self.stop(immediate=True)
            raise
        self._supervisor = asyncio.create_task(self._supervise(installation), name="embedded-postgres")
        log.info("postgres.started", pid=self.pid, data_dir=str(installation.home), uid=installation.account.uid)
        return self.dsn()

    async def stop(self, *, immediate: bool = False) -> None:
        """Shut the database down and release its directory; harmless when it is not running.

        immediate: without a checkpoint, for data that is not needed any more; the next start recovers.
        """
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        if self._postmaster is not None:
            await self._postmaster.stop(immediate=immediate)
        if self._installation is not None:
            await asyncio.to_thread(postmaster.clear_leftovers, self._installation)
            if self._socket_dir is not None:
                self._installation.drop_socket_dir(self._socket_dir)
            self._installation.release()
        self._installation = self._socket_dir = self._postmaster = self._supervisor = None

    async def wait_lost(self) -> None:
        """Return when the database was stopped by ``stop``. Raises: DatabaseLost when it could not be restarted."""
        if self._supervisor is not None:
            await asyncio.wait([self._supervisor])
            if not self._supervisor.cancelled():
                await self._supervisor

    async def _supervise(self, installation: Installation) -> None:
        """Restart the postmaster whenever it dies, more slowly each time. Raises: DatabaseLost."""
        loop = asyncio.get_running_loop()
        failures = 0
        while self._postmaster is not None:
            started_s = loop.time()
            await asyncio.wait([self._postmaster.exited])  # awaiting it directly would cancel it with this task
            returncode = self._postmaster.exited.result()
            log.error("postgres.died", returncode=returncode, said=postmaster.log_tail(installation))
            if self._on_exit is not None:
                self._on_exit(returncode)
            failures = 0 if loop.time() - started_s > HEALTHY_AFTER_S else failures + 1
            await asyncio.sleep(_backoff_s(failures))
            try:
                await self._launch(installation, attempts_max=RESTARTS_IN_A_ROW_MAX - failures)
            except ClusterError as error:
                log.critical("postgres.lost", restarts_max=RESTARTS_IN_A_ROW_MAX, error=str(error))
                raise DatabaseLost(str(error)) from error
            log.warning("postgres.restarted", pid=self.pid)

    async def _launch(self, installation: Installation, *, attempts_max: int) -> None:
        """Start a postmaster that accepts connections. Raises: ClusterError after ``attempts_max`` attempts."""
        for attempt in range(1, attempts_max + 1):
            await asyncio.to_thread(postmaster.clear_leftovers, installation)
            postmaster.rotate_log(installation)
            self._postmaster = child = postmaster.spawn(installation, self._require_socket_dir(), self._settings)
            try:
                return await self._wait_ready(installation, child)
            except ClusterError:
                if attempt == attempts_max:
                    raise
                await asyncio.sleep(_backoff_s(attempt))
        raise ClusterError(f"Postgres died {RESTARTS_IN_A_ROW_MAX} times in a row: {postmaster.log_tail(installation)}")

    async def _wait_ready(self, installation: Installation, child: Postmaster) -> None:
        """Return once a session can be opened. Raises: ClusterError when the postmaster exits or takes too long."""
        poll_s = READY_POLL_FIRST_S
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while not child.exited.done():
                    try:
                        session = await asyncpg.connect(self.dsn(MAINTENANCE_DATABASE), timeout=CONNECT_TIMEOUT_S)
                    except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
                        await asyncio.wait([child.exited], timeout=poll_s)
                        poll_s = min(READY_POLL_MAX_S, poll_s * 2)
                    else:
                        return await session.close()
        except TimeoutError:
            await child.stop(immediate=True)
            raise ClusterError(
                f"Postgres was not ready in {READY_TIMEOUT_S} s: {postmaster.log_tail(installation)}"
            ) from None
        raise ClusterError(f"Postgres exited with {child.exited.result()}: {postmaster.log_tail(installation)}")

    async def _create_database(self) -> None:
        session = await asyncpg.connect(self.dsn(MAINTENANCE_DATABASE), timeout=CONNECT_TIMEOUT_S)
        try:
            if not await session.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await session.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await session.close()

    def _require_socket_dir(self) -> Path:
        if self._socket_dir is None:
            raise RuntimeError("the embedded database is not started")
        return self._socket_dir


def _backoff_s(failures: int) -> float:
    """Return the pause after a number of failures in a row; the first restart has none."""
    return min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** (failures - 2)) if failures > 1 else 0.0
