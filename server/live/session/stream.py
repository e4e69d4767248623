"""One user's events in the order of their numbers, however they come in: live, twice, out of order, or from the log.

The rule: number n+1 goes out after n, and only then. What comes too early waits; what does not come is read from the
log; what the log has lost breaks the stream, which the session says honestly.
"""

from collections.abc import Sequence
from typing import NamedTuple

from server.live.limits import Limits


class Page(NamedTuple):
    """A stretch of a user's log, as frames by number."""

    rows: Sequence[tuple[int, bytes]]
    #: Whether the log goes on behind it.
    more: bool


class LogBroken(Exception):
    """The log does not go on behind the last number that went out."""


class Stream:
    """Puts a user's events in order.

    Args:
        out: takes the frames, in order.
        seq: the number after which it begins.
    """

    __slots__ = ("_early", "_early_max", "_heard", "_out", "empty_reads", "reading", "seq")

    def __init__(self, out: list[bytes], seq: int, limits: Limits) -> None:
        #: The last number that went out.
        self.seq = seq
        #: Whether a page of the log has been asked for.
        self.reading = False
        #: Reads in a row that did not bring what is missing.
        self.empty_reads = 0
        self._out = out
        self._heard = seq
        #: What came too early; None for most of the time.
        self._early: dict[int, bytes] | None = None
        self._early_max = limits.early_max

    @property
    def gap(self) -> bool:
        """Whether a number is known of that has not gone out."""
        return self._heard > self.seq

    def push(self, seq: int, frame: bytes) -> bool:
        """Take a live event; answers whether one before it is missing."""
        if seq == self.seq + 1:
            self._out.append(frame)
            self.seq = seq
            if self._early:
                self._drain()
        elif seq > self.seq:
            if self._early is None:
                self._early = {}
            if len(self._early) < self._early_max:
                self._early[seq] = frame
        if seq > self._heard:  # noqa: PLR1730  # once for each delivery, and max() is a call
            self._heard = seq
        return self._heard > self.seq

    def hear(self, seq: int) -> None:
        """Learn that the log goes on to this number."""
        self._heard = max(self._heard, seq)

    def feed(self, page: Page) -> None:
        """Take the page of the log behind ``seq``. Raises: LogBroken."""
        before = self.seq
        for seq, frame in page.rows:
            if seq <= self.seq:
                continue
            if seq != self.seq + 1:
                raise LogBroken(f"{self.seq} is followed by {seq}")
            self._out.append(frame)
            self.seq = seq
        self._heard = max(self._heard, self.seq)
        self.reading = page.more
        if self._early:
            self._drain()
        self.empty_reads = 0 if self.seq > before or not self.gap else self.empty_reads + 1

    def _drain(self) -> None:
        """Send what came early and is next now; forget what has gone out."""
        early = self._early or {}
        while (frame := early.pop(self.seq + 1, None)) is not None:
            self._out.append(frame)
            self.seq += 1
        self._early = {seq: frame for seq, frame in early.items() if seq > self.seq} or None
