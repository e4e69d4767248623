"""The metrics of background jobs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class JobMetrics(Collector):
    """Metrics by job: of this process, except the last success, which the database knows."""

    def __init__(self) -> None:
        self._last_success_s: dict[str, float] = {}
        self._took_s: dict[str, float] = {}
        self._failures: Counter[str] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()

    def known(self, job: str, succeeded_at: datetime | None, took_s: float | None) -> None:
        """Note a job's last success on any node, as the database knows it."""
        self._failures[job] += 0
        if succeeded_at is not None:
            self._last_success_s[job] = succeeded_at.timestamp()
            self._took_s[job] = took_s or 0.0

    def done(self, job: str, counts: Mapping[str, int]) -> None:
        """A run of this process succeeded."""
        for what, count in counts.items():
            self._counts[job, what] += count

    def failed(self, job: str) -> None:
        """A run of this process failed."""
        self._failures[job] += 1

    def collect(self) -> Iterator[Metric]:
        """What Prometheus sees."""
        text = "When a background job last succeeded on any node, in seconds since 1970"
        successes = GaugeMetricFamily("guildwire_job_last_success_timestamp_seconds", text, labels=["job"])
        for job, at_s in self._last_success_s.items():
            successes.add_metric([job], at_s)
        yield successes
        text = "How long a background job's last successful run took"
        durations = GaugeMetricFamily("guildwire_job_duration_seconds", text, labels=["job"])
        for job, took_s in self._took_s.items():
            durations.add_metric([job], took_s)
        yield durations
        failures = CounterMetricFamily("guildwire_job_failures", "Runs of background jobs that failed", labels=["job"])
        for job, count in self._failures.items():
            failures.add_metric([job], count)
        yield failures
        text = "What background jobs removed or made, by name"
        counts = CounterMetricFamily("guildwire_job_items", text, labels=["job", "what"])
        for (job, what), count in self._counts.items():
            counts.add_metric([job, what], count)
        yield counts
