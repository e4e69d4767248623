"""Refused sign-ins, refreshes, codes and tokens: one counter by reason, and one log line each, without secrets.

The log lines of one address are limited, so that an attacker cannot fill the disk; the counter counts all.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from uuid import UUID

import structlog
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from protocol.errors import LimitReached, Rejected

log = structlog.get_logger(__name__)


class Refusals(Collector):
    """What was refused on this node.

    Args:
        take: counts one log line of an address. Raises: LimitReached.
    """

    def __init__(self, take: Callable[[object], None]) -> None:
        self._take = take
        #: By what was refused and why.
        self.total: Counter[tuple[str, str]] = Counter()

    def note(self, what: str, error: Rejected, address: str, user_id: UUID | None = None) -> None:
        """Count and log one refusal.

        Args:
            what: ``sign_in``, ``sign_up``, ``refresh``, ``code``, ``password`` or ``token``.
            user_id: whose account it was, if known; otherwise the error's.
        """
        reason = str(error.fields.get("reason") or error.fields.get("limit") or error.code)
        self.total[what, reason] += 1
        try:
            self._take(address)
        except LimitReached:
            return
        whose = user_id or error.user_id
        log.warning(
            "auth.refused", what=what, reason=reason, address=address, user_id=None if whose is None else str(whose)
        )

    def collect(self) -> Iterator[Metric]:
        """Build the metric family at each scrape."""
        refused = CounterMetricFamily(
            "guildwire_auth_refused",
            "Refused sign-ins, sign-ups, refreshes, codes, passwords and access tokens",
            labels=["what", "reason"],
        )
        for labels, count in self.total.items():
            refused.add_metric(labels, count)
        yield refused
