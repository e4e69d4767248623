"""``python -m server run`` as an operator meets it: it starts, says where it is, ends in good order, starts again."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from protocol.frames import CloseCode, OpenOutcome
from protocol.user.views import CurrentUser
from server.client import Client, Rest
from server.ops.pid_file import NOTE, read_pid_file
from storage.database import Pool
from tests.support.live_server import Client as Line
from tests.support.live_server import connect_client
from tests.support.process import ServerProcess, readable_directory, server_process
from tests.support.server import PASSWORD, TIMEOUT_S

EMAIL = "ada@people.test"
#: What the command line answers when a start was refused.
REFUSED = 2
#: Sent in one go, so that a stop finds some of them under way.
COMMANDS = 60


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
    """Open connections of somebody."""
    return [await stack.enter_async_context(connect_client(url, await rest.token())) for _ in range(count)]


async def refused_start(process: ServerProcess) -> tuple[int, str]:
    """Start one more server of the same settings, which must end by itself; gives its exit code and what it said."""
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


async def test_a_stop_says_goodbye_to_every_client_and_ends_with_0(process: ServerProcess) -> None:
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
    assert not (process.data_dir / NOTE).exists()
    assert "Traceback" not in process.log


async def test_whatever_is_done_before_a_stop_is_answered(process: ServerProcess, pool: Pool) -> None:
    running = await process.start()
    async with AsyncExitStack() as stack:
        (client,) = await lines(running.url, await signed_up(running.url, stack), stack, 1)
        for number in range(COMMANDS):
            data = {"name": "Workshop", "category_id": "repair", "city": "Berlin", "zone": "UTC", "currency": "EUR"}
            await client.send(frame="command", id=str(number), name="business.register", data=data)
        await client.answer("0")
        stopping = asyncio.create_task(process.stop())
        assert await client.end() == (CloseCode.SHUTDOWN, "shutdown")
        assert await stopping == 0

    frames = [msgspec.json.decode(raw) for raw in client.raw]
    assert not [frame for frame in frames if frame["frame"] == "error"]
    answered = [frame for frame in frames if frame["frame"] == "reply"]
    assert len(answered) == await pool.fetchval("SELECT count(*) FROM businesses")


async def test_a_client_lives_through_a_restart(process: ServerProcess) -> None:
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


async def test_a_second_server_at_the_same_place_is_refused_and_leaves_the_first_alone(process: ServerProcess) -> None:
    running = await process.start()

    code, said = await refused_start(process)

    assert code == REFUSED
    assert "address already in use" in said
    assert "Traceback" not in said
    assert read_pid_file(process.data_dir) == running
    async with Rest(running.url) as rest:
        assert (await rest.sign_up(EMAIL, PASSWORD, "Ada")).user.email == EMAIL
    await process.stop()


async def test_with_its_own_database_it_starts_again_after_a_stop_and_after_kill_9() -> None:
    with readable_directory() as data_dir:
        async with server_process(data_dir) as process, AsyncExitStack() as stack:
            first = await process.start()
            await signed_up(first.url, stack)
            assert await process.stop() == 0
            assert read_pid_file(data_dir) is None

            second = await process.start()
            await someone_is_there(second.url)
            await process.kill()
            assert (data_dir / NOTE).exists()
            assert read_pid_file(data_dir) is None, "the note of a dead server says nothing"

            third = await process.start()
            assert third.pid != second.pid
            await someone_is_there(third.url)
            await proved(process)
            assert await process.stop() == 0


async def someone_is_there(url: str) -> None:
    """Whoever signed up in an earlier life can sign in."""
    async with Rest(url) as rest:
        assert (await rest.sign_in(EMAIL, PASSWORD)).user.name == "Ada"


async def proved(process: ServerProcess) -> None:
    """``python -m server verify`` finds the running server's database, and nothing wrong in it."""
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
