"""The event stream: a user's numbered events as Server-Sent Events (WHATWG HTML §9.2), resumable over any transport.

    id: 9f2c11aa04be:42
    event: message.posted
    data: {"frame":"event","seq":42,…}

``data`` is the same frame as over a WebSocket. ``id`` is a value for ``since``: a client that sends it back, here as
``Last-Event-ID``, resumes after it.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import BaseRequest

from protocol.frames import Bye, CloseCode, Hello, OpenOutcome, Ping, Pong, ServerFrame, Welcome
from server.live.connection.codec import Codec, JsonCodec
from server.live.connection.outgoing import Outgoing
from server.live.connection.receive_only import ReceiveOnlyConnection
from server.live.limits import Limits

if TYPE_CHECKING:  # the hub imports connections
    from server.live.hub.hub import Hub

_LAST_CHUNK = b"0\r\n\r\n"
#: The start of an event's body: its first field is the type.
_TYPE_AT = len(b'"type":"')


class SseCodec(JsonCodec):
    """Writes frames as Server-Sent Events; the hello that stands for the request is JSON."""

    def __init__(self, epoch: str) -> None:
        super().__init__()
        self.epoch = epoch
        self._epoch = epoch.encode()

    def encode(self, frame: ServerFrame | Ping | Pong) -> bytes:
        """Write a frame; a ping is a comment, which needs no answer."""
        if isinstance(frame, Ping | Pong):
            return b": ping\n\n"
        lines = b"event: %b\ndata: %b\n\n" % (str(frame.__struct_config__.tag).encode(), super().encode(frame))
        if isinstance(frame, Welcome) and frame.outcome is not OpenOutcome.RESUMED:
            # The client resumes from here. One that is resuming keeps its position until the next event.
            return b"id: %b:%d\n%b" % (self._epoch, frame.seq, lines)
        if isinstance(frame, Bye) and frame.reconnect and frame.after_s:
            return b"retry: %d\n%b" % (frame.after_s * 1000, lines)
        return lines

    def event(self, seq: int | None, body: bytes) -> bytes:
        """Write an event around a body, whose first field is the type."""
        name = body[_TYPE_AT : body.index(b'"', _TYPE_AT)]
        lines = b"event: %b\ndata: %b\n\n" % (name, super().event(seq, body))
        return lines if seq is None else b"id: %b:%d\n%b" % (self._epoch, seq, lines)


class Chunks(Outgoing):
    """The unsent bytes of one event stream, within the same bound as a WebSocket's.

    Args:
        chunked: whether the body is sent in chunks (RFC 9112 §7.1), as with every HTTP/1.1 client.
    """

    __slots__ = ("_chunked",)

    def __init__(self, transport: asyncio.WriteTransport, limits: Limits, *, chunked: bool) -> None:
        super().__init__(transport, 0, limits)
        self._chunked = chunked

    def add(self, frames: list[bytes]) -> None:
        """Add frames to the next write, as one chunk."""
        if not self._chunked:
            self._parts += frames
        elif frames:
            self._parts += (b"%x\r\n" % sum(map(len, frames)), *frames, b"\r\n")

    def add_end(self) -> None:
        """Add the end of the body to the next write."""
        if self._chunked:
            self._parts.append(_LAST_CHUNK)


class EventStream(ReceiveOnlyConnection):
    """One event stream.

    Args:
        request: its response has begun.
        writer: aiohttp's, for its flow control.
    """

    outgoing: Chunks

    def __init__(
        self,
        *,
        hub: "Hub",
        codec: Codec,
        limits: Limits,
        hello: Hello,
        request: BaseRequest,
        writer: AbstractStreamWriter,
        transport: asyncio.Transport,
    ) -> None:
        super().__init__(hub=hub, codec=codec, limits=limits, traffic=hub.traffic["sse"], hello=hello)
        self.outgoing = Chunks(transport, limits, chunked=request.version >= (1, 1))
        self._transport = transport
        self._writer = writer
        request.protocol.set_parser(_DisconnectDetector(self.cut))  # type: ignore[arg-type]  # the used part of a parser

    async def _drained(self) -> None:
        try:
            await self._writer.drain()
        except ConnectionError:
            self.cut()

    def _end(self, code: CloseCode) -> None:
        self.outgoing.add_end()
        self.outgoing.flush(beyond_bound=True)
        self.outgoing.closed = True
        super()._end(code)

    def _lose(self) -> None:
        super()._lose()
        self._transport.close()
        if self.outgoing.backlog_bytes:
            self._loop.call_later(self._limits.close_s, self._transport.abort)

    def cut(self) -> None:
        """End the connection at once."""
        super().cut()
        self._transport.abort()


class _DisconnectDetector:
    """Detects that the client has disconnected. Bytes after the request are dropped: the connection is not reused."""

    def __init__(self, on_disconnect: Callable[[], None]) -> None:
        self._on_disconnect = on_disconnect

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        return True, b""

    def feed_eof(self) -> None:
        self._on_disconnect()
