"""Counts the outcomes of suggested replies as a background job, with metrics."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from storage.database import Pool
from storage.suggestions import count_outcomes, read_counts

#: How often outcomes are counted, and how often every node reads the counts.
COUNT_EVERY_S = 60


class SuggestionCounter(Collector):
    """Counts outcomes, and publishes the counts that it read last."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._counts: Mapping[tuple[str, str], int] = {}

    async def run(self, now: datetime) -> dict[str, int]:
        """Count the outcomes of suggestions; one node at a time does so."""
        counts = await count_outcomes(self._pool, now)
        await self.refresh()
        return counts

    async def refresh(self) -> None:
        """Read the counts from the database."""
        self._counts = await read_counts(self._pool)

    def collect(self) -> Iterator[Metric]:
        """Build the metric family; it is the same on every node, and survives a restart."""
        text = "All suggested replies, by outcome and source"
        family = GaugeMetricFamily("guildwire_suggestions", text, labels=["outcome", "source"])
        for (outcome, source), count in self._counts.items():
            family.add_metric([outcome, source], count)
        yield family
