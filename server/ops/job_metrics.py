"""Metrics of the background jobs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class JobMetrics(Collector):
    """Metrics by job. The last success is read from the database; the others are of this process.

    The label is ``task``: Prometheus has a label ``job`` of its own.
    """

    def __init__(self) -> None:
        self._last_success_s: dict[str, float] = {}
        self._took_s: dict[str, float] = {}
        self._failures: Counter[str] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()

    def loaded(self, job: str, succeeded_at: datetime | None, took_s: float | None) -> None:
        """Record a job's last success on any node, as loaded from the database."""
        self._failures[job] += 0
        self._last_success_s.setdefault(job, 0.0)  # an alert on a job that never succeeds needs its series
        if succeeded_at is not None:
            self._last_success_s[job] = succeeded_at.timestamp()
            self._took_s[job] = took_s or 0.0

    def done(self, job: str, counts: Mapping[str, int]) -> None:
        """Count a successful run of this process."""
        for name, count in counts.items():
            self._counts[job, name] += count

    def failed(self, job: str) -> None:
        """Count a failed run of this process."""
        self._failures[job] += 1

    def collect(self) -> Iterator[Metric]:
        """Build the metric families at each scrape."""
        text = "When a background job last succeeded on any node, in seconds since 1970; 0 if it never did"
        successes = GaugeMetricFamily("guildwire_job_last_success_timestamp_seconds", text, labels=["task"])
        for job, at_s in self._last_success_s.items():
            successes.add_metric([job], at_s)
        yield successes
        text = "How long a background job's last successful run took"
        durations = GaugeMetricFamily("guildwire_job_duration_seconds", text, labels=["task"])
        for job, took_s in self._took_s.items():
            durations.add_metric([job], took_s)
        yield durations
        failures = CounterMetricFamily("guildwire_job_failures", "Runs of background jobs that failed", labels=["task"])
        for job, count in self._failures.items():
            failures.add_metric([job], count)
        yield failures
        text = "What background jobs removed or made, by name"
        counts = CounterMetricFamily("guildwire_job_items", text, labels=["task", "what"])
        for (job, what), count in self._counts.items():
            counts.add_metric([job, what], count)
        yield counts
