"""The event stream: a user's numbered events as Server-Sent Events (WHATWG HTML §9.2), resumable by any transport.

    id: 9f2c11aa04be:42
    event: message.posted
    data: {"frame":"event","seq":42,…}

``data`` is the very frame of the socket. ``id`` is what ``since`` takes; a client that gives it back, here as
``Last-Event-ID``, goes on behind it.
"""

import asyncio
from typing import Any

from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import BaseRequest

from protocol.frames import Bye, CloseCode, OpenOutcome, Ping, Pong, ServerFrame, Welcome
from server.live.connection.codec import JsonCodec
from server.live.connection.outgoing import Outgoing, Slow
from server.live.connection.receive_only import ReceiveOnlyConnection
from server.live.limits import Limits

_LAST_CHUNK = b"0\r\n\r\n"
#: What a body begins with: the codec's own, and the renderer's first field.
_TYPE_AT = len(b'"type":"')


class SseCodec(JsonCodec):
    """Frames as the lines of an event stream. What comes in is read as JSON."""

    def __init__(self, epoch: str) -> None:
        super().__init__()
        self.epoch = epoch
        self._epoch = epoch.encode()

    def encode(self, frame: ServerFrame | Ping | Pong) -> bytes:
        """Write a frame; a ping is a comment, which nobody has to answer."""
        if isinstance(frame, Ping | Pong):
            return b": ping\n\n"
        lines = b"event: %b\ndata: %b\n\n" % (str(frame.__struct_config__.tag).encode(), super().encode(frame))
        if isinstance(frame, Welcome) and frame.outcome is not OpenOutcome.RESUMED:
            # From here it is gone on. Who resumes is not there yet: its position is the one that it came with.
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
    """The bytes on their way to one client, within the same bound as a socket's.

    Args:
        chunked: whether the body is sent in chunks (RFC 9112 §7.1), as to everybody who speaks HTTP/1.1.
    """

    __slots__ = ("_chunked",)

    def __init__(self, transport: asyncio.WriteTransport, limits: Limits, *, chunked: bool) -> None:
        super().__init__(transport, 0, limits)
        self._chunked = chunked

    def add(self, frames: list[bytes]) -> None:
        """Put frames into the next write, as one chunk."""
        if not self._chunked:
            self._parts += frames
        elif frames:
            self._parts += (b"%x\r\n" % sum(map(len, frames)), *frames, b"\r\n")

    def add_end(self) -> None:
        """Put the end of the body into the next write."""
        if self._chunked:
            self._parts.append(_LAST_CHUNK)


class EventStream(ReceiveOnlyConnection):
    """One event stream.

    Args:
        request: whose response has begun.
        writer: aiohttp's, for its flow control.
    """

    outgoing: Chunks

    def __init__(
        self, *, request: BaseRequest, writer: AbstractStreamWriter, transport: asyncio.Transport, **more: Any
    ) -> None:
        super().__init__(**more)
        self.outgoing = Chunks(transport, self._limits, chunked=request.version >= (1, 1))
        self._transport = transport
        self._writer = writer
        request.protocol.set_parser(_Watch(self.cut))  # type: ignore[arg-type]  # as much of a parser as is used

    def _pass_on(self) -> None:
        self._take_sends()
        try:
            self.outgoing.flush()
        except Slow:
            self.session.close(CloseCode.SLOW)
            self._take_sends()
            self.outgoing.flush(beyond_bound=True)

    def _take_sends(self) -> None:
        self.traffic.frames_out += len(self.session.sends)
        self.outgoing.add(self.session.sends)
        self.session.sends.clear()

    def _say_end(self) -> None:
        self.outgoing.add_end()
        self.outgoing.flush(beyond_bound=True)
        self.outgoing.closed = True

    async def _ready_for_page(self) -> None:
        await self._writer.drain()

    def _end(self) -> None:
        super()._end()
        self._transport.close()
        if self.outgoing.backlog_bytes:
            self._loop.call_later(self._limits.close_s, self._transport.abort)

    def cut(self) -> None:
        """End the connection at once."""
        super().cut()
        self._transport.abort()


class _Watch:
    """Sees the client go. What it sends behind its request is not read: the connection ends with the stream."""

    def __init__(self, gone: Any) -> None:
        self._gone = gone

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        return True, b""

    def feed_eof(self) -> None:
        self._gone()
