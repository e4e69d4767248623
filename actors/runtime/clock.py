"""The server's clock. It can run ahead of the wall clock, so that tests and demos can skip time."""

from datetime import UTC, datetime, timedelta
from time import time_ns

_MILLISECOND = timedelta(milliseconds=1)


class Clock:
    """The time that actors see: the wall clock plus an offset, which only development and demos change."""

    def __init__(self) -> None:
        self._offset = timedelta(0)

    @property
    def offset(self) -> timedelta:
        """How far the clock runs ahead of the wall clock."""
        return self._offset

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        now = datetime.now(UTC)
        return now + self._offset if self._offset else now

    def now_ms(self) -> int:
        """The current instant in milliseconds since 1970."""
        return time_ns() // 1_000_000 + (self._offset // _MILLISECOND if self._offset else 0)

    def advance(self, by: timedelta) -> None:
        """Move time forward; never back."""
        if by < timedelta(0):
            raise ValueError("time only moves forward")
        self._offset += by
