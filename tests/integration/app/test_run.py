"""``python -m server run`` as a process: it starts, prints its address, stops in order, and starts again."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from protocol.frames import CloseCode, OpenOutcome
from protocol.user.views import CurrentUser
from server.app.config import Config
from server.client import Client, Rest
from server.edge.config import ServerConfig
from server.ops.doctor import examine
from server.ops.pid_file import PID_FILE, read_pid_file
from server.ops.systemd import READY, STOPPING, WATCHDOG
from storage.database import Pool
from tests.support.live_server import Client as Line
from tests.support.live_server import connect_client
from tests.support.process import ServerProcess, readable_directory, server_process
from tests.support.server import PASSWORD, TIMEOUT_S

EMAIL = "ada@people.test"
#: What the command line answers when a start was refused.
REFUSED = 2
#: Sent in one go, so that a stop finds some of them under way.
COMMANDS = 20


@pytest.fixture
async def process(database_dsn: str, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server on the tests' database, not started yet."""
    async with server_process(tmp_path, GUILDWIRE_DATABASE__URL=database_dsn, GUILDWIRE_SERVER__DRAIN_S="2") as server:
        yield server


async def signed_up(url: str, stack: AsyncExitStack) -> Rest:
    rest = await stack.enter_async_context(Rest(url))
    await rest.sign_up(EMAIL, PASSWORD, "Ada")
    return rest


async def lines(url: str, rest: Rest, stack: AsyncExitStack, count: int) -> list[Line]:
    """Open connections of one user."""
    return [await stack.enter_async_context(connect_client(url, await rest.token())) for _ in range(count)]


async def refused_start(process: ServerProcess) -> tuple[int, str]:
    """Start another server with the same settings, which must exit by itself; returns its exit code and output."""
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "run"),
        cwd=process.data_dir,
        env=process._environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(TIMEOUT_S):
        said, _ = await second.communicate()
    assert second.returncode is not None
    return second.returncode, said.decode()


async def test_a_stop_closes_every_connection_and_exits_with_0(process: ServerProcess) -> None:
    running = await process.start()
    assert (running.url, read_pid_file(process.data_dir)) == (process.url, running)
    async with AsyncExitStack() as stack:
        clients = await lines(running.url, await signed_up(running.url, stack), stack, 3)

        stopping = asyncio.create_task(process.stop())
        for client in clients:
            bye = await client.until("bye")
            assert (bye["code"], bye["reason"], bye["reconnect"]) == (CloseCode.SHUTDOWN, "shutdown", True)
            assert bye["after_s"] >= 0
            assert await client.end() == (CloseCode.SHUTDOWN, "shutdown")
        assert await stopping == 0

    assert read_pid_file(process.data_dir) is None
    assert not (process.data_dir / PID_FILE).exists()
    assert "Traceback" not in process.log


async def test_commands_accepted_before_a_stop_get_their_replies(process: ServerProcess, pool: Pool) -> None:
    running = await process.start()
    async with AsyncExitStack() as stack:
        (client,) = await lines(running.url, await signed_up(running.url, stack), stack, 1)
        for number in range(COMMANDS):
            data = {"label": f"Home {number}", "street": "Hauptstraße 1", "city": "Berlin", "country": "DE"}
            await client.send(frame="command", id=str(number), name="address.put", data=data)
        await client.answer("0")
        stopping = asyncio.create_task(process.stop())
        assert await client.end() == (CloseCode.SHUTDOWN, "shutdown")
        assert await stopping == 0

    frames = [msgspec.json.decode(raw) for raw in client.raw]
    assert not [frame for frame in frames if frame["frame"] == "error"]
    answered = [frame for frame in frames if frame["frame"] == "reply"]
    assert len(answered) == await pool.fetchval("SELECT count(*) FROM addresses")


async def test_a_client_survives_a_restart(process: ServerProcess) -> None:
    running = await process.start()
    async with AsyncExitStack() as stack:
        rest = await signed_up(running.url, stack)
        client = await stack.enter_async_context(Client(rest))
        assert await process.stop() == 0
        asking = asyncio.create_task(client.ask(CurrentUser()))
        again = await process.start()

        assert again.url == running.url
        async with asyncio.timeout(TIMEOUT_S):
            assert (await asking).email == EMAIL
        assert client.outcomes == [OpenOutcome.FRESH, OpenOutcome.RESUMED]
    await process.stop()


async def test_a_second_server_at_the_same_address_or_folder_is_refused(process: ServerProcess) -> None:
    running = await process.start()

    code, said = await refused_start(process)

    assert code == REFUSED
    where = f"127.0.0.1:{process.port} is in use by the running server {process.url} (process id {process.pid})"
    assert said == f"CannotListenError: {where}; set another port by GUILDWIRE_SERVER__PORT or server.port\n"
    assert "Traceback" not in said
    assert read_pid_file(process.data_dir) == running
    async with Rest(running.url) as rest:
        assert (await rest.sign_up(EMAIL, PASSWORD, "Ada")).user.email == EMAIL
    await process.stop()


async def test_a_taken_port_is_named_before_a_database_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with server_process(tmp_path, GUILDWIRE_SERVER__PORT=str(port)) as process:
            code, said = await refused_start(process)

    assert code == REFUSED
    assert f"127.0.0.1:{port} is in use; set another port by GUILDWIRE_SERVER__PORT" in said
    assert not (tmp_path / "postgres").exists()


async def test_a_second_server_of_a_data_folder_is_told_who_uses_it() -> None:
    with readable_directory() as data_dir:
        async with server_process(data_dir) as process, server_process(data_dir) as second:
            await process.start()

            code, said = await refused_start(second)

            assert code == REFUSED
            assert f"is already in use by the running server {process.url} (process id {process.pid})" in said
            await process.stop()


async def test_systemd_is_told_that_the_server_is_ready_alive_and_stopping(
    database_dsn: str, tmp_path: Path, unused_address: str
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(unused_address)
        manager.settimeout(TIMEOUT_S)
        variables = {"NOTIFY_SOCKET": unused_address, "WATCHDOG_USEC": "100000"}
        async with server_process(tmp_path, GUILDWIRE_DATABASE__URL=database_dsn, **variables) as process:
            await process.start()
            received = [await asyncio.to_thread(manager.recv, 100) for _ in range(3)]
            await process.stop()
            manager.setblocking(False)
            while received[-1] != STOPPING:
                received.append(manager.recv(100))

    assert received[:3] == [READY, WATCHDOG, WATCHDOG]


@pytest.fixture
def unused_address() -> Iterator[str]:
    """The address of a Unix socket, short enough for one."""
    with TemporaryDirectory(prefix="gw-") as folder:
        yield f"{folder}/notify"


async def test_with_json_logs_a_start_and_a_stop_are_log_lines(database_dsn: str, tmp_path: Path) -> None:
    variables = {"GUILDWIRE_LOG__FORMAT": "json", "GUILDWIRE_LOG__LEVEL": "info"}
    async with server_process(tmp_path, GUILDWIRE_DATABASE__URL=database_dsn, **variables) as process:
        await process.start()
        await process.stop()

        events = [msgspec.json.decode(line) for line in process.log.splitlines()]

    (ready,) = [event for event in events if event["event"] == "server.ready"]
    assert (ready["url"], ready["development"]) == (process.url, False)
    assert [event["event"] for event in events][-1] == "server.stopped"


async def test_the_banner_is_not_wrapped_in_a_pipe(process: ServerProcess) -> None:
    await process.start()
    await process.stop()

    assert f"health    {process.url}/ready   metrics {process.url}/metrics\n" in process.log


async def test_doctor_recognises_the_running_server_s_port(process: ServerProcess) -> None:
    await process.start()
    config = Config(server=ServerConfig(port=process.port, data_dir=str(process.data_dir)))

    (found,) = [each async for each in examine(config) if each.name == "port"]

    assert (found.ok, f"process id {process.pid}" in found.detail) == (True, True)
    await process.stop()


async def test_with_its_own_database_it_starts_again_after_a_stop_and_after_kill_9() -> None:
    with readable_directory() as data_dir:
        async with server_process(data_dir) as process, AsyncExitStack() as stack:
            first = await process.start()
            await signed_up(first.url, stack)
            assert await process.stop() == 0
            assert read_pid_file(data_dir) is None

            second = await process.start()
            await assert_account_exists(second.url)
            await process.kill()
            assert (data_dir / PID_FILE).exists()
            assert read_pid_file(data_dir) is None, "the pid file of a dead server is ignored"

            third = await process.start()
            assert third.pid != second.pid
            await assert_account_exists(third.url)
            await assert_audit_passes(process)
            assert await process.stop() == 0


async def assert_account_exists(url: str) -> None:
    """The account from before the restart can sign in."""
    async with Rest(url) as rest:
        assert (await rest.sign_in(EMAIL, PASSWORD)).user.name == "Ada"


async def assert_audit_passes(process: ServerProcess) -> None:
    """``python -m server verify`` finds the running server's database, and no violation in it."""
    verify = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "verify"),
        cwd=process.data_dir,
        env=process._environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(TIMEOUT_S):
        said, _ = await verify.communicate()
    assert verify.returncode == 0, said.decode()
    assert "every invariant holds" in said.decode()
