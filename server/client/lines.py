"""The two kinds of line to a server: a WebSocket, and where none gets through an event stream with POST beside it.

Both bring the frames of docs/protocol.md, the welcome first, and take a client's frames. So whoever uses a line need
not know which kind it is; only topics, and what they would tell, are for sockets alone.
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
#: Queries that are asked at once beside an event stream, as many as a socket's session runs. Commands go one by one:
#: their order is that in which they were given.
QUERIES_AT_ONCE = 4
#: The code of a line that broke (RFC 6455 §7.4.1).
LOST = 1006

Frame = dict[str, Any]

#: Why an event stream is refused → as a socket would have been closed.
_REFUSED = {"expired": CloseCode.TOKEN_EXPIRED, "revoked": CloseCode.REVOKED}


class Closed(Exception):
    """The line has ended; ``code`` says why (docs/protocol.md). From 4500 on it has ended for good."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code


class NoSocket(Exception):
    """No WebSocket gets through, or none behind its handshake; the server may be there all the same."""


class Line(Protocol):
    """One connection, from its welcome to its end."""

    #: ``socket`` or ``stream``.
    transport: str

    async def hear(self) -> Frame:
        """The server's next frame. Raises: Closed; NoSocket before the first one."""
        ...

    async def send(self, frame: Frame) -> None:
        """Let a frame go out; lost if the line is broken."""
        ...

    def cut(self) -> None:
        """Break the line as a bad network does."""
        ...


class SocketLine:
    """A WebSocket that has said hello."""

    transport = "socket"

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._has_heard = False

    async def hear(self) -> Frame:
        try:
            frame: Frame = msgspec.json.decode(await self._socket.recv())
        except ConnectionClosed as closed:
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (LOST, "lost")
            if code == CloseCode.AUTH_TIMEOUT or (code == LOST and not self._has_heard):
                raise NoSocket from closed  # our hello was sent, and got stuck
            raise Closed(code, reason) from closed
        self._has_heard = True
        return frame

    async def send(self, frame: Frame) -> None:
        with suppress(ConnectionClosed):
            await self._socket.send(msgspec.json.encode(frame), text=True)

    def cut(self) -> None:
        self._socket.transport.abort()


class StreamLine:
    """``GET /v1/events``, with commands by ``POST /v1/commands`` and queries by their routes beside it.

    Topics are heard by socket only: to subscribe is answered, and to be done again on the next line. Acks and signals
    go nowhere.
    """

    transport = "stream"

    def __init__(self, rest: Rest, stream: aiohttp.ClientResponse) -> None:
        self._rest = rest
        self._stream = stream
        self._heard: asyncio.Queue[Frame | Exception] = asyncio.Queue(1)
        self._commands: asyncio.Queue[Frame] = asyncio.Queue()
        self._queries: asyncio.Queue[Frame] = asyncio.Queue()
        work = [self._read(), self._answer(self._commands)]
        work += [self._answer(self._queries) for _ in range(QUERIES_AT_ONCE)]
        self._tasks = [asyncio.create_task(self._supervise(one)) for one in work]

    async def hear(self) -> Frame:
        heard = await self._heard.get()
        if isinstance(heard, Exception):
            raise heard
        return heard

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
        """Let the stream go; what is still being asked has no answer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stream.close()

    async def _supervise(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it until it fails, which ends the line: whoever hears is told why, also of a bug."""
        try:
            await work
        except Exception as error:
            await self._heard.put(error)

    async def _read(self) -> None:
        """Pass on what the stream brings. Raises: Closed."""
        begun = b""
        try:
            async for chunk in self._stream.content.iter_any():
                *whole, begun = (begun + chunk).split(b"\n\n")
                for event in whole:
                    await self._pass_on(event)
                if len(begun) > FRAME_BYTES_MAX:
                    raise Closed(LOST, "frame too large")
        except (aiohttp.ClientError, OSError) as error:
            raise Closed(LOST, "lost") from error
        raise Closed(LOST, "ended")

    async def _pass_on(self, event: bytes) -> None:
        """Take the frame out of an event's one line of data; a comment is the stream's way to say ping."""
        for line in event.split(b"\n"):
            if line.startswith(b"data: "):
                frame = msgspec.json.decode(line[len(b"data: ") :])
                end = Closed(frame["code"], frame["reason"]) if frame["frame"] == "bye" else None
                await self._heard.put(frame)
                if end is not None:
                    raise end
            elif line.startswith(b":"):
                await self._heard.put({"frame": "ping"})

    async def _answer(self, asked: asyncio.Queue[Frame]) -> None:
        while True:
            await self._heard.put(await self._ask(await asked.get()))

    async def _ask(self, frame: Frame) -> Frame:
        """Ask over REST; gives the frame with which a socket would have answered. Raises: Closed."""
        try:
            match frame["frame"]:
                case "command":
                    answer = await self._rest.send(frame["data"], id=frame["id"], if_version=frame.get("if_version"))
                case "query":
                    answer = await self._rest.call(frame["data"])
                case _:
                    return {"frame": "reply", "id": frame["id"], "data": {}}
        except GuildwireError as error:
            if was_lost(error):  # nobody knows what came of it: to be sent again on the next line
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
async def open_socket(rest: Rest, token: str, device: str, since: str | None) -> AsyncIterator[SocketLine]:
    """Connect and say hello. Raises: NoSocket, OSError."""
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
        raise NoSocket from error
    async with socket:
        line = SocketLine(socket)
        await line.send(hello)
        yield line


@asynccontextmanager
async def open_stream(rest: Rest, token: str, since: str | None) -> AsyncIterator[StreamLine]:
    """Begin to listen. Raises: Closed, Fault."""
    try:
        stream = await rest.listen(token, since)
    except Unauthenticated as refusal:
        code = _REFUSED.get(refusal.fields.get("reason", ""), CloseCode.INVALID_TOKEN)
        raise Closed(code, code.reason) from refusal
    except Rejected as refusal:  # no stream here either, as of a server that has none; a socket may come back
        raise Unavailable(refusal=refusal.code, retry_after_s=refusal.fields.get("retry_after_s", 0.0)) from refusal
    line = StreamLine(rest, stream)
    try:
        yield line
    finally:
        await line.close()
