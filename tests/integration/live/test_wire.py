"""The gateway's own side of WebSocket (RFC 6455): handshake, messages in pieces, pings, and what breaks the rules."""

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
from tests.support.gateway import TIMEOUT_S, Gateway, acting, make_gateway
from tests.support.runtime import Node, make_runtime
from tests.support.wire import frame

ADA = UserId(UUID(int=1))
ada = acting(ADA)
HANDSHAKE = {
    "Host": "guildwire.test",
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
async def gateway(node: Node) -> AsyncIterator[Gateway]:
    async with make_gateway(node) as gateway:
        yield gateway


class Wire:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def ask(self, behind: bytes = b"", **headers: str) -> None:
        """Ask for a WebSocket, and send this right behind it."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**HANDSHAKE, **headers}.items() if value)
        self.writer.write(f"GET /v1/socket HTTP/1.1\r\n{lines}\r\n".encode() + behind)

    async def head(self) -> str:
        """The answer's head."""
        async with asyncio.timeout(TIMEOUT_S):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def take(self) -> tuple[int, bytes]:
        """The next message: its opcode and its payload."""
        async with asyncio.timeout(TIMEOUT_S):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2), "big")
            return first & 0x0F, await self.reader.readexactly(length)

    async def opens(self, gateway: Gateway) -> None:
        """Say hello, and be welcome."""
        self.ask()
        await self.head()
        self.writer.write(frame(b'{"frame":"hello","token":"%b"}' % gateway.token(ada).encode()))
        _, welcome = await self.take()
        assert b'"welcome"' in welcome


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[Wire]:
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


async def test_the_handshake_is_answered_as_in_the_rfc(gateway: Gateway) -> None:
    async with connected(gateway) as wire:
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
async def test_what_is_no_handshake_is_refused_with_a_problem(
    gateway: Gateway, header: str, value: str, reason: str
) -> None:
    headers = {name: given for name, given in {**HANDSHAKE, header: value}.items() if given}
    async with aiohttp.ClientSession() as http, http.get(f"{gateway.url}/v1/socket", headers=headers) as answer:
        problem = await answer.json(content_type=None)

    assert (answer.status, problem["fields"]["reason"]) == (400, reason)
    assert gateway.hub.connection_count == 0


async def test_what_came_right_behind_the_handshake_is_not_lost(gateway: Gateway) -> None:
    hello = frame(b'{"frame":"hello","token":"%b"}' % gateway.token(ada).encode())
    async with connected(gateway) as wire:
        wire.ask(behind=hello + frame(b'{"frame":"ping"}')[:5])
        await wire.head()
        wire.writer.write(frame(b'{"frame":"ping"}')[5:])
        said = [await wire.take(), await wire.take()]

    assert [payload[:17] for _, payload in said] == [b'{"frame":"welcome', b'{"frame":"pong"}']


async def test_a_message_in_pieces_is_one_frame(gateway: Gateway) -> None:
    async with gateway.client(ada) as client:
        await client.line.send(['{"frame"', ':"pi', 'ng"}'])
        await client.until("pong")


async def test_a_ping_of_websockets_own_is_answered_with_what_it_brought(gateway: Gateway) -> None:
    async with gateway.client(ada) as client, asyncio.timeout(TIMEOUT_S):
        await (await client.line.ping(b"there?"))


async def test_too_many_pings_of_websockets_own_count_as_a_flood(node: Node) -> None:
    limits = Limits(frames_per_s=0.001, frames_burst=5)
    async with make_gateway(node, limits=limits) as gateway, connected(gateway) as wire:
        await wire.opens(gateway)
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
async def test_what_breaks_the_protocol_is_told_so_and_the_line_ends(gateway: Gateway, data: bytes, code: int) -> None:
    async with connected(gateway) as wire:
        await wire.opens(gateway)
        wire.writer.write(data)
        opcode, payload = await wire.take()
        wire.writer.write(b"whatever else comes is not read")
        async with asyncio.timeout(TIMEOUT_S):
            rest = await wire.reader.read()

    assert (opcode, int.from_bytes(payload[:2], "big"), rest) == (CLOSE, code, b"")


async def test_who_goes_on_after_breaking_the_protocol_is_cut(node: Node) -> None:
    limits = Limits(close_s=0.1)
    async with make_gateway(node, limits=limits) as gateway, connected(gateway) as wire:
        await wire.opens(gateway)
        wire.writer.write(b"\x81\x01x")
        async with asyncio.timeout(TIMEOUT_S):
            while gateway.hub.connection_count:
                wire.writer.write(b"x")
                await asyncio.sleep(0.01)


async def test_a_client_that_vanishes_is_forgotten(gateway: Gateway) -> None:
    async with connected(gateway) as wire:
        await wire.opens(gateway)
        assert (gateway.hub.connection_count, gateway.hub.user_count) == (1, 1)
        wire.writer.transport.abort()
        async with asyncio.timeout(TIMEOUT_S):
            await gateway.hub._empty.wait()

    assert (gateway.hub.connection_count, gateway.hub.user_count) == (0, 0)


async def test_a_client_that_never_says_hello_is_let_go(node: Node) -> None:
    async with make_gateway(node, limits=Limits(hello_s=0.05)) as gateway, connected(gateway) as wire:
        wire.ask()
        await wire.head()
        said = [await wire.take(), await wire.take()]

    assert [opcode for opcode, _ in said] == [TEXT, CLOSE]
    assert b'"reason":"auth_timeout"' in said[0][1]
