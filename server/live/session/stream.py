"""Puts one user's events in the order of their numbers. They arrive live, twice, out of order, or from the log.

Number n+1 is sent after n, and only then. An event that arrives early is kept until its turn; a missing one is read
from the log. If the log has lost it, the stream is broken, and the session ends.
"""

from collections.abc import Sequence
from typing import NamedTuple

from server.live.limits import Limits


class Page(NamedTuple):
    """A page of a user's log, as frames by number."""

    rows: Sequence[tuple[int, bytes]]
    #: Whether the log may go on after it.
    more: bool


class LogBroken(Exception):
    """The log does not continue after the last number that was sent."""


class Stream:
    """The ordered events of one session.

    Args:
        to_send: receives the frames, in order.
        seq: the number after which the stream begins.
    """

    __slots__ = ("_early", "_early_max", "_head", "_to_send", "empty_reads", "reading", "seq")

    def __init__(self, to_send: list[bytes], seq: int, limits: Limits) -> None:
        #: The last number that was sent.
        self.seq = seq
        #: Whether a page of the log has been requested.
        self.reading = False
        #: Reads in a row that did not return the missing event.
        self.empty_reads = 0
        self._to_send = to_send
        #: The highest number that is known to exist.
        self._head = seq
        #: Events that arrived early; None for most of the time.
        self._early: dict[int, bytes] | None = None
        self._early_max = limits.early_max

    @property
    def gap(self) -> bool:
        """Whether a number is known to exist that has not been sent."""
        return self._head > self.seq

    def push(self, seq: int, frame: bytes) -> bool:
        """Add a live event; returns whether one before it is missing."""
        if seq == self.seq + 1:
            self._to_send.append(frame)
            self.seq = seq
            if self._early:
                self._send_early()
        elif seq > self.seq:
            if self._early is None:
                self._early = {}
            if len(self._early) < self._early_max:
                self._early[seq] = frame
        if seq > self._head:  # noqa: PLR1730  # once for each delivery, and max() is a call
            self._head = seq
        return self._head > self.seq

    def note_head(self, seq: int) -> None:
        """Note that the log goes on to this number."""
        self._head = max(self._head, seq)

    def feed(self, page: Page) -> None:
        """Add the page of the log after ``seq``. Raises: LogBroken."""
        before = self.seq
        for seq, frame in page.rows:
            if seq <= self.seq:
                continue
            if seq != self.seq + 1:
                raise LogBroken(f"{self.seq} is followed by {seq}")
            self._to_send.append(frame)
            self.seq = seq
        self._head = max(self._head, self.seq)
        self.reading = page.more
        if self._early:
            self._send_early()
        self.empty_reads = 0 if self.seq > before or not self.gap else self.empty_reads + 1

    def _send_early(self) -> None:
        """Send the early events whose turn it is; drop those that have been sent."""
        early = self._early or {}
        while (frame := early.pop(self.seq + 1, None)) is not None:
            self._to_send.append(frame)
            self.seq += 1
        self._early = {seq: frame for seq, frame in early.items() if seq > self.seq} or None
