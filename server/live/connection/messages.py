"""A client's WebSocket messages, read from the bytes that come in (RFC 6455 §5), without input or output.

    reader.feed(data)
    while (message := reader.take()) is not None: …

Fragments are put together; control messages in between come out in their place.
"""

from struct import Struct

import msgspec

CONTINUATION, CLOSE, PING, PONG = 0x0, 0x8, 0x9, 0xA
TEXT, BINARY = 0x1, 0x2

PROTOCOL_ERROR, TOO_BIG = 1002, 1009

#: Fragments of one message; empty ones would cost time and never reach its bound in bytes.
FRAGMENTS_MAX = 1_024

_FIN, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_CONTROL = 0x8
_SHORT_MAX, _MEDIUM, _LONG = 125, 126, 127
_KNOWN = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_MEDIUM_HEAD, _LONG_HEAD = Struct("!2xH"), Struct("!2xQ")
_MASK_BYTES = 4


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message."""

    opcode: int
    payload: bytes


class BrokenMessage(Exception):
    """What came in is no message, or too big a one; ``code`` is for the closing message."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class MessageReader:
    """Puts messages together.

    Args:
        bytes_max: what one message may hold, all of its fragments together.
    """

    __slots__ = ("_bytes_max", "_fragments", "_fragments_left", "_held", "_opcode")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        #: What came in and was not taken; bytes as long as that is one message in one piece, as nearly always.
        self._held: bytes | bytearray = b""
        #: The fragments so far, and what they are; None between messages.
        self._fragments: bytearray | None = None
        self._opcode = CONTINUATION
        self._fragments_left = 0

    @property
    def held_bytes(self) -> int:
        """What came in and was not taken."""
        return len(self._held)

    def feed(self, data: bytes) -> None:
        """Take what came in."""
        if not self._held:
            self._held = data
            return
        if isinstance(self._held, bytes):
            self._held = bytearray(self._held)
        self._held += data

    def take(self) -> Message | None:
        """The next message that is there in full. Raises: BrokenMessage, and is of no use from then on."""
        while self._held and (frame := self._take_frame()) is not None:
            final, opcode, payload = frame
            if opcode & _CONTROL or (final and self._fragments is None and opcode):
                return Message(opcode, payload)
            whole = self._join(final, opcode, payload)
            if whole is not None:
                return whole
        return None

    def _join(self, final: bool, opcode: int, payload: bytes) -> Message | None:
        """Put a fragment to those before it; gives the message if it was the last."""
        if (opcode == CONTINUATION) is (self._fragments is None):
            raise BrokenMessage(PROTOCOL_ERROR, "fragments out of order")
        if self._fragments is None:
            self._fragments, self._opcode, self._fragments_left = bytearray(), opcode, FRAGMENTS_MAX
        self._fragments += payload
        self._fragments_left -= 1
        if self._fragments_left < 0:
            raise BrokenMessage(TOO_BIG, "too many fragments")
        if len(self._fragments) > self._bytes_max:
            raise BrokenMessage(TOO_BIG, "message too big")
        if not final:
            return None
        whole, self._fragments = bytes(self._fragments), None
        return Message(self._opcode, whole)

    def _take_frame(self) -> tuple[bool, int, bytes] | None:
        """The next frame that is there in full: whether it is final, its opcode, its payload."""
        held = self._held
        if len(held) < 2:
            return None
        first, second = held[0], held[1]
        opcode, length, start = first & _OPCODE, second & _LENGTH, 2
        if first & _RESERVED or opcode not in _KNOWN or not second & _MASKED:
            raise BrokenMessage(PROTOCOL_ERROR, "not a masked message without extensions")
        if opcode & _CONTROL and (length > _SHORT_MAX or not first & _FIN):
            raise BrokenMessage(PROTOCOL_ERROR, "a control message is short and in one piece")
        if length > _SHORT_MAX:
            head = _MEDIUM_HEAD if length == _MEDIUM else _LONG_HEAD
            start = head.size
            if len(held) < start:
                return None
            (length,) = head.unpack_from(held)
            if length > self._bytes_max:
                raise BrokenMessage(TOO_BIG, "message too big")
        start += _MASK_BYTES
        end = start + length
        if len(held) < end:
            return None
        payload = unmasked(bytes(held[start - _MASK_BYTES : start]), held[start:end])
        if len(held) == end:
            self._held = b""
        elif isinstance(held, bytes):
            self._held = bytearray(held[end:])  # whose beginning can be dropped without copying the rest
        else:
            del held[:end]
        return bool(first & _FIN), opcode, payload


def unmasked(mask: bytes, data: bytes | bytearray) -> bytes:
    """Undo the mask, in one stroke as a big number."""
    length = len(data)
    repeated = mask * (length // _MASK_BYTES + 1)
    number = int.from_bytes(data, "little") ^ int.from_bytes(repeated[:length], "little")
    return number.to_bytes(length, "little")
