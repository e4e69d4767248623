"""How often one user may send a command that reaches others, or costs more than most."""

from msgspec import Struct

MINUTE_S, HOUR_S = 60, 3_600


class CommandRate(Struct, frozen=True, kw_only=True):
    """So many times at once after a pause, and on average so many in each window (a token bucket for each user)."""

    times: int
    window_s: int

    def __str__(self) -> str:
        return f"{self.times} in {self.window_s} s for each user"


def per_minute(times: int) -> CommandRate:
    """So many a minute."""
    return CommandRate(times=times, window_s=MINUTE_S)


def per_hour(times: int) -> CommandRate:
    """So many an hour."""
    return CommandRate(times=times, window_s=HOUR_S)
