"""Parses a client's WebSocket messages (RFC 6455 §5), without input or output.

    reader.feed(data)
    while (message := reader.take()) is not None: …

Fragments are joined; control messages between them are returned where they stand.
"""

from struct import Struct

import msgspec

CONTINUATION, CLOSE, PING, PONG = 0x0, 0x8, 0x9, 0xA
TEXT, BINARY = 0x1, 0x2

NORMAL, PROTOCOL_ERROR, BAD_TEXT, TOO_BIG = 1000, 1002, 1007, 1009

#: Codes that a close frame may have (RFC 6455 §7.4): of the registry without 1004 to 1006 and 1015, and private ones.
CLOSE_CODES = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))
_CODE_BYTES = 2

#: Fragments of one message; empty ones cost time and do not count towards its bound in bytes.
FRAGMENTS_MAX = 1_024

_FIN, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_CONTROL = 0x8
_SHORT_MAX, _MEDIUM, _LONG = 125, 126, 127
_KNOWN = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_MEDIUM_HEAD, _LONG_HEAD = Struct("!2xH"), Struct("!2xQ")
_HEAD_BYTES, _MASK_BYTES = 2, 4


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message."""

    opcode: int
    payload: bytes


class BrokenMessage(Exception):
    """The bytes are not a valid message, or it is too big; ``code`` is for the close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class MessageReader:
    """Parses messages from received bytes.

    Args:
        bytes_max: the most bytes of one message, all of its fragments together.
    """

    __slots__ = ("_bytes_max", "_fragments", "_fragments_left", "_held", "_opcode")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        #: Received bytes that were not taken; ``bytes`` while they are a single chunk, which is nearly always.
        self._held: bytes | bytearray = b""
        #: The fragments so far, and the opcode of the first; None between messages.
        self._fragments: bytearray | None = None
        self._opcode = CONTINUATION
        self._fragments_left = 0

    @property
    def held_bytes(self) -> int:
        """Bytes that were fed and not taken."""
        return len(self._held)

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        if not self._held:
            self._held = data
            return
        if isinstance(self._held, bytes):
            self._held = bytearray(self._held)
        self._held += data

    def take(self) -> Message | None:
        """Return the next complete message; None if there is none yet.

        Raises: BrokenMessage; the reader must not be used afterwards.
        """
        while len(held := self._held) >= _HEAD_BYTES:
            first, second = held[0], held[1]
            opcode, length, start = first & _OPCODE, second & _LENGTH, _HEAD_BYTES
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
            payload = unmask(bytes(held[start - _MASK_BYTES : start]), held[start:end])
            self._drop(end)
            if opcode & _CONTROL or (first & _FIN and opcode and self._fragments is None):
                return Message(opcode, payload)
            message = self._join(bool(first & _FIN), opcode, payload)
            if message is not None:
                return message
        return None

    def _drop(self, end: int) -> None:
        """Drop the bytes of a frame that was taken."""
        held = self._held
        if len(held) == end:
            self._held = b""
        elif isinstance(held, bytes):
            self._held = bytearray(held[end:])  # its start can be deleted without copying the rest
        else:
            del held[:end]

    def _join(self, final: bool, opcode: int, payload: bytes) -> Message | None:
        """Append a fragment; returns the message if it was the last."""
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


def close_code(payload: bytes) -> int:
    """Return the code of a client's close frame; an empty frame closes normally. Raises: BrokenMessage."""
    if not payload:
        return NORMAL
    code = int.from_bytes(payload[:_CODE_BYTES], "big")
    if len(payload) < _CODE_BYTES or code not in CLOSE_CODES:
        raise BrokenMessage(PROTOCOL_ERROR, "not a code of a close frame")
    try:
        payload[_CODE_BYTES:].decode()
    except UnicodeDecodeError:
        raise BrokenMessage(BAD_TEXT, "the reason is not UTF-8") from None
    return code


def unmask(mask: bytes, data: bytes | bytearray) -> bytes:
    """Remove the mask, by one XOR of big numbers."""
    length = len(data)
    repeated = mask * (length // _MASK_BYTES + 1)
    number = int.from_bytes(data, "little") ^ int.from_bytes(repeated[:length], "little")
    return number.to_bytes(length, "little")
