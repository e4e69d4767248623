"""A live server: hub, runtime and database behind a port, and clients that send and receive single frames.

async with open_live(node) as live, live.client(ADA) as ada:
    await ada.send(frame="command", id="1", name="conversation.post", data=…)
    reply = await ada.reply("1")
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp.web import TCPSite
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from protocol.errors import Unauthenticated
from protocol.frames import SUBPROTOCOL_JSON
from protocol.ids import BusinessId, SessionId, UserId
from protocol.rates import Rate
from protocol.registry import Query
from protocol.roles import Principal, Role
from server.accounts.tokens import Verified
from server.edge.event_route import EVENTS_PATH
from server.edge.rates import Limiters, RateLimits
from server.live.connection.events_endpoint import EventsEndpoint
from server.live.connection.handshake import WebSocketEndpoint
from server.live.hub.hub import Hub, QueryHandler
from server.live.limits import Limits
from server.rest.app import HttpApp
from tests.support.runtime import Node

#: Everything here takes milliseconds; a test that waits longer has failed.
TIMEOUT_S = 20
UNLIMITED = Rate(100_000.0, 100_000)


def acting(user_id: UserId, role: Role = Role.CUSTOMER, business_id: BusinessId | None = None) -> Principal:
    """A user in one role, with a session of their own."""
    return Principal(
        user_id=user_id,
        role=role,
        roles=frozenset({role}),
        business_id=business_id,
        session_id=SessionId(user_id),
    )


class Client:
    """One WebSocket, and the frames that it received."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.welcome: dict[str, Any] = {}
        #: Every message as received, and the events among them.
        self.raw: list[bytes] = []
        self.events: list[dict[str, Any]] = []

    async def send(self, **frame: Any) -> None:
        """Send a frame."""
        await self.connection.send(msgspec.json.encode(frame), text=True)

    async def take(self) -> dict[str, Any]:
        """Receive the next frame. Raises: ConnectionClosed."""
        async with asyncio.timeout(TIMEOUT_S):
            data = await self.connection.recv(decode=False)
        self.raw.append(data)
        frame: dict[str, Any] = msgspec.json.decode(data)
        if frame["frame"] == "event":
            self.events.append(frame)
        return frame

    async def until(self, kind: str, **having: Any) -> dict[str, Any]:
        """Receive frames until one is of this kind and has these fields."""
        while True:
            frame = await self.take()
            if frame["frame"] == kind and all(frame.get(name) == value for name, value in having.items()):
                return frame

    async def answer(self, frame_id: str) -> dict[str, Any]:
        """Receive frames until the reply or error with this id."""
        while True:
            frame = await self.take()
            if frame["frame"] in ("reply", "error") and frame.get("id") == frame_id:
                return frame

    async def event(self, seq: int) -> dict[str, Any]:
        """Receive frames until this event."""
        while not self.events or self.events[-1].get("seq", 0) < seq:
            await self.take()
        return self.events[-1]

    async def end(self) -> tuple[int, str]:
        """Receive frames until the server closes; returns code and reason."""
        with pytest.raises(ConnectionClosed) as closed:
            await self.until("nothing")
        assert closed.value.rcvd is not None, "the connection was cut"
        return closed.value.rcvd.code, closed.value.rcvd.reason

    @property
    def seqs(self) -> list[int]:
        """The numbers of the received events."""
        return [event["seq"] for event in self.events if "seq" in event]

    @property
    def since(self) -> str:
        """The position to resume from."""
        return f"{self.welcome['epoch']}:{self.seqs[-1] if self.seqs else self.welcome['seq']}"


class LiveServer:
    """A hub behind a port."""

    def __init__(self, node: Node, hub: Hub, url: str, tokens: dict[str, Verified]) -> None:
        self.node = node
        self.hub = hub
        self.url = url
        self.tokens = tokens

    def token(self, principal: Principal, lasts_s: float = 3600.0) -> str:
        """Make a token."""
        token = f"token-{len(self.tokens)}"
        now = time.time()
        session_id = principal.session_id or SessionId(principal.user_id)
        self.tokens[token] = Verified(principal, session_id, 0, issued_at=now, expires_at=now + lasts_s)
        return token

    @asynccontextmanager
    async def connect(self, **options: Any) -> AsyncIterator[ClientConnection]:
        """Connect, and send no hello."""
        options = {"subprotocols": [Subprotocol(SUBPROTOCOL_JSON)], "compression": None, **options}
        url = f"ws{self.url.removeprefix('http')}/v1/socket"
        async with connect(url, ping_interval=None, close_timeout=1, **options) as connection:
            yield connection

    @asynccontextmanager
    async def client(
        self, principal: Principal, since: str | None = None, device: str | None = None, **options: Any
    ) -> AsyncIterator[Client]:
        """Connect, and receive the welcome."""
        async with self.connect(**options) as connection:
            client = Client(connection)
            hello = {"token": self.token(principal), "since": since, "device": device}
            await client.send(frame="hello", **{name: value for name, value in hello.items() if value is not None})
            client.welcome = await client.take()
            assert client.welcome["frame"] == "welcome", client.welcome
            yield client


@asynccontextmanager
async def connect_client(url: str, token: str) -> AsyncIterator[Client]:
    """Connect to any server, and receive the welcome; the client does not reconnect."""
    socket_url = f"ws{url.removeprefix('http')}/v1/socket"
    async with connect(socket_url, subprotocols=[Subprotocol(SUBPROTOCOL_JSON)], close_timeout=1) as connection:
        client = Client(connection)
        await client.send(frame="hello", token=token)
        client.welcome = await client.take()
        assert client.welcome["frame"] == "welcome", client.welcome
        yield client


def small_receive_buffer(url: str) -> socket.socket:
    """A connected socket with a small kernel buffer."""
    host, port = url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.setblocking(False)
    return raw


@asynccontextmanager
async def open_live(
    node: Node,
    *,
    limits: Limits | None = None,
    queries: dict[type[Query], QueryHandler] | None = None,
    rates: RateLimits | None = None,
    allowed_origins: tuple[str, ...] = (),
) -> AsyncIterator[LiveServer]:
    """Serve a node's users over WebSocket and REST."""
    tokens: dict[str, Verified] = {}

    def verify(token: str) -> Verified:
        if token not in tokens:
            raise Unauthenticated(reason="invalid")
        if tokens[token].expires_at <= time.time():
            raise Unauthenticated(reason="expired")
        return tokens[token]

    limiters = Limiters(rates or RateLimits(commands_per_user=UNLIMITED, queries_per_user=UNLIMITED))
    hub = Hub(
        pool=node.pool,
        verify=verify,
        submit=node.runtime.submit,
        new_id=node.runtime.new_id,
        queries=queries or {},
        limiters=limiters,
        limits=limits or Limits(close_s=2.0),
    )
    app = HttpApp(
        runtime=node.runtime,
        queries={},
        procedures={},
        authenticate=lambda token: verify(token).principal,
        pool=node.pool,
        extra={
            ("GET", "/v1/socket"): WebSocketEndpoint(hub, lambda origin: origin in allowed_origins).handle,
            ("GET", EVENTS_PATH): EventsEndpoint(hub, lambda token: verify(token).principal, limiters).handle,
        },
        limiters=limiters,
        declarations=[],
    )
    publish = node.runtime.publish
    node.runtime.publish = hub.publish
    await hub.start()
    runner = app.runner(shutdown_timeout_s=1.0)
    await runner.setup()
    await TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    try:
        yield LiveServer(node, hub, f"http://{host}:{port}", tokens)
    finally:
        async with asyncio.timeout(TIMEOUT_S):
            await hub.drain()
        await runner.cleanup()
        await hub.stop()
        node.runtime.publish = publish
