"""The gateway's bounds, all in one place, and the token bucket behind its rates."""


class TokenBucket:
    """A token bucket: holds ``burst`` at most, refilled with ``per_s``."""

    __slots__ = ("_at", "_burst", "_level", "_per_s")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, now: float) -> float:
        """Take one; 0.0 if there was one, else the seconds until there is."""
        level = self._level + (now - self._at) * self._per_s
        self._at = now
        level = min(level, self._burst)
        if level < 1.0:
            self._level = level
            return (1.0 - level) / self._per_s
        self._level = level - 1.0
        return 0.0
