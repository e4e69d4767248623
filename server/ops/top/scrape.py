"""One scrape of ``/metrics``, and the change since the one before: sums, rates and quantiles. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """Every sample of one page, by name and labels. ``at_s`` is a monotonic clock's."""

    at_s: float
    samples: Mapping[str, Mapping[Labels, float]]


def read_scrape(page: str, at_s: float) -> Scrape:
    """Parse a page of Prometheus's text format. Raises: ValueError."""
    samples: defaultdict[str, dict[Labels, float]] = defaultdict(dict)
    for family in text_string_to_metric_families(page):
        if family.type == "counter":
            samples[f"{family.name}_total"] = {}  # there, though nothing may have been counted yet
        for sample in family.samples:
            samples[sample.name][frozenset(sample.labels.items())] = sample.value
    return Scrape(at_s, dict(samples))


@dataclass(frozen=True, slots=True)
class Change:
    """Two scrapes of one server. A counter that has fallen was reset by a restart: it counts from zero."""

    before: Scrape
    after: Scrape

    @property
    def elapsed_s(self) -> float:
        """Between the two; never nothing."""
        return max(1e-9, self.after.at_s - self.before.at_s)

    def value(self, name: str) -> float | None:
        """A gauge as it is now, summed over its labels; None if there is no such metric."""
        series = self.after.samples.get(name)
        return None if series is None else sum(series.values())

    def values(self, name: str, label: str) -> dict[str, float]:
        """A gauge as it is now, by one of its labels."""
        return _by(self.after.samples.get(name, {}), label)

    def grown(self, name: str) -> float | None:
        """The growth of a counter in between, over all its labels; None if there is no such metric."""
        series = self._growth(name)
        return None if series is None else sum(series.values())

    def grown_by(self, name: str, label: str) -> dict[str, float]:
        """The same by one of its labels."""
        return _by(self._growth(name) or {}, label)

    def rate(self, name: str) -> float | None:
        """The growth of a counter in a second."""
        grown = self.grown(name)
        return None if grown is None else grown / self.elapsed_s

    def mean(self, name: str) -> float | None:
        """The mean of a histogram's observations meanwhile; None without any."""
        count, total = self.grown(f"{name}_count"), self.grown(f"{name}_sum")
        return total / count if count and total is not None else None

    def quantile(self, name: str, q: float, only: tuple[str, str] | None = None) -> float | None:
        """A quantile of a histogram's observations meanwhile, as Prometheus estimates it.

        None without any; the highest finite bound if it lies beyond that.
        """
        counts: defaultdict[float, float] = defaultdict(float)
        for labels, grown in (self._growth(f"{name}_bucket") or {}).items():
            if only is None or only in labels:
                counts[float(dict(labels)["le"])] += grown
        return _quantile(sorted(counts.items()), q)

    def _growth(self, name: str) -> dict[Labels, float] | None:
        after, before = self.after.samples.get(name), self.before.samples.get(name, {})
        if after is None:
            return None
        return {labels: _grown(before.get(labels, 0.0), value) for labels, value in after.items()}


def _grown(before: float, after: float) -> float:
    return after - before if after >= before else after


def _by(series: Mapping[Labels, float], label: str) -> dict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for labels, value in series.items():
        sums[dict(labels).get(label, "")] += value
    return dict(sums)


def _quantile(buckets: list[tuple[float, float]], q: float) -> float | None:
    """From cumulative buckets in order."""
    total = buckets[-1][1] if buckets else 0.0
    if total <= 0:
        return None
    rank, low, below = q * total, 0.0, 0.0
    for bound, count in buckets:
        if count >= rank and count > below:
            return low if bound == inf else low + (bound - low) * (rank - below) / (count - below)
        low, below = (bound if bound != inf else low), count
    return low
