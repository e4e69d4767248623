"""One embedded Postgres for a whole test session, shared by its xdist workers.

A keeper process (this module, run by the first worker that asks) holds the server. Every pytest process of the session
holds a shared lock on one file; the keeper waits for the exclusive one, which the kernel grants when the last of them
is gone, however it went: done, Ctrl-C or kill -9. Then it stops the server and removes all of it.
"""

import asyncio
import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg

from storage.embedded import MAINTENANCE_DATABASE, EmbeddedPostgres
from storage.migrate import migrate, read_migrations

#: Names the session's directory to the workers, which inherit it from the controller.
DIRECTORY_VARIABLE = "GUILDWIRE_TEST_POSTGRES"
ROOT = Path(__file__).parents[2]
READY = b"ready\n"
MEMORY_FREE_BYTES_MIN = 2 * 1024**3
#: Room for all workers' pools; the rest is as in production.
SETTINGS = {"max_connections": "300", "shared_buffers": "128MB", "log_error_verbosity": "default"}


class TestPostgres:
    """A pytest process's part in the session's server."""

    __test__ = False

    def __init__(self) -> None:
        """Join the session's server, or found it: the first process makes the directory that the others inherit."""
        self._is_founder = DIRECTORY_VARIABLE not in os.environ
        if self._is_founder:
            directory = tempfile.mkdtemp(prefix="guildwire-tests-", dir=_fast_place())
            os.chmod(directory, 0o755)
            os.environ[DIRECTORY_VARIABLE] = directory
        self._directory = Path(os.environ[DIRECTORY_VARIABLE])
        self._membership = open(self._directory / "members.lock", "ab")  # noqa: SIM115 (held until `leave`)
        fcntl.flock(self._membership, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Leave the session. Its founder outlives the others, and waits until the server and its directory are gone."""
        self._membership.close()
        if self._is_founder:
            with contextlib.suppress(FileNotFoundError), open(self._directory / "keeper.lock", "rb") as keeper:
                fcntl.flock(keeper, fcntl.LOCK_EX)
            shutil.rmtree(self._directory, ignore_errors=True)
            os.environ.pop(DIRECTORY_VARIABLE)

    def address(self, database: str) -> str:
        """Return the DSN of a database of the session's server, which is started if it is not running."""
        self._start()
        return (self._directory / "address").read_text().replace(f"/{MAINTENANCE_DATABASE}?", f"/{database}?")

    @contextlib.asynccontextmanager
    async def database(self, *, migrated: bool) -> AsyncIterator[str]:
        """Make a database of its own for one test, with our schema or with none; yield its DSN and drop it."""
        await asyncio.to_thread(self._make_template if migrated else self._start)
        name = f"test_{uuid.uuid4().hex}"
        template = _template() if migrated else "template1"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.address(name)
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _start(self) -> None:
        """Start the server, unless a process of this session did."""
        with self._first("address") as is_first:
            if is_first:
                _start_keeper(self._directory)

    def _make_template(self) -> None:
        """Make the migrated database that is cloned for each test, unless a process of this session did."""
        self._start()
        template = _template()
        with self._first(template) as is_first:
            if is_first:
                asyncio.run(self._fill_template(template))
                (self._directory / template).touch()

    async def _fill_template(self, template: str) -> None:
        await self._execute(f"DROP DATABASE IF EXISTS {template}")
        await self._execute(f"CREATE DATABASE {template}")
        await migrate(self.address(template))
        await self._execute(f"ALTER DATABASE {template} ALLOW_CONNECTIONS false")

    async def _execute(self, sql: str) -> None:
        session = await asyncpg.connect(self.address(MAINTENANCE_DATABASE))
        try:
            await session.execute(sql)
        finally:
            await session.close()

    @contextlib.contextmanager
    def _first(self, marker: str) -> Iterator[bool]:
        """Lock out the other processes, and return whether the marker's work is still to be done."""
        with open(self._directory / f"{marker}.lock", "ab") as mutex:
            fcntl.flock(mutex, fcntl.LOCK_EX)
            yield not (self._directory / marker).exists()


@functools.cache
def _template() -> str:
    """Name the template after its schema: a process of the session whose migrations are others has another one."""
    digest = hashlib.sha256("".join(migration.checksum for migration in read_migrations()).encode())
    return f"template_{digest.hexdigest()[:16]}"


def _fast_place() -> Path | None:
    """Return a directory in memory with room for the clones, if any: one takes 30 ms there, 150 to 400 on a disk."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_FREE_BYTES_MIN:
        return memory
    return None


def _start_keeper(directory: Path) -> None:
    """Start the keeper apart from the terminal's process group, and wait until its server is ready."""
    with open(directory / "keeper.log", "ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", __name__, str(directory)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert keeper.stdout is not None
    with keeper.stdout:
        answer = keeper.stdout.read()
    if answer != READY:
        keeper.wait()
        raise RuntimeError(f"no Postgres for the tests: {(directory / 'keeper.log').read_text()}")
    keeper.returncode = 0  # it outlives this process on purpose; this suppresses the warning


def main() -> None:
    """Run the keeper for the directory in the first argument; its lock is free once it has ended."""
    directory = Path(sys.argv[1])
    ready_fd = os.dup(1)
    os.dup2(2, 1)  # log lines go where errors go
    with open(directory / "keeper.lock", "ab") as lock, open(directory / "members.lock", "ab") as members:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            asyncio.run(_keep(directory, ready_fd, members.fileno()))
        finally:
            shutil.rmtree(directory / "postgres", ignore_errors=True)
            if not sys.exc_info()[0]:
                shutil.rmtree(directory, ignore_errors=True)


async def _keep(directory: Path, ready_fd: int, members_fd: int) -> None:
    """Hold the server until every member has left."""
    server = EmbeddedPostgres(directory / "postgres", settings=SETTINGS)
    await server.start()
    try:
        (directory / "address").write_text(server.dsn(MAINTENANCE_DATABASE))
        os.write(ready_fd, READY)
        os.close(ready_fd)
        await asyncio.to_thread(fcntl.flock, members_fd, fcntl.LOCK_EX)
    finally:
        await server.stop(immediate=True)


if __name__ == "__main__":
    main()
