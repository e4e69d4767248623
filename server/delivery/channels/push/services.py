"""The push services of browsers, each with a circuit breaker of its own."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from math import isfinite
from urllib.parse import urlsplit

from server.delivery.adapters import Outcome, TryLater
from server.edge.breaker import PAUSE_FIRST_S, Breaker

#: Breakers kept; the least recently used one is dropped.
SERVICES_MAX = 1_000


class Services:
    """A breaker for each service. There are few real ones, but users may register any endpoint.

    Args:
        monotonic: seconds of a monotonic clock.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()

    async def ask(self, endpoint: str, send: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Send to an endpoint unless its service's breaker is open. The outcome does not affect other services."""
        breaker = self._breaker_of(urlsplit(endpoint).netloc)
        if (wait_s := breaker.wait_s) > 0.0:
            return TryLater("service_down", wait_s if isfinite(wait_s) else PAUSE_FIRST_S, recipient_specific=True)
        generation = breaker.begin()
        try:
            outcome = await send()
            if not isinstance(outcome, TryLater):
                breaker.succeeded()
                return outcome
            breaker.failed(generation)
            if outcome.after_s:
                breaker.pause(outcome.after_s)
            return TryLater(outcome.reason, outcome.after_s, unknown=outcome.unknown, recipient_specific=True)
        finally:
            breaker.dropped(generation)  # no effect after a verdict

    def _breaker_of(self, service: str) -> Breaker:
        breaker = self._breakers.pop(service, None) or Breaker(self._monotonic)
        self._breakers[service] = breaker
        if len(self._breakers) > SERVICES_MAX:
            self._breakers.popitem(last=False)
        return breaker
