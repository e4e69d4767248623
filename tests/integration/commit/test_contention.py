"""Many clients, few slots: one winner each, no deadlock, everything logged (rule G-5)."""

import asyncio
import sys
from functools import partial
from pathlib import Path
from uuid import uuid4

import msgspec

from protocol.ids import UserId
from storage.commit import Committer, connect_committer
from storage.database import Pool
from tests.support.sample_decisions import HANG_S, running
from tests.support.slot_contention import ContentionResult, contend

ROOT = Path(__file__).parents[3]
CLIENTS = 64
SLOTS = 20


async def test_a_crowd_on_one_committer_has_one_winner_a_slot(database_dsn: str, pool: Pool) -> None:
    async with running(database_dsn) as committer:
        contest = await contend([committer], UserId(uuid4()), CLIENTS, SLOTS)

    await assert_fair(pool, [contest])


async def test_a_crowd_on_two_committers_has_one_winner_a_slot(database_dsn: str, pool: Pool) -> None:
    async with running(database_dsn) as first, running(database_dsn, plain(database_dsn)) as second:
        contest = await contend([first, second], UserId(uuid4()), CLIENTS, SLOTS)

    await assert_fair(pool, [contest])


async def test_two_processes_on_one_database_have_one_winner_a_slot(database_dsn: str, pool: Pool) -> None:
    staff_id = uuid4()
    command = [
        sys.executable,
        "-m",
        "tests.support.slot_contention",
        database_dsn,
        str(staff_id),
        str(CLIENTS // 2),
        str(SLOTS),
    ]
    pipe = asyncio.subprocess.PIPE
    processes = [await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe) for _ in range(2)]
    async with asyncio.timeout(HANG_S):
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        answers = await asyncio.gather(*[process.communicate(b"go\n") for process in processes])

    await assert_fair(pool, [msgspec.json.decode(out, type=ContentionResult) for out, _ in answers])


def plain(dsn: str) -> Committer:
    return Committer(partial(connect_committer, dsn))


async def assert_fair(pool: Pool, contests: list[ContentionResult]) -> None:
    assert [sum(winners) for winners in zip(*[contest.winners for contest in contests], strict=True)] == [1] * SLOTS
    assert sum(contest.refused for contest in contests) == (CLIENTS - 1) * SLOTS
    assert await pool.fetchval("SELECT count(*) FROM slots") == SLOTS
    assert await pool.fetchval("SELECT count(*) FROM actors") == SLOTS
    logged = await pool.fetch("SELECT refused, count(*) AS n FROM command_log GROUP BY refused ORDER BY refused")
    assert [(row["refused"], row["n"]) for row in logged] == [(False, SLOTS), (True, (CLIENTS - 1) * SLOTS)]
    assert await pool.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    seconds = sorted(second for contest in contests for second in contest.seconds)
    print(
        f"{len(seconds)} answers, p50 {seconds[len(seconds) // 2] * 1e3:.1f} ms, "
        f"p99 {seconds[int(len(seconds) * 0.99)] * 1e3:.1f} ms"
    )
