"""Background jobs: at their times, on one node at a time, made up when missed, cancelled at a stop; with metrics."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from server.edge.job import FAILED_RETRY_S, Daily, Every, Job
from server.ops.job_metrics import JobMetrics
from server.ops.jobs import CLOCK_SKEW_MAX, Jobs
from storage.database import Pool, connect_pool
from storage.jobs import LOCK_SPACE, claim
from tests.support.runtime import make_runtime

TIMEOUT_S = 60
NIGHT = datetime(2031, 5, 6, 3, 17, tzinfo=UTC)
DAY = timedelta(days=1)
NIGHTLY = Daily(time(3, 17))


class Scheduler:
    """Records the scheduled actions; the tests call ``check`` themselves."""

    def __init__(self) -> None:
        self.times: dict[str, float | time] = {}

    def every(self, name: str, seconds: float, action: Callable[[], Awaitable[object]]) -> None:
        self.times[name] = seconds

    def daily(self, name: str, at: time, action: Callable[[], Awaitable[object]]) -> None:
        self.times[name] = at


@dataclass
class Work:
    """A job's work: counts its runs, and waits in each until ``go`` is set."""

    runs: list[datetime] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    cut: bool = False
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.go.set()

    async def __call__(self, now: datetime) -> dict[str, int]:
        self.runs.append(now)
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cut = True
            raise
        if self.error is not None:
            raise self.error
        return {"rows": 7}


@dataclass
class Host:
    """One node's jobs, with a clock of its own."""

    jobs: Jobs
    registry: CollectorRegistry
    now: datetime

    async def at(self, now: datetime) -> None:
        """Set the clock to this time, and wait until due jobs have run."""
        self.now = now
        await self.jobs.check()
        await self.settled()

    async def settled(self) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await self.jobs.settle()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"guildwire_job_{name}", labels)


@asynccontextmanager
async def host(dsn: str, *jobs: Job, now: datetime = NIGHT - DAY / 2) -> AsyncIterator[Host]:
    """A node with these jobs, by default in the afternoon before the night."""
    pool = await connect_pool(dsn, size_min=1, size_max=2)
    metrics, registry = JobMetrics(), CollectorRegistry()
    registry.register(metrics)
    node: Host
    node = Host(
        Jobs(jobs, dsn=dsn, pool=pool, now=lambda: node.now, metrics=metrics),
        registry,
        now,
    )
    await node.jobs.start(Scheduler())
    try:
        yield node
    finally:
        await node.jobs.stop()
        await pool.close()


async def job_row(pool: Pool, name: str = "sweep") -> dict[str, Any]:
    row = await pool.fetchrow("SELECT * FROM jobs WHERE name = $1", name)
    assert row is not None
    return dict(row)


async def age_failure(pool: Pool, seconds: float) -> None:
    await pool.execute("UPDATE jobs SET failed_at = failed_at - make_interval(secs => $1)", seconds)


# When


async def test_a_daily_job_runs_once_when_its_time_has_come(database_dsn: str) -> None:
    work = Work()
    async with host(database_dsn, Job("sweep", NIGHTLY, work)) as node:
        await node.at(NIGHT - timedelta(seconds=1))
        assert work.runs == []

        await node.at(NIGHT)
        await node.at(NIGHT + timedelta(hours=5))

        assert work.runs == [NIGHT]


async def test_a_job_of_every_minute_runs_once_in_each(database_dsn: str) -> None:
    work = Work()
    async with host(database_dsn, Job("seal", Every(60), work), now=NIGHT) as node:
        for seconds in (30, 59, 60, 61, 119, 121):
            await node.at(NIGHT + timedelta(seconds=seconds))

    assert work.runs == [NIGHT + timedelta(seconds=60), NIGHT + timedelta(seconds=121)]


async def test_a_new_installation_has_no_missed_runs(database_dsn: str) -> None:
    work = Work()
    async with host(database_dsn, Job("sweep", NIGHTLY, work), now=NIGHT + timedelta(hours=9)) as node:
        await node.settled()

    assert work.runs == []


async def test_nights_that_were_missed_are_made_up_at_the_start_by_one_run(database_dsn: str) -> None:
    work = Work()
    async with host(database_dsn, Job("sweep", NIGHTLY, work)) as node:
        await node.at(NIGHT)
    later = NIGHT + 3 * DAY + timedelta(hours=4)

    async with host(database_dsn, Job("sweep", NIGHTLY, work), now=later) as node:
        await node.settled()
        await node.at(later + timedelta(hours=1))

    assert work.runs == [NIGHT, later]


async def test_a_run_recorded_in_the_future_is_ignored(database_dsn: str, pool: Pool) -> None:
    work = Work()
    async with host(database_dsn, Job("sweep", NIGHTLY, work)) as node:
        await node.at(NIGHT + 400 * DAY)
        await node.at(NIGHT - CLOCK_SKEW_MAX)

    assert len(work.runs) == 2
    assert (await job_row(pool))["done_for"] == NIGHT - DAY


# Where


async def test_one_of_two_nodes_runs_a_job(database_dsn: str) -> None:
    first, second = Work(), Work()
    first.go.clear()
    async with (
        host(database_dsn, Job("sweep", NIGHTLY, first)) as node,
        host(database_dsn, Job("sweep", NIGHTLY, second)) as other,
    ):
        node.now = NIGHT
        await node.jobs.check()
        async with asyncio.timeout(TIMEOUT_S):
            await first.begun.wait()
        await other.at(NIGHT)  # the first node is running it
        first.go.set()
        await node.settled()
        await other.at(NIGHT + timedelta(minutes=5))  # the first node has run it

        assert (len(first.runs), len(second.runs)) == (1, 0)
        assert other.metric("last_success_timestamp_seconds", task="sweep") is not None


async def test_another_node_makes_up_an_unfinished_run(database_dsn: str) -> None:
    first, second = Work(), Work()
    first.go.clear()
    async with host(database_dsn, Job("sweep", NIGHTLY, second)) as other:
        async with host(database_dsn, Job("sweep", NIGHTLY, first)) as node:
            node.now = NIGHT
            await node.jobs.check()
            async with asyncio.timeout(TIMEOUT_S):
                await first.begun.wait()

        await other.at(NIGHT)

    assert first.cut
    assert second.runs == [NIGHT]


async def test_a_claim_ends_with_its_connection_and_the_run_with_its_claim(database_dsn: str, pool: Pool) -> None:
    work = Work()
    work.go.clear()
    async with host(database_dsn, Job("sweep", NIGHTLY, work)) as node:
        node.now = NIGHT
        await node.jobs.check()
        async with asyncio.timeout(TIMEOUT_S):
            await work.begun.wait()
        with capture_logs() as logs:
            await pool.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks"
                " WHERE locktype = 'advisory' AND classid = $1 AND database = (SELECT oid FROM pg_database"
                " WHERE datname = current_database())",
                LOCK_SPACE,
            )
            async with claim(database_dsn, "sweep") as claimed:
                assert claimed is not None, "the lock has leaked"
            await node.settled()
        assert work.cut
        assert node.metric("failures_total", task="sweep") == 1
        assert [line["event"] for line in logs] == ["job.claim_lost"]

        work.go.set()
        await node.at(NIGHT)

    assert len(work.runs) == 2


async def test_daily_jobs_of_one_node_run_one_after_another(database_dsn: str) -> None:
    first, second = Work(), Work()
    first.go.clear()
    async with host(database_dsn, Job("a", NIGHTLY, first), Job("b", NIGHTLY, second)) as node:
        node.now = NIGHT
        await node.jobs.check()
        async with asyncio.timeout(TIMEOUT_S):
            await first.begun.wait()
        assert not second.runs
        first.go.set()
        await node.settled()

    assert second.runs == [NIGHT]


# Outcomes


async def test_a_failed_run_is_logged_counted_and_retried_later(database_dsn: str, pool: Pool) -> None:
    work = Work(error=RuntimeError("no luck"))
    async with host(database_dsn, Job("sweep", NIGHTLY, work)) as node:
        with capture_logs() as logs:
            await node.at(NIGHT)
        assert [(line["event"], line["log_level"], line["job"]) for line in logs] == [("job.failed", "error", "sweep")]
        assert node.metric("failures_total", task="sweep") == 1
        assert "no luck" in (await job_row(pool))["error"]

        work.error = None
        await node.at(NIGHT)
        assert len(work.runs) == 1, "too soon"
        await age_failure(pool, FAILED_RETRY_S)
        await node.at(NIGHT)

    row = await job_row(pool)
    assert (len(work.runs), row["error"], row["failed_at"], row["done_for"]) == (2, None, None, NIGHT)


async def test_a_run_that_takes_too_long_is_cancelled(database_dsn: str, pool: Pool) -> None:
    work = Work()
    work.go.clear()
    async with host(database_dsn, Job("sweep", NIGHTLY, work, time_max_s=0.01)) as node:
        await node.at(NIGHT)

    assert work.cut
    assert "TimeoutError" in (await job_row(pool))["error"]


async def test_a_stop_cancels_a_run_and_the_next_start_makes_it_up(database_dsn: str, pool: Pool) -> None:
    work = Work()
    work.go.clear()
    async with host(database_dsn, Job("sweep", NIGHTLY, work)) as node:
        node.now = NIGHT
        await node.jobs.check()
        async with asyncio.timeout(TIMEOUT_S):
            await work.begun.wait()
    assert work.cut
    assert (await job_row(pool))["failed_at"] is None
    work.go.set()

    async with host(database_dsn, Job("sweep", NIGHTLY, work), now=NIGHT) as node:
        await node.settled()

    assert len(work.runs) == 2
    assert (await job_row(pool))["done_for"] == NIGHT


async def test_a_run_is_shown_by_one_log_line_and_by_metrics(database_dsn: str, pool: Pool) -> None:
    async with host(database_dsn, Job("sweep", NIGHTLY, Work())) as node:
        with capture_logs() as logs:
            await node.at(NIGHT)

        (line,) = logs
        assert (line["event"], line["log_level"], line["job"], line["rows"]) == ("job.done", "info", "sweep", 7)
        assert node.metric("items_total", task="sweep", what="rows") == 7
        assert node.metric("failures_total", task="sweep") == 0
        succeeded_at = (await job_row(pool))["succeeded_at"]
        assert node.metric("last_success_timestamp_seconds", task="sweep") == succeeded_at.timestamp()
        assert node.metric("duration_seconds", task="sweep") == (await job_row(pool))["took_s"]


async def test_the_last_success_is_known_after_a_restart(database_dsn: str) -> None:
    async with host(database_dsn, Job("sweep", NIGHTLY, Work())) as node:
        await node.at(NIGHT)
        before = node.metric("last_success_timestamp_seconds", task="sweep")

    async with host(database_dsn, Job("sweep", NIGHTLY, Work()), now=NIGHT) as node:
        await node.settled()
        assert before is not None
        assert node.metric("last_success_timestamp_seconds", task="sweep") == before


# The scheduler


async def test_the_servers_one_scheduler_wakes_jobs(database_dsn: str, pool: Pool) -> None:
    work = Work()
    jobs = Jobs(
        [Job("seal", Every(1), work), Job("sweep", NIGHTLY, Work())],
        dsn=database_dsn,
        pool=pool,
        now=lambda: datetime.now(UTC),
        metrics=JobMetrics(),
    )
    async with make_runtime(database_dsn, pool, {}, {}) as node:
        await jobs.start(node.agenda)
        async with asyncio.timeout(TIMEOUT_S):
            await work.begun.wait()
        planned = node.agenda._scheduler.get_job("job sweep")

        assert planned.next_run_time.strftime("%H:%M:%S %Z") == "03:17:00 UTC"
        assert (planned.misfire_grace_time, planned.coalesce, planned.max_instances) == (None, True, 1)
        await jobs.stop()


@pytest.mark.parametrize(
    ("now", "due"),
    [(NIGHT, NIGHT), (NIGHT - timedelta(microseconds=1), NIGHT - DAY), (NIGHT + DAY * 0.9, NIGHT)],
)
def test_the_last_due_time_of_a_daily_job(now: datetime, due: datetime) -> None:
    assert NIGHTLY.latest(now) == due
