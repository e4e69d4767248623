"""A circuit breaker: stops calling a failing provider, and tries again with one batch after a pause. Pure.

          FAILURES_MAX in a row             the pause is over
CLOSED ───────────────────────────▶ OPEN ─────────────────────▶ HALF_OPEN ── it works ──▶ CLOSED
                                      ▲                             │
                                      └── it fails: twice the pause ┘
"""

import math
from collections.abc import Callable
from enum import StrEnum

#: Failed batches in a row that open the breaker.
FAILURES_MAX = 5
#: The first pause, doubled with each further failure, and the longest one.
PAUSE_FIRST_S = 5.0
PAUSE_MAX_S = 300.0
#: The longest pause that a provider can ask for.
PAUSE_ASKED_MAX_S = 3600.0
#: Returned by ``begin`` if nothing may be sent.
NOT_NOW = -1


class BreakerState(StrEnum):
    """Whether anything may be sent."""

    CLOSED = "closed"
    OPEN = "open"
    #: One batch may be sent, to see whether the provider works again.
    HALF_OPEN = "half_open"


class Breaker:
    """Counts a provider's failures, and decides when it may be called.

    Each batch begins, and then it ``succeeded``, ``failed`` or was ``dropped``. A success always counts; a failure only
    if the breaker has neither opened nor closed since the batch began.

    Args:
        now: seconds of a clock that only goes forward.
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
        #: Counts openings and closings; a batch belongs to the generation in which it began.
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
        """Seconds until a batch may begin: 0.0 for now, infinity while the one of a half-open breaker is under way."""
        if self._probing:
            return math.inf
        until = self._asked_until if self._open_until is None else max(self._asked_until, self._open_until)
        return max(0.0, until - self._now())

    def begin(self) -> int:
        """Begin a batch; returns the generation to report its outcome with, or NOT_NOW if none may begin."""
        if self.wait_s > 0.0:
            return NOT_NOW
        self._probing = self._open_until is not None
        return self._generation

    def admits(self, generation: int) -> bool:
        """Whether a batch of that generation may still be sent: the breaker has not changed since it began."""
        return generation == self._generation and self._asked_until <= self._now()

    def succeeded(self) -> None:
        """The provider responded, if only with a refusal: it works."""
        self._failures = 0
        if self._open_until is not None:
            self._generation += 1
            self._open_until = None
            self._pause_s = self._pause_first_s
            self._probing = False

    def failed(self, generation: int) -> None:
        """The provider took nothing of a batch."""
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
        """Nothing of a batch reached the provider, so its state is unknown."""
        if generation == self._generation:
            self._probing = False

    def pause(self, seconds: float) -> None:
        """Send nothing for as long as the provider asks, at most PAUSE_ASKED_MAX_S."""
        self._asked_until = max(self._asked_until, self._now() + min(seconds, PAUSE_ASKED_MAX_S))
