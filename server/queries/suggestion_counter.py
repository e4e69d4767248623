"""What comes of suggested replies, counted as a background job, and its figures on /metrics."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from storage.database import Pool
from storage.suggestions import count_outcomes, read_counts

#: How often what came of suggestions is counted, and how often every node looks at the counts.
COUNT_EVERY_S = 60


class SuggestionCounter(Collector):
    """Counts, and knows what the counts were when it last looked."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._counts: Mapping[tuple[str, str], int] = {}

    async def run(self, now: datetime) -> dict[str, int]:
        """Count what came of suggestions; one node at a time does so."""
        counts = await count_outcomes(self._pool, now)
        await self.look()
        return counts

    async def look(self) -> None:
        """Take the figures anew."""
        self._counts = await read_counts(self._pool)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus sees: the same on every node, and still there after a restart."""
        text = "Suggested replies, by what came of them and who thought of them, ever"
        family = GaugeMetricFamily("guildwire_suggestions", text, labels=["outcome", "source"])
        for (outcome, source), count in self._counts.items():
            family.add_metric([outcome, source], count)
        yield family
