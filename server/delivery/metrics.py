"""Metrics of deliveries, for ``/metrics``."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from protocol.delivery.channels import Channel
from server.delivery.adapters import Gone, Outcome, Refused, Sent, Suppressed, TryLater
from server.edge.breaker import Breaker, BreakerState
from server.edge.histogram import Histogram
from storage.database import Pool
from storage.deliveries import Leased, QueueDepth, load_queue_depths

#: Seconds from due to sent: from a local provider to one that was down overnight.
DELAY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0)
ATTEMPTS_BUCKETS = (1, 2, 3, 5, 8, 12, 20)
#: Distinct labels; any further reason is counted as ``other``.
REASONS_MAX = 200
_OUTCOMES = {Sent: "sent", TryLater: "later", Refused: "refused", Gone: "gone", Suppressed: "skipped"}
_BREAKER = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class DeliveryMetrics(Collector):
    """Metrics of all channels of this process; the queue's depth is that of the database.

    Args:
        breakers: the breakers of this node's channels.
        now: the domain's clock.
    """

    def __init__(self, pool: Pool, breakers: Mapping[Channel, Breaker], now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._breakers = breakers
        self._now = now
        self._queue: Sequence[QueueDepth] = ()
        self._outcomes: Counter[tuple[Channel, str, str]] = Counter()
        self._delay: defaultdict[Channel, Histogram] = defaultdict(lambda: Histogram(DELAY_BUCKETS_S))
        self._attempts: defaultdict[Channel, Histogram] = defaultdict(lambda: Histogram(ATTEMPTS_BUCKETS))
        self._unknown: Counter[Channel] = Counter(dict.fromkeys(breakers, 0))

    async def refresh(self) -> None:
        """Read the queue's depth; every node reads the same queue."""
        self._queue = await load_queue_depths(self._pool)

    def finished(self, delivery: Leased, outcome: Outcome) -> None:
        """Count an attempt whose outcome was stored."""
        reason = getattr(outcome, "reason", None) or ""
        key = delivery.channel, _OUTCOMES[type(outcome)], reason
        if key not in self._outcomes and len(self._outcomes) >= REASONS_MAX:
            key = delivery.channel, _OUTCOMES[type(outcome)], "other"
        self._outcomes[key] += 1
        if isinstance(outcome, Sent):
            self._attempts[delivery.channel].add(delivery.attempts)
            if delivery.due_at is not None:
                self._delay[delivery.channel].add(max(0.0, (self._now() - delivery.due_at).total_seconds()))
        elif isinstance(outcome, TryLater) and outcome.unknown:
            self._unknown[delivery.channel] += 1

    def reclaimed(self, channels: Sequence[Channel]) -> None:
        """Count reclaimed leases: their outcomes are unknown."""
        self._unknown.update(channels)

    def collect(self) -> Iterator[Metric]:
        """Return the metrics for Prometheus."""
        text = "Deliveries that wait, are being sent, or are dead"
        queue = GaugeMetricFamily("guildwire_deliveries", text, labels=["channel", "state"])
        text = "How long the oldest due delivery has been waiting"
        overdue = GaugeMetricFamily("guildwire_deliveries_overdue_seconds", text, labels=["channel"])
        # A channel with an empty queue has its series too: the first dead message would else be no increase.
        empty = [QueueDepth(channel=channel, waiting=0, sending=0, dead=0, due_at=None) for channel in Channel]
        depths = {one.channel: one for one in (*empty, *self._queue)}
        for one in depths.values():
            for state, count in (("waiting", one.waiting), ("sending", one.sending), ("dead", one.dead)):
                queue.add_metric([one.channel, state], count)
            late_s = 0.0 if one.due_at is None else max(0.0, (self._now() - one.due_at).total_seconds())
            overdue.add_metric([one.channel], late_s)
        yield queue
        yield overdue
        text = "Attempts by outcome and reason"
        outcomes = CounterMetricFamily("guildwire_delivery_attempts", text, labels=["channel", "outcome", "reason"])
        for labels, count in self._outcomes.items():
            outcomes.add_metric([str(label) for label in labels], count)
        yield outcomes
        text = "Attempts with an unknown outcome: a message may have arrived twice"
        unknown = CounterMetricFamily("guildwire_delivery_unknown_outcomes", text, labels=["channel"])
        for channel, count in self._unknown.items():
            unknown.add_metric([channel], count)
        yield unknown
        yield _histogram("delivery_seconds", "From when an attempt was due to when it was sent", self._delay)
        yield _histogram("delivery_tries", "Attempts until a message was sent", self._attempts)
        text = "State of a channel's circuit breaker: 0 closed, 1 half open, 2 open"
        breaker = GaugeMetricFamily("guildwire_delivery_breaker", text, labels=["channel"])
        for channel, one_breaker in self._breakers.items():
            breaker.add_metric([channel], _BREAKER[one_breaker.state])
        yield breaker


def _histogram(name: str, text: str, histograms: Mapping[Channel, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(f"guildwire_{name}", text, labels=["channel"])
    for channel, histogram in histograms.items():
        histogram.show(family, [channel])
    return family
