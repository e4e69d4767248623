"""Runs background jobs: each at its times on one node at a time, late if it was missed, with metrics of the results.

``server.edge.job`` says what a job is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, time, timedelta
from time import monotonic
from typing import Protocol

import structlog

from server.edge.job import Counts, Daily, Every, Job
from server.ops.job_metrics import JobMetrics
from storage.database import OUTAGES, DatabaseUnreachable, Pool
from storage.jobs import JobClaim, claim, load_job_records, mark_done, mark_failed, mark_started, register
from storage.supervision import cancel_and_wait

log = structlog.get_logger(__name__)

#: How often every job is checked: one that was missed, failed or died with its node runs then.
CHECK_EVERY_S = 300.0
#: Ignore a recorded run further in the future than this: the clock was set back.
CLOCK_SKEW_MAX = timedelta(hours=1)


class Clockwork(Protocol):
    """The scheduler, as far as jobs need it."""

    def every(self, name: str, seconds: float, action: Callable[[], Awaitable[object]]) -> None:
        """Call an action at intervals."""

    def daily(self, name: str, at: time, action: Callable[[], Awaitable[object]]) -> None:
        """Call an action once a day, in UTC."""


class ClaimLost(Exception):
    """The connection that held the claim was lost during a run."""


class Jobs:
    """Runs the jobs of this node.

    Args:
        dsn: leads to Postgres itself: a pooler would take the claims away.
        now: the domain's clock.
    """

    def __init__(
        self, jobs: Sequence[Job], *, dsn: str, pool: Pool, now: Callable[[], datetime], metrics: JobMetrics
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        assert len(self._jobs) == len(jobs), "two jobs have one name"
        self._dsn = dsn
        self._pool = pool
        self._now = now
        self._metrics = metrics
        self._running: dict[str, asyncio.Task[None]] = {}
        #: Daily jobs of one node run one after another.
        self._turn = asyncio.Lock()
        self._open = False

    async def start(self, clockwork: Clockwork) -> None:
        """Schedule the jobs, and run those that were missed while no node ran."""
        now = self._now()
        await register(self._pool, {job.name: job.when.latest(now) for job in self._jobs.values()})
        self._open = True
        for job in self._jobs.values():
            match job.when:
                case Daily(at=at):
                    clockwork.daily(f"job {job.name}", at, self._waking(job))
                case Every(seconds=seconds):
                    clockwork.every(f"job {job.name}", seconds, self._waking(job))
        clockwork.every("jobs", CHECK_EVERY_S, self.check)
        await self.check()

    async def stop(self) -> None:
        """Cancel the running jobs; another node, or the next start, runs them again."""
        self._open = False
        await cancel_and_wait(*self._running.values())

    async def check(self) -> None:
        """Run the jobs that are due."""
        for job in self._jobs.values():
            self._wake(job)

    async def settle(self) -> None:
        """Wait for the runs that have begun."""
        while self._running:
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _waking(self, job: Job) -> Callable[[], Awaitable[None]]:
        async def wake() -> None:
            self._wake(job)

        return wake

    def _wake(self, job: Job) -> None:
        if self._open and job.name not in self._running:
            task = asyncio.create_task(self._attempt(job), name=f"job {job.name}")
            self._running[job.name] = task
            task.add_done_callback(lambda _: self._running.pop(job.name))

    # One run

    async def _attempt(self, job: Job) -> None:
        """Run a job if it is due and no other node is at it."""
        try:
            if not await self._due(job):
                return
            if isinstance(job.when, Daily):
                async with self._turn:
                    await self._claim(job)
            else:
                await self._claim(job)
        except (DatabaseUnreachable, *OUTAGES) as error:
            log.warning("job.postponed", action="check", job=job.name, error=repr(error))
        except Exception:
            log.exception("job.crashed", action="check", job=job.name)

    async def _due(self, job: Job) -> bool:
        """Whether the database has no run for its last due time."""
        record = (await load_job_records(self._pool, [job.name]))[job.name]
        self._metrics.known(job.name, record.succeeded_at, record.took_s)
        if job.report is not None and record.succeeded_at is not None:
            job.report(record.succeeded_at, record.counts)
        now = self._now()
        behind = record.done_for < job.when.latest(now) or record.done_for > now + CLOCK_SKEW_MAX
        return behind and (record.failed_s is None or record.failed_s >= job.when.retry_s)

    async def _claim(self, job: Job) -> None:
        async with claim(self._dsn, job.name) as claimed:
            if claimed is not None and await self._due(job):
                await self._run(job, claimed)
                await self._due(job)  # updates the metrics

    async def _run(self, job: Job, claimed: JobClaim) -> None:
        """Run it once, for the last of its due times, however many were missed."""
        now, began_s = self._now(), monotonic()
        await mark_started(claimed, job.name)
        try:
            counts = await _held(job.run(now), claimed, job.time_max_s)
        except ClaimLost:
            self._metrics.failed(job.name)
            log.warning("job.claim_lost", action="check", job=job.name)
            return
        except Exception as error:
            self._metrics.failed(job.name)
            log.exception("job.failed", action="again_later", job=job.name, took_s=round(monotonic() - began_s, 3))
            await mark_failed(claimed, job.name, repr(error))
            return
        took_s = monotonic() - began_s
        await mark_done(claimed, job.name, job.when.latest(now), took_s, counts)
        if job.report is None:
            self._metrics.done(job.name, counts)
        if isinstance(job.when, Daily) or any(counts.values()):
            log.info("job.done", job=job.name, took_s=round(took_s, 3), **counts)


async def _held(work: Awaitable[Counts], claimed: JobClaim, time_max_s: float) -> Counts:
    """Run while the claim is held. Raises: ClaimLost, TimeoutError."""
    working = asyncio.ensure_future(work)
    losing = asyncio.ensure_future(claimed.lost.wait())
    try:
        await asyncio.wait([working, losing], timeout=time_max_s, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if losing.done():
            raise ClaimLost
        raise TimeoutError(f"not done in {time_max_s:.0f} s")
    finally:
        for task in (working, losing):
            task.cancel()
        await asyncio.gather(working, losing, return_exceptions=True)
