"""The two transports of the client: a WebSocket, or an event stream with POST where no WebSocket gets through.

Both deliver the frames of docs/protocol.md, the welcome first, and send a client's frames. Only topics, signals and
acks need a WebSocket.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import aiohttp
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from protocol.errors import GuildwireError, Rejected, Unauthenticated, Unavailable
from protocol.frames import SUBPROTOCOL_JSON, CloseCode
from server.client.rest import Rest, was_lost

#: One frame of the server, an event with all its text.
FRAME_BYTES_MAX = 4 * 1024 * 1024
#: Queries that run at once beside an event stream, as many as the session of a WebSocket runs. Commands are sent one
#: after the other, so that their order is kept.
QUERIES_AT_ONCE = 4
#: The close code of a connection that was lost (RFC 6455 §7.4.1).
LOST = 1006

Frame = dict[str, Any]

#: Why an event stream is refused → the close code that a WebSocket would have had.
_REFUSED = {"expired": CloseCode.TOKEN_EXPIRED, "revoked": CloseCode.REVOKED}


class Closed(Exception):
    """The connection was closed; ``code`` is the reason (docs/protocol.md). From 4500 on, do not reconnect."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code


class WebSocketBlocked(Exception):
    """The handshake of a WebSocket fails, or nothing arrives after it; the server may be reachable all the same."""


class Connection(Protocol):
    """One connection, from its welcome to its end."""

    #: ``socket`` or ``stream``.
    transport: str

    async def receive(self) -> Frame:
        """Return the server's next frame. Raises: Closed; WebSocketBlocked before the first one."""
        ...

    async def send(self, frame: Frame) -> None:
        """Send a frame; it is lost if the connection is broken."""
        ...

    def cut(self) -> None:
        """Break the connection, as a bad network does."""
        ...


class WebSocketConnection:
    """A WebSocket whose hello was sent."""

    transport = "socket"

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._has_received = False

    async def receive(self) -> Frame:
        try:
            frame: Frame = msgspec.json.decode(await self._socket.recv())
        except ConnectionClosed as closed:
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (LOST, "lost")
            if code == CloseCode.AUTH_TIMEOUT or (code == LOST and not self._has_received):
                raise WebSocketBlocked from closed  # the hello was sent and did not arrive
            raise Closed(code, reason) from closed
        self._has_received = True
        return frame

    async def send(self, frame: Frame) -> None:
        with suppress(ConnectionClosed):
            await self._socket.send(msgspec.json.encode(frame), text=True)

    def cut(self) -> None:
        self._socket.transport.abort()


class EventStreamConnection:
    """``GET /v1/events`` for events, ``POST /v1/commands`` for commands, and the routes of queries.

    Topics need a WebSocket: a subscription is confirmed and takes effect with the next one. Acks and signals are
    dropped.
    """

    transport = "stream"

    def __init__(self, rest: Rest, stream: aiohttp.ClientResponse) -> None:
        self._rest = rest
        self._stream = stream
        self._received: asyncio.Queue[Frame | Exception] = asyncio.Queue(1)
        self._commands: asyncio.Queue[Frame] = asyncio.Queue()
        self._queries: asyncio.Queue[Frame] = asyncio.Queue()
        work = [self._read(), self._run(self._commands)]
        work += [self._run(self._queries) for _ in range(QUERIES_AT_ONCE)]
        self._tasks = [asyncio.create_task(self._supervise(one)) for one in work]

    async def receive(self) -> Frame:
        received = await self._received.get()
        if isinstance(received, Exception):
            raise received
        return received

    async def send(self, frame: Frame) -> None:
        match frame["frame"]:
            case "command":
                self._commands.put_nowait(frame)
            case "query" | "subscribe":
                self._queries.put_nowait(frame)

    def cut(self) -> None:
        connection = self._stream.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()

    async def close(self) -> None:
        """Close the stream, and cancel the requests under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stream.close()

    async def _supervise(self, work: Coroutine[Any, Any, None]) -> None:
        """Pass any error to ``receive``, which ends the connection."""
        try:
            await work
        except Exception as error:
            await self._received.put(error)

    async def _read(self) -> None:
        """Read the stream. Raises: Closed."""
        rest = b""
        try:
            async for chunk in self._stream.content.iter_any():
                *events, rest = (rest + chunk).split(b"\n\n")
                for event in events:
                    await self._parse(event)
                if len(rest) > FRAME_BYTES_MAX:
                    raise Closed(LOST, "frame too large")
        except (aiohttp.ClientError, OSError) as error:
            raise Closed(LOST, "lost") from error
        raise Closed(LOST, "ended")

    async def _parse(self, event: bytes) -> None:
        """Pass the frame of an event, one line of data, to ``receive``; a comment is a ping. Raises: Closed."""
        for line in event.split(b"\n"):
            if line.startswith(b"data: "):
                frame = msgspec.json.decode(line[len(b"data: ") :])
                closed = Closed(frame["code"], frame["reason"]) if frame["frame"] == "bye" else None
                await self._received.put(frame)
                if closed is not None:
                    raise closed
            elif line.startswith(b":"):
                await self._received.put({"frame": "ping"})

    async def _run(self, requests: asyncio.Queue[Frame]) -> None:
        while True:
            await self._received.put(await self._request(await requests.get()))

    async def _request(self, frame: Frame) -> Frame:
        """Send a request over REST; returns the reply or error as a frame. Raises: Closed."""
        try:
            match frame["frame"]:
                case "command":
                    answer = await self._rest.send(frame["data"], id=frame["id"], if_version=frame.get("if_version"))
                case "query":
                    answer = await self._rest.call(frame["data"])
                case _:
                    return {"frame": "reply", "id": frame["id"], "data": {}}
        except GuildwireError as error:
            if was_lost(error):  # the outcome is unknown: the client sends it again over the next connection
                raise Closed(LOST, "no answer") from error
            return {"frame": "error", "id": frame["id"], "code": error.code, "fields": error.fields}
        return {
            "frame": "reply",
            "id": frame["id"],
            "data": answer.reply,
            "version": answer.version,
            "replayed": answer.replayed,
        }


@asynccontextmanager
async def open_socket(rest: Rest, token: str, device: str, since: str | None) -> AsyncIterator[WebSocketConnection]:
    """Connect and send the hello. Raises: WebSocketBlocked, OSError."""
    hello = {"frame": "hello", "token": token, "device": device}
    if since is not None:
        hello["since"] = since
    connecting = connect(
        "ws" + rest.url.removeprefix("http") + "/v1/socket",
        subprotocols=[Subprotocol(SUBPROTOCOL_JSON)],
        compression=None,
        max_size=FRAME_BYTES_MAX,
        ping_interval=None,
    )
    try:
        socket = await connecting
    except (InvalidHandshake, TimeoutError) as error:
        raise WebSocketBlocked from error
    async with socket:
        connection = WebSocketConnection(socket)
        await connection.send(hello)
        yield connection


@asynccontextmanager
async def open_stream(rest: Rest, token: str, since: str | None) -> AsyncIterator[EventStreamConnection]:
    """Open the event stream. Raises: Closed, Fault."""
    try:
        stream = await rest.listen(token, since)
    except Unauthenticated as refusal:
        code = _REFUSED.get(refusal.fields.get("reason", ""), CloseCode.INVALID_TOKEN)
        raise Closed(code, code.reason) from refusal
    except Rejected as refusal:  # a server without event streams, for example; a WebSocket may get through later
        raise Unavailable(refusal=refusal.code, retry_after_s=refusal.fields.get("retry_after_s", 0.0)) from refusal
    connection = EventStreamConnection(rest, stream)
    try:
        yield connection
    finally:
        await connection.close()
