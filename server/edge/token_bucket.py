"""The token bucket behind every rate limit: of addresses, users, commands, frames and deliveries. Pure."""

import math

from protocol.rates import Rate

#: What a bucket may lack, in tokens: the rounding of floating-point numbers.
_TOLERANCE = 1e-6


class TokenBucket:
    """Holds ``rate.burst`` tokens at most and gets ``rate.per_s`` of them a second; kept as the time when it is full.

    Every ``now`` is in seconds, of a clock that only goes forward.
    """

    __slots__ = ("_depth_s", "_full_at", "_token_s")

    def __init__(self, rate: Rate) -> None:
        self._token_s = 1.0 / rate.per_s
        self._depth_s = rate.burst * self._token_s
        self._full_at = -math.inf

    def take(self, now: float, count: int = 1) -> float:
        """Take tokens; returns 0.0, or if there are too few takes none and returns the seconds until there are."""
        full_at = max(self._full_at, now) + count * self._token_s
        wait_s = full_at - now - self._depth_s
        if wait_s > _TOLERANCE * self._token_s:
            return wait_s
        self._full_at = full_at
        return 0.0

    def room(self, now: float) -> int:
        """Tokens that are there."""
        return math.floor((self._depth_s - max(0.0, self._full_at - now)) / self._token_s + _TOLERANCE)

    def wait_s(self, now: float, count: int) -> float:
        """Seconds until ``count`` tokens are there; at most the burst."""
        return max(0.0, max(self._full_at - now, 0.0) + count * self._token_s - self._depth_s)
