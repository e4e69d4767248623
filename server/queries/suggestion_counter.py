"""Counts the outcomes of suggested replies as a background job, and shows them on /metrics."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from storage.database import Pool
from storage.suggestions import count_outcomes, read_counts

#: How often outcomes are counted, and how often every node reads the counts.
COUNT_EVERY_S = 60


class SuggestionCounter(Collector):
    """Counts, and keeps the counts of the last look."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._counts: Mapping[tuple[str, str], int] = {}

    async def run(self, now: datetime) -> dict[str, int]:
        """Count the outcomes; on one node at a time."""
        counts = await count_outcomes(self._pool, now)
        await self.look()
        return counts

    async def look(self) -> None:
        """Read the counts."""
        self._counts = await read_counts(self._pool)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus sees: the same on every node, and still there after a restart."""
        text = "Suggested replies, by outcome and source, since the beginning"
        family = GaugeMetricFamily("guildwire_suggestions", text, labels=["outcome", "source"])
        for (outcome, source), count in self._counts.items():
            family.add_metric([outcome, source], count)
        yield family
