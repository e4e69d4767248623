"""The audit as a nightly job: a metric and the log show violations."""

from collections.abc import Iterator
from datetime import datetime

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.edge.job import Counts
from server.ops.verify import INVARIANTS, Actors, verify
from storage.database import Pool

log = structlog.get_logger(__name__)

#: One audit; ``server verify`` audits a database that takes longer, on a copy.
VERIFY_MAX_S = 3600.0


class NightlyVerification(Collector):
    """Audits the database, and shows the result of the last audit of any node on /metrics."""

    def __init__(self, pool: Pool, actors: Actors) -> None:
        self._pool = pool
        self._actors = actors
        self._last_run_s: float | None = None
        self._broken: Counts = {}

    async def run(self, now: datetime) -> Counts:
        """Run the audit; returns the number of violations by invariant."""
        broken = {}
        async for finding in verify(self._pool, self._actors):
            if finding.broken:
                broken[finding.name] = finding.broken
            for sample in finding.samples:
                log.error("verify.violation", action="look_into", invariant=finding.name, sample=sample)
        return broken

    def report(self, at: datetime, broken: Counts) -> None:
        """Take the result of the last audit."""
        self._last_run_s, self._broken = at.timestamp(), broken

    def collect(self) -> Iterator[Metric]:
        """What Prometheus sees; nothing before the first audit."""
        text = "Rows that violated an invariant at the last audit"
        violations = GaugeMetricFamily("guildwire_verify_violations", text, labels=["invariant"])
        text = "When the last audit ended, in seconds since 1970"
        last_run = GaugeMetricFamily("guildwire_verify_last_run_timestamp_seconds", text)
        if self._last_run_s is not None:
            last_run.add_metric([], self._last_run_s)
            for invariant in INVARIANTS:
                violations.add_metric([invariant], self._broken.get(invariant, 0))
        yield violations
        yield last_run
