"""Background jobs: a record of their runs, and the claim that lets one node at a time run each job.

The claim is an advisory lock of its own connection, and is released with it, however it ends.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import msgspec

from storage.database import OUTAGES, Connection, Pool, connect

#: The first half of each job's lock key; the second half is a hash of its name.
LOCK_SPACE = 0x6A6F6273
#: How often the holder of a claim checks its connection, and how long a check may take.
HEARTBEAT_S = 10.0
HEARTBEAT_TIMEOUT_S = 5.0
#: After these the database releases the claim of an unreachable client, which has noticed the loss before.
KEEPALIVE_IDLE_S = 15
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_PROBES_MAX = 3
ERROR_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class JobRecord:
    """The record of one job's runs."""

    name: str
    #: The due time of the last run that is done.
    done_for: datetime
    succeeded_at: datetime | None
    #: How long ago the last run failed; None unless it did.
    failed_s: float | None
    took_s: float | None
    #: The counts of the last successful run.
    counts: Mapping[str, int]


class JobClaim:
    """A held claim on a job; ``lost`` is set when its connection is lost."""

    def __init__(self, connection: Connection) -> None:
        self.lost = asyncio.Event()
        self._connection = connection
        self._turn = asyncio.Lock()
        connection.add_termination_listener(lambda _: self.lost.set())

    async def execute(self, sql: str, *values: object) -> None:
        """Run a statement on the claim's connection."""
        async with self._turn:
            await self._connection.execute(sql, *values, timeout=HEARTBEAT_TIMEOUT_S)

    async def watch(self) -> None:
        """Check the connection periodically until it is lost; sets ``lost`` however it ends."""
        try:
            with suppress(*OUTAGES):
                while not self.lost.is_set():
                    await asyncio.sleep(HEARTBEAT_S)
                    await self.execute("SELECT 1")
        finally:
            self.lost.set()


async def register(pool: Pool, first: Mapping[str, datetime]) -> None:
    """Create the rows of new jobs, each with a due time that counts as done."""
    await pool.execute(
        "INSERT INTO jobs (name, done_for) SELECT * FROM unnest($1::text[], $2::timestamptz[]) ON CONFLICT DO NOTHING",
        list(first),
        list(first.values()),
    )


async def load_job_records(source: Pool | Connection, names: Collection[str]) -> dict[str, JobRecord]:
    """Read the records of these jobs."""
    rows = await source.fetch(
        "SELECT name, done_for, succeeded_at, extract(epoch FROM now() - failed_at)::float8 AS failed_s, took_s,"
        " coalesce(counts, '{}')::text AS counts"
        " FROM jobs WHERE name = ANY ($1::text[])",
        list(names),
    )
    return {
        row["name"]: JobRecord(**{**row, "counts": msgspec.json.decode(row["counts"], type=dict[str, int])})
        for row in rows
    }


@asynccontextmanager
async def claim(dsn: str, name: str) -> AsyncIterator[JobClaim | None]:
    """Hold the right to run a job; None if another node does. The DSN must lead to Postgres itself, not to a pooler."""
    connection = await connect(dsn, startup_wait_s=0.0)
    try:
        await connection.execute(
            f"SET tcp_keepalives_idle = {KEEPALIVE_IDLE_S}; SET tcp_keepalives_interval = {KEEPALIVE_INTERVAL_S};"
            f" SET tcp_keepalives_count = {KEEPALIVE_PROBES_MAX}"
        )
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", LOCK_SPACE, name):
            yield None
            return
        held = JobClaim(connection)
        watch = asyncio.create_task(held.watch(), name=f"claim {name}")
        try:
            yield held
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            with suppress(*OUTAGES):
                await held.execute("SELECT pg_advisory_unlock_all()")
    finally:
        connection.terminate()


async def mark_started(claimed: JobClaim, name: str) -> None:
    """Record the start of a run."""
    await claimed.execute("UPDATE jobs SET started_at = now() WHERE name = $1", name)


async def mark_done(claimed: JobClaim, name: str, done_for: datetime, took_s: float, counts: Mapping[str, int]) -> None:
    """Record a successful run."""
    await claimed.execute(
        "UPDATE jobs SET done_for = $2, took_s = $3, counts = $4::text::jsonb, succeeded_at = now(), failed_at = NULL,"
        " error = NULL WHERE name = $1",
        *(name, done_for, took_s, msgspec.json.encode(counts).decode()),
    )


async def mark_failed(claimed: JobClaim, name: str, error: str) -> None:
    """Record a failed run, which is retried later."""
    await claimed.execute(
        "UPDATE jobs SET failed_at = now(), error = $2 WHERE name = $1", name, error.replace("\0", "")[:ERROR_CHARS_MAX]
    )
