"""The server's WebSocket protocol (RFC 6455): handshake, fragments, pings, and invalid bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import aiohttp
import pytest

from protocol.ids import UserId
from server.live.connection.messages import CLOSE, PING, TEXT
from server.live.limits import Limits
from storage.database import Pool
from tests.support.live_server import TIMEOUT_S, LiveServer, acting, open_live
from tests.support.runtime import Node, make_runtime
from tests.support.wire import frame

ADA = UserId(UUID(int=1))
ada = acting(ADA)
HANDSHAKE = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "guildwire.v1.json",
}


@pytest.fixture
async def node(database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    async with make_runtime(database_dsn, pool, {}, {}) as node:
        yield node


@pytest.fixture
async def live(node: Node) -> AsyncIterator[LiveServer]:
    async with open_live(node) as live:
        yield live


class Wire:
    """A TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def ask(self, after: bytes = b"", **headers: str) -> None:
        """Send the handshake, and these bytes right after it."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**HANDSHAKE, **headers}.items() if value)
        self.writer.write(f"GET /v1/socket HTTP/1.1\r\n{lines}\r\n".encode() + after)

    async def head(self) -> str:
        """Receive the response's head."""
        async with asyncio.timeout(TIMEOUT_S):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def take(self) -> tuple[int, bytes]:
        """Receive the next message; returns its opcode and payload."""
        async with asyncio.timeout(TIMEOUT_S):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2), "big")
            return first & 0x0F, await self.reader.readexactly(length)

    async def opens(self, live: LiveServer) -> None:
        """Send handshake and hello, and receive the welcome."""
        self.ask()
        await self.head()
        self.writer.write(frame(b'{"frame":"hello","token":"%b"}' % live.token(ada).encode()))
        _, welcome = await self.take()
        assert b'"welcome"' in welcome


@asynccontextmanager
async def connected(live: LiveServer) -> AsyncIterator[Wire]:
    host, port = live.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


async def test_the_handshake_of_the_rfc(live: LiveServer) -> None:
    async with connected(live) as wire:
        wire.ask()
        head = await wire.head()

    assert head.startswith("HTTP/1.1 101 ")
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    assert "Sec-WebSocket-Protocol: guildwire.v1.json\r\n" in head


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        ("Upgrade", "", "not_a_websocket"),
        ("Upgrade", "h2c", "not_a_websocket"),
        ("Connection", "keep-alive", "not_a_websocket"),
        ("Sec-WebSocket-Version", "8", "websocket_version"),
        ("Sec-WebSocket-Key", "", "websocket_key"),
        ("Sec-WebSocket-Key", "c2hvcnQ=", "websocket_key"),
        ("Sec-WebSocket-Key", "not base64 at all!!!!!!==", "websocket_key"),
    ],
)
async def test_an_invalid_handshake_is_refused_with_a_problem(
    live: LiveServer, header: str, value: str, reason: str
) -> None:
    headers = {name: given for name, given in {**HANDSHAKE, header: value}.items() if given}
    async with aiohttp.ClientSession() as http, http.get(f"{live.url}/v1/socket", headers=headers) as answer:
        problem = await answer.json(content_type=None)

    assert (answer.status, problem["fields"]["reason"]) == (400, reason)
    assert live.hub.connection_count == 0


async def test_bytes_sent_right_after_the_handshake_are_not_lost(live: LiveServer) -> None:
    hello = frame(b'{"frame":"hello","token":"%b"}' % live.token(ada).encode())
    async with connected(live) as wire:
        wire.ask(after=hello + frame(b'{"frame":"ping"}')[:5])
        await wire.head()
        wire.writer.write(frame(b'{"frame":"ping"}')[5:])
        messages = [await wire.take(), await wire.take()]

    assert [payload[:17] for _, payload in messages] == [b'{"frame":"welcome', b'{"frame":"pong"}']


async def test_a_fragmented_message_is_one_frame(live: LiveServer) -> None:
    async with live.client(ada) as client:
        await client.connection.send(['{"frame"', ':"pi', 'ng"}'])
        await client.until("pong")


async def test_a_websocket_ping_is_answered_with_its_payload(live: LiveServer) -> None:
    async with live.client(ada) as client, asyncio.timeout(TIMEOUT_S):
        await (await client.connection.ping(b"there?"))


async def test_too_many_websocket_pings_count_as_a_flood(node: Node) -> None:
    limits = Limits(frames_per_s=0.001, frames_burst=5)
    async with open_live(node, limits=limits) as live, connected(live) as wire:
        await wire.opens(live)
        wire.writer.write(frame(b"", PING) * 10)
        kinds = [await wire.take()]
        while kinds[-1][0] != CLOSE:
            kinds.append(await wire.take())

    assert b'"reason":"rate_limited"' in kinds[-2][1]


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\x81\x01x", 1002), (frame(b"x" * 70_000)[:14], 1009)],
    ids=["not masked", "too big"],
)
async def test_invalid_bytes_are_answered_with_a_close_code(live: LiveServer, data: bytes, code: int) -> None:
    async with connected(live) as wire:
        await wire.opens(live)
        wire.writer.write(data)
        opcode, payload = await wire.take()
        wire.writer.write(b"whatever else comes is not read")
        async with asyncio.timeout(TIMEOUT_S):
            rest = await wire.reader.read()

    assert (opcode, int.from_bytes(payload[:2], "big"), rest) == (CLOSE, code, b"")


@pytest.mark.parametrize(
    ("close", "code"),
    [
        (b"", 1000),
        (b"\x03\xe8bye", 1000),
        (b"\x0b\xb8", 3000),
        (b"\x03", 1002),
        *[(number.to_bytes(2, "big"), 1002) for number in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)],
        (b"\x03\xe8\xff", 1007),
    ],
)
async def test_a_close_frame_is_answered_by_its_code_or_by_what_is_wrong_with_it(
    live: LiveServer, close: bytes, code: int
) -> None:
    async with connected(live) as wire:
        await wire.opens(live)
        wire.writer.write(frame(close, CLOSE))
        opcode, payload = await wire.take()

    assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)


async def test_a_client_that_only_answers_websocket_pings_stays(node: Node) -> None:
    limits = Limits(heartbeat_s=0.05, pong_s=0.2)
    async with open_live(node, limits=limits) as live, live.client(ada) as client:  # the library answers pings itself
        pings = [await client.until("ping") for _ in range(10)]

        assert len(pings) == 10
        assert live.hub.connection_count == 1


async def test_a_client_that_answers_no_ping_of_either_kind_is_closed(node: Node) -> None:
    async with open_live(node, limits=Limits(heartbeat_s=0.05, pong_s=0.05)) as live, connected(live) as wire:
        await wire.opens(live)
        messages = [await wire.take()]
        while messages[-1][0] != CLOSE:
            messages.append(await wire.take())

    assert (PING, b"") in messages
    assert messages[-1] == (CLOSE, (4002).to_bytes(2, "big") + b"no_pong")


async def test_a_client_that_keeps_sending_after_invalid_bytes_is_cut(node: Node) -> None:
    limits = Limits(close_s=0.1)
    async with open_live(node, limits=limits) as live, connected(live) as wire:
        await wire.opens(live)
        wire.writer.write(b"\x81\x01x")
        async with asyncio.timeout(TIMEOUT_S):
            while live.hub.connection_count:
                wire.writer.write(b"x")
                await asyncio.sleep(0.01)


async def test_a_lost_connection_is_removed(live: LiveServer) -> None:
    async with connected(live) as wire:
        await wire.opens(live)
        assert (live.hub.connection_count, live.hub.user_count) == (1, 1)
        wire.writer.transport.abort()
        async with asyncio.timeout(TIMEOUT_S):
            await live.hub._empty.wait()

    assert (live.hub.connection_count, live.hub.user_count) == (0, 0)


async def test_a_client_that_never_sends_hello_is_closed(node: Node) -> None:
    async with open_live(node, limits=Limits(hello_s=0.05)) as live, connected(live) as wire:
        wire.ask()
        await wire.head()
        messages = [await wire.take(), await wire.take()]

    assert [opcode for opcode, _ in messages] == [TEXT, CLOSE]
    assert b'"reason":"auth_timeout"' in messages[0][1]
