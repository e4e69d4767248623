"""What the workloads run against: Postgres on a real disk, a server process, and the CPU time that each uses."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from server.app.config import PREFIX
from server.ops.pid_file import Running, read_pid_file
from storage.database import connect
from storage.embedded import EmbeddedPostgres

ROOT = Path(__file__).parent.parent
#: On a disk, since it survives a reboot; /tmp may be in memory.
DISK = Path("/var/tmp")
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")

#: As in production, except for the rate limits.
SERVER_SETTINGS = {
    "GUILDWIRE_SERVER__PORT": "0",
    "GUILDWIRE_DEV__ENABLED": "false",
    "GUILDWIRE_DEV__DEMO_DATA": "false",
    "GUILDWIRE_LOG__LEVEL": "warning",
    "GUILDWIRE_LIMITS__COMMANDS_PER_S": "1000000",
    "GUILDWIRE_LIMITS__UNPAID_HOLDS_MAX": "0",
    "GUILDWIRE_LIMITS__COMMAND_RATES": "false",
}

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.05
LOG_TAIL_BYTES = 2_000
#: Attempts to read CPU times until no process ended during a reading.
READINGS_MAX = 10
#: WAL to pre-allocate; more than a run writes.
LOG_MB = 1024
_USE_UP_LOG = (
    "SELECT pg_logical_emit_message(false, 'bench', repeat(md5(n::text), 32768)) FROM generate_series(1, $1) n"
)


class NoDisk(Exception):
    """The directory is in memory, so results would not be comparable."""


class ServerFailed(Exception):
    """The server did not start, or crashed; the message is the end of its log."""


@asynccontextmanager
async def temporary_dir(parent: Path) -> AsyncIterator[Path]:
    """Make a directory on a disk that the database's user can enter, and delete it at the end. Raises: NoDisk."""
    made = Path(tempfile.mkdtemp(prefix="guildwire-bench-", dir=parent))
    try:
        mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
        kind = next(mounts[path] for path in [made, *made.resolve().parents] if path in mounts)
        if kind in MEMORY_FILE_SYSTEMS:
            raise NoDisk(f"{parent} is memory ({kind}); name a directory on a disk with --dir")
        made.chmod(0o755)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@asynccontextmanager
async def open_postgres(home: Path) -> AsyncIterator[EmbeddedPostgres]:
    """Run a fresh cluster with the server's settings, and with WAL files that are already allocated.

    A fresh cluster allocates each WAL file before its first use, which stops all commits for about 50 ms a second.
    Later the files are recycled; here enough of them are written first.
    """
    postgres = EmbeddedPostgres(home / "postgres", settings={"min_wal_size": f"{LOG_MB}MB"})
    try:
        session = await connect(await postgres.start())
        await session.execute(_USE_UP_LOG, LOG_MB)
        await session.execute("CHECKPOINT")
        await session.close()
        yield postgres
    finally:
        await postgres.stop(immediate=True)


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server process."""

    running: Running
    process: subprocess.Popen[bytes]


@asynccontextmanager
async def open_server(
    home: Path, dsn: str, settings: Mapping[str, str], launcher: tuple[str, ...] = ("server",)
) -> AsyncIterator[ServerProcess]:
    """Start the server as an operator would, and stop it by SIGTERM. Raises: ServerFailed.

    Args:
        settings: additional environment variables.
        launcher: the module that runs the server, with arguments before the server's own.
    """
    data_dir, log_path = home / "server", home / "server.log"
    paths = {"GUILDWIRE_DATABASE__URL": dsn, "GUILDWIRE_SERVER__DATA_DIR": str(data_dir)}
    process = _spawn_server(home, log_path, launcher, {**SERVER_SETTINGS, **paths, **settings})
    try:
        yield ServerProcess(await _wait_up(process, data_dir, log_path), process)
        if process.poll() is not None:
            raise ServerFailed(_tail(log_path))
    finally:
        await _stop(process)


def _spawn_server(
    home: Path, log_path: Path, launcher: tuple[str, ...], settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start the server in a folder without config.toml and without this process's configuration."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    with open(log_path, "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *launcher, "run"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,
            env={**environment, "PYTHONPATH": str(ROOT), **settings},
        )


async def _wait_up(process: subprocess.Popen[bytes], data_dir: Path, log_path: Path) -> Running:
    deadline = asyncio.get_running_loop().time() + START_TIMEOUT_S
    while asyncio.get_running_loop().time() < deadline and process.poll() is None:
        running = read_pid_file(data_dir)
        if running is not None:
            return running
        await asyncio.sleep(POLL_S)
    raise ServerFailed(_tail(log_path))


async def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)


def _tail(path: Path) -> str:
    return path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU time so far, user and system together."""

    postgres_s: float
    server_s: float
    #: Of all processes on this machine.
    all_s: float

    def since(self, before: "Spent") -> "Spent":
        """The CPU time used since an earlier reading."""
        return Spent(self.postgres_s - before.postgres_s, self.server_s - before.server_s, self.all_s - before.all_s)


def spent(postmaster_pid: int, server_pid: int | None = None) -> Spent:
    """Read the CPU time of Postgres, including its ended processes, and of the server."""
    machine = psutil.cpu_times()
    all_s = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0)
    postgres_s = _postgres_s(psutil.Process(postmaster_pid))
    if server_pid is None:
        return Spent(postgres_s, 0.0, all_s)
    server = psutil.Process(server_pid).cpu_times()
    return Spent(postgres_s, server.user + server.system, all_s)


def _postgres_s(postmaster: psutil.Process) -> float:
    """Sum up the postmaster, its ended and its running children; read again if one ended meanwhile."""
    total_s = 0.0
    for _ in range(READINGS_MAX):
        before = postmaster.cpu_times()
        total_s = before.user + before.system + before.children_user + before.children_system
        for child in postmaster.children(recursive=True):
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total_s += times.user + times.system
        after = postmaster.cpu_times()
        if (before.children_user, before.children_system) == (after.children_user, after.children_system):
            break
    return total_s
