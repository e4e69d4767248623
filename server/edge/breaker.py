"""When a channel may send: a breaker that lets a provider in trouble alone, and the pace it allows. Pure.

          FAILURES_MAX in a row             the pause is over
CLOSED ───────────────────────────▶ OPEN ─────────────────────▶ HALF_OPEN ── it works ──▶ CLOSED
                                      ▲                             │
                                      └── it fails: twice the pause ┘
"""

import math
from collections.abc import Callable
from enum import StrEnum

#: Batches in a row that a provider could not take before it is let alone.
FAILURES_MAX = 5
#: The first pause, doubled each time that the provider fails again, and at most.
PAUSE_FIRST_S = 5.0
PAUSE_MAX_S = 300.0
#: The longest pause that a provider is granted when it asks for one.
PAUSE_ASKED_MAX_S = 3600.0
#: Instead of a batch's number: nothing may go out.
NOT_NOW = -1


class BreakerState(StrEnum):
    """Whether anything may be sent."""

    CLOSED = "closed"
    OPEN = "open"
    #: One batch may go, to see whether the provider works again.
    HALF_OPEN = "half_open"


class Breaker:
    """Counts a provider's failures, and says when it may be asked.

    Each batch is begun, and then it ``succeeded``, ``failed`` or was ``dropped``. Good news counts whenever it comes;
    a batch that fails counts only if the breaker has neither opened nor closed since it began.

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
        #: Counts openings and closings; a batch belongs to the one in which it began.
        self._era = 0
        self._open_until: float | None = None
        self._asked_until = -math.inf
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """Where it stands now."""
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._now() < self._open_until else BreakerState.HALF_OPEN

    @property
    def wait_s(self) -> float:
        """How long nothing may be begun, in seconds: 0 for now, infinity until the batch under way is back."""
        if self._probing:
            return math.inf
        until = self._asked_until if self._open_until is None else max(self._asked_until, self._open_until)
        return max(0.0, until - self._now())

    def begin(self) -> int:
        """A batch is to go out; gives the number to report its outcome with, NOT_NOW if it may not after all."""
        if self.wait_s > 0.0:
            return NOT_NOW
        self._probing = self._open_until is not None
        return self._era

    def admits(self, era: int) -> bool:
        """Whether a batch that began then may still go out: nothing bad was heard since."""
        return era == self._era and self._asked_until <= self._now()

    def succeeded(self) -> None:
        """The provider answered, if only with a refusal: it works."""
        self._failures = 0
        if self._open_until is not None:
            self._era += 1
            self._open_until = None
            self._pause_s = self._pause_first_s
            self._probing = False

    def failed(self, era: int) -> None:
        """The provider could take nothing of a batch."""
        if era != self._era:
            return
        self._failures += 1
        if self._open_until is not None:
            self._pause_s = min(self._pause_s * 2, self._pause_max_s)
        elif self._failures < self._failures_max:
            return
        self._era += 1
        self._open_until = self._now() + self._pause_s
        self._probing = False

    def dropped(self, era: int) -> None:
        """Nothing of a batch reached the provider: it has said nothing."""
        if era == self._era:
            self._probing = False

    def pause(self, seconds: float) -> None:
        """The provider asked to be let alone for so long."""
        self._asked_until = max(self._asked_until, self._now() + min(seconds, PAUSE_ASKED_MAX_S))
