"""Writes frames to one client: all frames of one event loop iteration in one write, within a bound of unsent bytes.

Frames become WebSocket messages here and not in aiohttp, whose writer calls the transport once for each message. A
server's messages are neither masked nor compressed, so only a header is added (RFC 6455 §5.2).
"""

import socket
from asyncio import WriteTransport
from collections.abc import Hashable
from contextlib import suppress
from functools import lru_cache

from server.live.limits import Limits

#: Headers that are cached.
HEADERS_MAX = 4_096

_FIN = 0x80
_CLOSE, _PING, _PONG = 0x8, 0x9, 0xA
_SHORT_MAX, _MEDIUM_MAX = 125, 0xFFFF


class Slow(Exception):
    """The client does not read fast enough: more than ``queue_bytes_max`` bytes are unsent."""


@lru_cache(HEADERS_MAX)
def message_header(opcode: int, length: int) -> bytes:
    """Make the header of one unmasked message."""
    if length <= _SHORT_MAX:
        return bytes((_FIN | opcode, length))
    if length <= _MEDIUM_MAX:
        return bytes((_FIN | opcode, 126)) + length.to_bytes(2, "big")
    return bytes((_FIN | opcode, 127)) + length.to_bytes(8, "big")


class Outgoing:
    """The unsent frames of one client."""

    __slots__ = ("_headers", "_held", "_limits", "_opcode", "_parts", "_transport", "closed")

    def __init__(self, transport: WriteTransport, opcode: int, limits: Limits) -> None:
        self.closed = False
        self._transport = transport
        self._opcode = opcode
        self._limits = limits
        self._headers = _SHORT_HEADERS.setdefault(
            opcode, tuple(message_header(opcode, length) for length in range(_SHORT_MAX + 1))
        )
        self._parts: list[bytes] = []
        #: Ephemeral frames that are held back, by key; None for most of the time.
        self._held: dict[Hashable, bytes] | None = None
        transport.set_write_buffer_limits(high=limits.backlog_bytes)
        _keep_backlog_visible(transport, limits.kernel_unsent_bytes)

    @property
    def backlog_bytes(self) -> int:
        """Bytes that were written and are not sent yet."""
        return self._transport.get_write_buffer_size()

    @property
    def backlogged(self) -> bool:
        """Whether the client lags behind so far that ephemeral frames are held back."""
        return self.backlog_bytes > self._limits.backlog_bytes

    def add(self, frames: list[bytes]) -> None:
        """Add frames to the next write."""
        parts, headers, opcode = self._parts, self._headers, self._opcode
        for frame in frames:
            length = len(frame)
            parts.append(headers[length] if length <= _SHORT_MAX else message_header(opcode, length))
            parts.append(frame)

    @property
    def held(self) -> int:
        """The number of ephemeral frames that are held back."""
        return 0 if self._held is None else len(self._held)

    def add_close(self, code: int, reason: str) -> None:
        """Add the close frame to the next write; the caller adds nothing after it."""
        payload = code.to_bytes(2, "big") + reason.encode()
        self._parts += (message_header(_CLOSE, len(payload)), payload)

    def add_ping(self) -> None:
        """Add a WebSocket ping to the next write."""
        self._parts.append(message_header(_PING, 0))

    def add_pong(self, payload: bytes) -> None:
        """Add a WebSocket pong to the next write."""
        self._parts += (message_header(_PONG, len(payload)), payload)

    def hold(self, key: Hashable, frame: bytes) -> bool:
        """Hold an ephemeral frame back if the client lags behind; it replaces the last one with this key.

        Returns whether it is held; if not, the caller adds it.
        """
        held = self._held
        if not held and not self.backlogged:
            return False
        if held is None:
            held = self._held = {}
        held.pop(key, None)
        if len(held) >= self._limits.held_max:
            del held[next(iter(held))]
        held[key] = frame
        return True

    def release(self) -> None:
        """Add the held frames to the next write, once the client has caught up."""
        held, self._held = self._held, None
        if held:
            self.add(list(held.values()))

    def flush(self, *, beyond_bound: bool = False) -> None:
        """Write what was added, in one call. Raises: Slow.

        Args:
            beyond_bound: for the goodbye, which is written however much is unsent.
        """
        parts = self._parts
        if not parts:
            return
        data = b"".join(parts)
        parts.clear()
        if self.closed:
            return
        transport = self._transport
        if transport.is_closing():
            self.closed = True
            return
        backlog = transport.get_write_buffer_size()
        if backlog and backlog + len(data) > self._limits.queue_bytes_max and not beyond_bound:
            raise Slow
        transport.write(data)


#: opcode → headers by length.
_SHORT_HEADERS: dict[int, tuple[bytes, ...]] = {}


def _keep_backlog_visible(transport: WriteTransport, unsent_bytes: int) -> None:
    """Limit the unsent bytes that the kernel buffers, so that the rest is counted here."""
    handle = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if handle is not None and option is not None:
        with suppress(OSError):
            handle.setsockopt(socket.IPPROTO_TCP, option, unsent_bytes)
