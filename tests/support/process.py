"""The real server as a process of its own, that can be killed and started again on the same data."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from server.ops.pid_file import Running, read_pid_file
from storage.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
POLL_S = 0.02


@contextmanager
def readable_directory() -> Iterator[Path]:
    """A directory that the database's own user can reach too, gone at the end."""
    with TemporaryDirectory(prefix="guildwire-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


class ServerProcess:
    """``python -m server run`` on a folder of its own; always on the same port, so that clients find it again."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        self.data_dir = data_dir
        self.port = _free_port()
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GUILDWIRE_")},
            "PYTHONPATH": str(ROOT),
            "GUILDWIRE_SERVER__PORT": str(self.port),
            "GUILDWIRE_SERVER__DATA_DIR": str(data_dir),
            "GUILDWIRE_LOG__LEVEL": "warning",
            "GUILDWIRE_LIMITS__UNPAID_HOLDS_MAX": "0",
            "GUILDWIRE_LIMITS__COMMAND_RATES": "false",  # a test does in a second what people do in an hour
            **variables,
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process, in its present life."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has said, over all its lives."""
        return (self.data_dir / "server.log").read_text(errors="replace")

    async def start(self) -> Running:
        """Start it and wait until it is ready; gives the note that it leaves."""
        with (self.data_dir / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "server", "run"),
                cwd=self.data_dir,  # away from any config.toml
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._until_ready(self._process)
        except TimeoutError:
            raise AssertionError(f"the server is not ready: {self.log[-2000:]}") from None
        running = read_pid_file(self.data_dir)
        assert running is not None
        assert running.pid == self._process.pid
        return running

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        async with aiohttp.ClientSession() as http:
            while process.returncode is None:
                with suppress(aiohttp.ClientError):
                    async with http.get(f"{self.url}/ready") as answer:
                        note = read_pid_file(self.data_dir)
                        if answer.status == 200 and note is not None and note.pid == process.pid:
                            return
                await asyncio.sleep(POLL_S)
        raise AssertionError(f"the server has ended with {process.returncode}: {self.log[-2000:]}")

    async def kill(self) -> None:
        """Let it die in the middle of whatever it does."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """Let it end in good order; gives its exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            return await self._process.wait()

    async def clean_up(self) -> None:
        """Leave nothing running, whatever happened."""
        if self._process is None or (self._process.returncode is not None and self._process.returncode >= 0):
            return
        await self.kill()
        if not (self.data_dir / "postgres").exists():
            return
        postgres = EmbeddedPostgres(self.data_dir / "postgres")  # takes over what the killed server left
        await postgres.start()
        await postgres.stop(immediate=True)


@asynccontextmanager
async def server_process(data_dir: Path, **variables: str) -> AsyncIterator[ServerProcess]:
    """A server that is not started yet, and leaves nothing running."""
    server = ServerProcess(data_dir, **variables)
    try:
        yield server
    finally:
        await server.clean_up()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
