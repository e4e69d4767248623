"""A circuit breaker: stops calling a failing provider, and respects the pause that a provider asks for. Pure.

          FAILURES_MAX in a row             the pause is over
CLOSED ───────────────────────────▶ OPEN ─────────────────────▶ HALF_OPEN ── success ──▶ CLOSED
                                      ▲                             │
                                      └── failure: twice the pause ─┘
"""

import math
from collections.abc import Callable
from enum import StrEnum

#: Failed batches in a row before the breaker opens.
FAILURES_MAX = 5
#: The first pause; it doubles with each further failure, up to the maximum.
PAUSE_FIRST_S = 5.0
PAUSE_MAX_S = 300.0
#: The longest pause that a provider can ask for.
PAUSE_ASKED_MAX_S = 3600.0
#: Returned by ``begin`` instead of a generation: nothing may be sent.
NOT_NOW = -1


class BreakerState(StrEnum):
    """Whether batches may be sent."""

    CLOSED = "closed"
    OPEN = "open"
    #: One batch may be sent, to test whether the provider works again.
    HALF_OPEN = "half_open"


class Breaker:
    """Counts a provider's failures and decides when it may be called.

    A batch starts with ``begin`` and ends with ``succeeded``, ``failed`` or ``dropped``. A success always counts; a
    failure counts only if the breaker has neither opened nor closed since the batch began.

    Args:
        now: seconds of a monotonic clock.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        failures_max: int = FAILURES_MAX,
        pause_first_s: float = PAUSE_FIRST_S,
        pause_max_s: float = PAUSE_MAX_S,
    ) -> None:
        self._now = now
        self._failures_max = failures_max
        self._pause_first_s = pause_first_s
        self._pause_max_s = pause_max_s
        self._failures = 0
        self._pause_s = pause_first_s
        #: Incremented at each opening and closing; a batch belongs to the generation in which it began.
        self._generation = 0
        self._open_until: float | None = None
        self._asked_until = -math.inf
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """The present state."""
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._now() < self._open_until else BreakerState.HALF_OPEN

    @property
    def wait_s(self) -> float:
        """Seconds until a batch may begin: 0 if it may now, infinity while the test batch is under way."""
        if self._probing:
            return math.inf
        until = self._asked_until if self._open_until is None else max(self._asked_until, self._open_until)
        return max(0.0, until - self._now())

    def begin(self) -> int:
        """Begin a batch; returns the generation to report its outcome with, NOT_NOW if it may not be sent."""
        if self.wait_s > 0.0:
            return NOT_NOW
        self._probing = self._open_until is not None
        return self._generation

    def admits(self, generation: int) -> bool:
        """Whether a batch of this generation may still be sent: no opening and no requested pause since."""
        return generation == self._generation and self._asked_until <= self._now()

    def succeeded(self) -> None:
        """The provider responded, even if with a refusal: it works."""
        self._failures = 0
        if self._open_until is not None:
            self._generation += 1
            self._open_until = None
            self._pause_s = self._pause_first_s
            self._probing = False

    def failed(self, generation: int) -> None:
        """The provider could not process any of a batch."""
        if generation != self._generation:
            return
        self._failures += 1
        if self._open_until is not None:
            self._pause_s = min(self._pause_s * 2, self._pause_max_s)
        elif self._failures < self._failures_max:
            return
        self._generation += 1
        self._open_until = self._now() + self._pause_s
        self._probing = False

    def dropped(self, generation: int) -> None:
        """The batch did not reach the provider, so it says nothing about its health."""
        if generation == self._generation:
            self._probing = False

    def pause(self, seconds: float) -> None:
        """The provider asked not to be called for this time."""
        self._asked_until = max(self._asked_until, self._now() + min(seconds, PAUSE_ASKED_MAX_S))
