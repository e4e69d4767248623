"""The audit as a nightly job; violations are logged and shown on /metrics."""

from collections.abc import Iterator
from datetime import datetime

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.edge.job import Counts
from server.ops.verify import INVARIANTS, Actors, verify
from storage.database import Pool

log = structlog.get_logger(__name__)

#: Time limit of a nightly audit; for a database that takes longer, run ``server verify`` on a copy.
VERIFY_MAX_S = 3600.0


class NightlyAudit(Collector):
    """Runs the audit, and publishes the result of the last one on any node."""

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
        """Record the time and the violations of the last audit."""
        self._last_run_s, self._broken = at.timestamp(), broken

    def collect(self) -> Iterator[Metric]:
        """Build the metric families; before the first audit its time is 0, and no violations are known."""
        text = "Rows that violated an invariant in the last audit"
        violations = GaugeMetricFamily("guildwire_verify_violations", text, labels=["invariant"])
        text = "When the last audit ran, in seconds since 1970; 0 if none did"
        last_run = GaugeMetricFamily("guildwire_verify_last_run_timestamp_seconds", text)
        last_run.add_metric([], self._last_run_s or 0.0)
        if self._last_run_s is not None:
            for invariant in INVARIANTS:
                violations.add_metric([invariant], self._broken.get(invariant, 0))
        yield violations
        yield last_run
