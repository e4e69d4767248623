"""A background job, as a part of the server declares it; ``server.ops.jobs`` runs it on one node at a time.

A job is one line: ``Job("trim_inboxes", nightly, run)``, where ``run`` takes the time of the domain's clock and returns
what it did, by name: ``{"rows": 412}``. A run may be cut anywhere, and may overlap with another node's: it works in
small transactions, and the next run continues where it stopped.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from storage.database import Pool

#: A daily job that failed is run again after this.
FAILED_RETRY_S = 1800.0
#: One run; more is cut, and counts as failed.
RUN_MAX_S = 7200.0

#: What a run did, by name.
Counts = Mapping[str, int]
Run = Callable[[datetime], Awaitable[Counts]]


@dataclass(frozen=True, slots=True)
class Daily:
    """Once a day, at a time of day in UTC."""

    at: time
    retry_s: float = FAILED_RETRY_S

    def latest(self, now: datetime) -> datetime:
        """The last due time up to an instant."""
        today = datetime.combine(now.date(), self.at, UTC)
        return today if today <= now else today - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Every:
    """At fixed intervals, counted from the Unix epoch."""

    seconds: int

    @property
    def retry_s(self) -> float:
        """No wait: the next interval is the retry."""
        return 0.0

    def latest(self, now: datetime) -> datetime:
        """The last due time up to an instant."""
        return datetime.fromtimestamp(now.timestamp() // self.seconds * self.seconds, UTC)


@dataclass(frozen=True, slots=True)
class Job:
    """A background job.

    Args:
        run: takes the time of the domain's clock; returns what it did.
        time_max_s: a run that takes longer is cut.
        report: called with the time and the counts of the last success on any node; None: the counts go to /metrics.
    """

    name: str
    when: Daily | Every
    run: Run
    time_max_s: float = RUN_MAX_S
    report: Callable[[datetime, Counts], None] | None = None


def removing(pool: Pool, kept: timedelta, remove: Callable[[Pool, datetime], Awaitable[int]]) -> Run:
    """Make the run of a job that deletes, or archives, rows older than ``kept``."""

    async def run(now: datetime) -> Counts:
        return {"rows": await remove(pool, now - kept)}

    return run
