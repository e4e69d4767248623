"""A WebSocket connection: the protocol of its own TCP connection, which aiohttp has given up after the handshake."""

import asyncio
from typing import TYPE_CHECKING, cast

from protocol.frames import CloseCode
from server.live.connection.codec import Codec
from server.live.connection.connection import Connection
from server.live.connection.messages import CLOSE, PING, PONG, BrokenMessage, Message, MessageReader, close_code
from server.live.connection.outgoing import Outgoing
from server.live.limits import Limits
from server.live.session.session import State

if TYPE_CHECKING:  # the hub imports connections
    from server.live.hub.hub import Hub

_OPENING = (State.AUTHENTICATING, State.OPENING)


class WebSocket(Connection, asyncio.Protocol):
    """One WebSocket, from its handshake to its end.

    Args:
        limiter_key: the key of its address in the ``ConnectionLimiter``.
    """

    __slots__ = ("_closing", "_reader", "_transport", "_writable", "limiter_key", "unread")

    def __init__(self, *, hub: "Hub", codec: Codec, limits: Limits, limiter_key: str | None) -> None:
        super().__init__(hub=hub, codec=codec, limits=limits, traffic=hub.traffic[codec.name])
        self.limiter_key = limiter_key
        #: Set while the hub has it on the list of sockets to read.
        self.unread = False
        #: None once the client's bytes cannot be understood any more.
        self._reader: MessageReader | None = MessageReader(limits.frame_bytes_max)
        #: Set once the close frame was sent or received: the connection is cut after ``close_s``.
        self._closing = False
        #: Not None while the client does not take what was written.
        self._writable: asyncio.Event | None = None

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start; the handshake has been answered."""
        self._transport = cast(asyncio.Transport, transport)
        self.outgoing = Outgoing(self._transport, self.codec.opcode, self._limits)
        self._schedule()

    def data_received(self, data: bytes) -> None:
        """Buffer the bytes; the hub calls ``read`` when it is this socket's turn."""
        if self._reader is not None:
            self._reader.feed(data)
            if self._reader.held_bytes > self._limits.frame_bytes_max:
                self.read()
            else:
                self._hub.read_soon(self)

    def pause_writing(self) -> None:
        """The client lags behind."""
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def _origin(self) -> str:
        return self.limiter_key or "loopback"

    def _probe(self) -> None:
        self.outgoing.add_ping()
        self._hub.flush_soon(self)

    async def _drained(self) -> None:
        if self._writable is not None:
            await self._writable.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; messages that arrived before the end are still handled."""
        if self.unread:
            self.read()
        self._lose()
        self._hub.remove(self)

    # Reading

    def read(self) -> None:
        """Handle the messages that have arrived. Frames after hello are buffered until the session is open."""
        self.unread = False
        reader, session, now = self._reader, self.session, self._loop.time()
        if reader is None:
            return
        try:
            while session.state not in _OPENING and (message := reader.take()) is not None:
                if message.opcode == self.codec.opcode:
                    self.traffic.frames_in += 1
                    session.receive(message.payload, now)
                else:
                    self._handle_other(message, now)
                if session.effects:
                    self._carry_out()
        except BrokenMessage as error:
            self._reject(error)
        except Exception as error:
            self._crashed(error)
        if session.state in _OPENING and reader.held_bytes > self._limits.frame_bytes_max:
            self._transport.pause_reading()
        if session.to_send or session.deadline_changed or not self._settled:
            self._hub.flush_soon(self)

    def _handle_other(self, message: Message, now: float) -> None:
        """Handle a message that is not a frame of the subprotocol."""
        if message.opcode == CLOSE:
            self._answer_close(message.payload)
        elif message.opcode == PING:
            self.session.note_activity(now)
            self.outgoing.add_pong(message.payload)
            self._hub.flush_soon(self)
        elif message.opcode == PONG:
            self.session.note_activity(now)
        else:
            self.session.close(CloseCode.BAD_FRAME)

    def _settle(self) -> None:
        super()._settle()
        if self._reader is not None and self._reader.held_bytes:
            self._transport.resume_reading()
            self.read()

    # The end

    def tick(self) -> None:
        """Handle the timers that are due; cut the connection if the closing handshake has taken too long."""
        if self._closing:
            self._transport.abort()
        else:
            super().tick()

    def cut(self) -> None:
        """End the connection at once."""
        self.session.connection_lost()
        self._transport.abort()

    def _end(self, code: CloseCode) -> None:
        self._send_close(code, code.reason)
        self._start_closing()

    def _answer_close(self, payload: bytes) -> None:
        """The client closes, or answers our close frame. Raises: BrokenMessage."""
        code = close_code(payload)
        self.session.connection_lost()
        self._send_close(code, "")
        self._start_closing()
        self._transport.close()

    def _reject(self, error: BrokenMessage) -> None:
        """Close because of invalid bytes. Later bytes are read and dropped, so that the close frame arrives."""
        self._reader = None
        self.session.connection_lost()
        self._send_close(error.code, error.reason)
        self._start_closing()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def _start_closing(self) -> None:
        if not self._closing:
            self._closing = True
            self._hub.schedule(self, self._loop.time() + self._limits.close_s)

    def _send_close(self, code: int, reason: str) -> None:
        if not self.outgoing.closed:
            self.outgoing.add_close(code, reason)
            self.outgoing.flush(beyond_bound=True)
            self.outgoing.closed = True
