"""WebSocket messages byte by byte, as a client sends them (RFC 6455 §5)."""

from server.live.connection.messages import TEXT

MASK = b"\x11\x22\x33\x44"


def frame(payload: bytes, opcode: int = TEXT, *, final: bool = True, mask: bytes = MASK) -> bytes:
    """A client's frame."""
    length = len(payload)
    if length <= 125:
        head = bytes((final << 7 | opcode, 0x80 | length))
    elif length < 2**16:
        head = bytes((final << 7 | opcode, 0x80 | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((final << 7 | opcode, 0x80 | 127)) + length.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
