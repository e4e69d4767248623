"""Random bits from the operating system, drawn in blocks: ids that nobody can predict, at the cost of a slice."""

from collections.abc import Callable
from secrets import token_bytes

#: Bytes drawn at once: one system call for some 400 ids.
BLOCK_BYTES = 4_096


class Entropy:
    """Hands out each random byte once. Not for forked processes: a child would repeat its parent's bytes."""

    def __init__(self, draw: Callable[[int], bytes] = token_bytes) -> None:
        self._draw = draw
        self._block = b""
        self._at = 0

    def bits(self, count: int) -> int:
        """An unpredictable integer of up to ``count`` bits."""
        size = (count + 7) >> 3
        end = self._at + size
        if end > len(self._block):
            self._block, self._at, end = self._draw(max(BLOCK_BYTES, size)), 0, size
        drawn = int.from_bytes(self._block[self._at : end], "big")
        self._at = end
        return drawn >> ((size << 3) - count)
