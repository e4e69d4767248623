"""How often something may happen: one rate for commands, requests, frames and deliveries."""

from msgspec import Struct

MINUTE_S, HOUR_S = 60, 3_600


class Rate(Struct, frozen=True, forbid_unknown_fields=True):
    """An average, and a burst that may come at once after a pause: what a token bucket lets through."""

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if not (self.per_s > 0 and self.burst >= 1):
            raise ValueError("a rate needs per_s > 0 and burst >= 1")

    @property
    def window_s(self) -> int:
        """In how many seconds the burst comes back, rounded."""
        return round(self.burst / self.per_s)


def per_minute(times: int) -> Rate:
    """That many a minute, and at once."""
    return Rate(times / MINUTE_S, times)


def per_hour(times: int) -> Rate:
    """That many an hour, and at once."""
    return Rate(times / HOUR_S, times)
