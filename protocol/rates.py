"""Rates of commands, requests, frames and deliveries."""

from msgspec import Struct

MINUTE_S, HOUR_S = 60, 3_600


class Rate(Struct, frozen=True, forbid_unknown_fields=True):
    """The rate of a token bucket: an average, and a burst that is allowed at once after a pause."""

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if not (self.per_s > 0 and self.burst >= 1):
            raise ValueError("a rate needs per_s > 0 and burst >= 1")

    @property
    def window_s(self) -> int:
        """The seconds in which the bucket refills, rounded."""
        return round(self.burst / self.per_s)


def per_minute(times: int) -> Rate:
    """A rate for each minute, with a burst of the same size."""
    return Rate(times / MINUTE_S, times)


def per_hour(times: int) -> Rate:
    """A rate for each hour, with a burst of the same size."""
    return Rate(times / HOUR_S, times)
