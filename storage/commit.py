"""The commit: makes decisions durable in batches, each decision whole or not at all.

A committer takes what is queued while its last batch is in flight: a single decision does not wait, and many share one
round trip and one fsync. A batch is one call of ``commit_v1`` (migrations/0003_commit.sql), which returns the decisions
whose claims failed, and commits the rest in the same call.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import asyncpg
import structlog

from protocol.effects import Decision
from protocol.errors import RETRY_AFTER_S, Busy, Internal, Unavailable
from storage.batch import Batch
from storage.columns import call_of
from storage.database import close
from storage.outcomes import AGAIN, OK, CommitCallback, Committed
from storage.supervision import Supervised

QUEUE_MAX = 10_000
RETRIES_MAX = 5
RETRY_DELAY_S = 0.05
#: How long a stop waits for queued decisions; what is not durable by then fails with Unavailable.
STOP_TIMEOUT_S = 20.0

log = structlog.get_logger()


_CALL = f"SELECT statuses, seqs FROM {call_of('commit_v1')}"


#: The planner cannot estimate arrays; these settings force index look-ups, however small the tables are.
CONNECTION_SETTINGS = {
    "application_name": "guildwire-committer",
    "timezone": "UTC",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "statement_timeout": "10000",
    "lock_timeout": "5000",
}

Connect = Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]

#: Client-side timeouts; the server's statement timeout is shorter.
CONNECT_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 15.0


async def connect_committer(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Open a connection that only commits."""
    return await asyncpg.connect(
        dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=CALL_TIMEOUT_S, server_settings=CONNECTION_SETTINGS
    )


#: SQLSTATEs after which the same batch is called again: nothing of it was committed.
_RETRYABLE = ("40P01", "40001", "55P03", "53000", "53100", "53200", "53300", "53400")
#: Errors after which it is unknown whether the batch was committed, as after any error that the server did not send.
#: A read-only server, as after a failover, also needs a new connection, which may lead to another server.
_OUTCOME_UNKNOWN = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
)


class Committer:
    """One connection that commits batches, one in flight at a time.

    Its loop is supervised: when it dies, all its decisions fail with Unavailable, and it restarts with a new
    connection. Until then it refuses decisions.

    Args:
        connect: opens the connection; called again whenever it is lost.
        observe: called with the size and the duration in seconds of each batch.
        name: names it in the log and in ``/ready``.
    """

    def __init__(
        self,
        connect: Connect,
        observe: Callable[[int, float], None] = lambda size, seconds: None,
        name: str = "committer",
    ) -> None:
        self._connect = connect
        self._observe = observe
        #: Decisions for the next call, and those that have to wait for a later one.
        self._batch = Batch()
        self._queue: deque[tuple[Decision, CommitCallback]] = deque()
        #: The batch being committed, and the one whose outcomes are not reported yet.
        self._under_way = Batch()
        self._settled = Batch()
        self._outcomes: list[Committed] = []
        self._commit_task: asyncio.Task[list[Committed]] | None = None
        #: Set while it refuses decisions: its loop has died, or it stops.
        self._closed = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._call: Any = None
        self.task = Supervised(name, self._run, prepare=self._reconnect, died=self._abandon)

    @property
    def queued(self) -> int:
        """Decisions that wait for a batch."""
        return len(self._batch) + len(self._queue)

    async def start(self) -> None:
        """Open the connection and start the loop."""
        await self._reconnect()
        self._loop = asyncio.get_running_loop()
        self.task.start()

    async def stop(self) -> None:
        """Commit what is queued, within ``STOP_TIMEOUT_S``, then close."""
        self._closed = True
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._idle.wait()
        except TimeoutError:
            held = len(self._under_way) + self.queued
            log.error("commit.stop_cut", action="answer_unavailable", committer=self.task.name, decisions=held)
        await self.task.stop()
        if not self._idle.is_set():
            self._abandon()
        if self._connection is not None:
            await close(self._connection)

    def submit(self, decision: Decision, done: CommitCallback) -> None:
        """Queue a decision; ``done`` is called with its outcome.

        Raises:
            Busy: ``QUEUE_MAX`` decisions are waiting.
            Unavailable: its loop has died and is not restarted yet, or it stops.
        """
        if self._closed:
            raise Unavailable(retry_after_s=RETRY_AFTER_S)
        if len(self._batch) + len(self._queue) >= QUEUE_MAX:
            raise Busy(queue="commit", retry_after_s=RETRY_AFTER_S)
        if not self._batch:
            self._idle.clear()
            self._wake.set()
        if not self._batch.take(decision, done):
            self._queue.append((decision, done))

    async def _run(self) -> None:
        self._closed = False
        while True:
            await self._wake.wait()
            while self._batch or self._settled:
                await self._next()
            self._wake.clear()
            self._idle.set()

    async def _next(self) -> None:
        """Commit the next batch; the outcomes of the one before are reported while the database works on this one."""
        if self._outcomes and isinstance(self._outcomes[0].fault, Unavailable):
            # The database is unreachable: pending decisions fail at once, without waiting as long as this batch did.
            for decision, done in self._take_pending():
                self._settled.decisions.append(decision)
                self._settled.dones.append(done)
                self._outcomes.append(self._outcomes[0])
        batch = self._under_way = self._take_batch()
        if not batch:
            self._report_settled()
            return
        began = perf_counter()
        self._commit_task = self._loop.create_task(self._commit_with_retries(batch), name="commit")
        await asyncio.sleep(0)  # in this tick the call is handed to the transport,
        await asyncio.sleep(0)  # which writes it at the end of the tick
        self._report_settled()
        self._outcomes = await self._commit_task
        self._settled, self._under_way = batch, Batch()
        try:
            self._observe(len(batch), perf_counter() - began)
        except Exception:
            log.exception("commit.observer_crashed", size=len(batch))

    def _report_settled(self) -> None:
        settled, outcomes = self._settled, self._outcomes
        self._settled, self._outcomes = Batch(), []
        for decision, done, outcome in zip(settled.decisions, settled.dones, outcomes, strict=True):
            _report(decision, done, outcome)

    def _abandon(self) -> None:
        """Report the outcomes that the database returned, and fail all other decisions with Unavailable."""
        self._closed = True
        if self._commit_task is not None:
            self._commit_task.cancel()
        self._drop_connection()
        self._report_settled()
        batch, self._under_way = self._under_way, Batch()
        fault = Committed("fault", fault=Unavailable(retry_after_s=RETRY_AFTER_S))
        for decision, done in (*zip(batch.decisions, batch.dones, strict=True), *self._take_pending()):
            _report(decision, done, fault)
        self._wake.clear()
        self._idle.set()

    def _take_batch(self) -> Batch:
        """Take the current batch; start the next one with the decisions held back so far."""
        batch, self._batch = self._batch, Batch()
        later = []
        while self._queue and not self._batch.full:
            decision, done = self._queue.popleft()
            if not self._batch.take(decision, done):
                later.append((decision, done))
        self._queue.extendleft(reversed(later))
        return batch

    def _take_pending(self) -> Iterator[tuple[Decision, CommitCallback]]:
        """Remove and yield all pending decisions, which the caller fails."""
        while self._batch:
            batch = self._take_batch()
            yield from zip(batch.decisions, batch.dones, strict=True)

    async def _commit_with_retries(self, batch: Batch) -> list[Committed]:
        """Commit a batch, with reconnects and retries up to ``RETRIES_MAX``."""
        decisions = batch.decisions
        try:
            arguments = batch.arguments()
        except Exception as error:
            return await self._commit_individually(decisions, error)
        unknown = False
        for attempt in range(RETRIES_MAX):
            try:
                if self._connection is None or self._connection.is_closed():
                    await self._reconnect()
            except Exception as error:
                log.warning("commit.not_connected", action="retry", attempt=attempt, error=repr(error))
                await asyncio.sleep(RETRY_DELAY_S * 2**attempt)
                continue
            try:
                outcomes = await self._commit(decisions, arguments)
                if unknown:
                    outcomes = await self._reconcile_after_reconnect(decisions, outcomes)
                return await self._recommit_affected(decisions, outcomes)
            except Exception as error:
                if not isinstance(error, asyncpg.PostgresError) or isinstance(error, _OUTCOME_UNKNOWN):
                    unknown = True
                    log.warning("commit.connection_lost", action="retry", attempt=attempt, error=repr(error))
                    self._drop_connection()
                elif error.sqlstate in _RETRYABLE:
                    log.info("commit.retried", action="retry", attempt=attempt, error=repr(error))
                else:
                    return await self._commit_individually(decisions, error)
            await asyncio.sleep(RETRY_DELAY_S * 2**attempt)
        fault = Unavailable(retry_after_s=RETRY_AFTER_S)
        return [Committed("fault", fault=fault) for _ in decisions]

    async def _recommit_affected(self, decisions: list[Decision], outcomes: list[Committed]) -> list[Committed]:
        """Commit again the decisions that failed because of one that was refused itself; each pass leaves fewer."""
        affected = [nth for nth, outcome in enumerate(outcomes) if outcome.status == AGAIN]
        if affected:
            settled = await self._commit_with_retries(Batch.of([decisions[nth] for nth in affected]))
            for nth, outcome in zip(affected, settled, strict=True):
                outcomes[nth] = outcome
        return outcomes

    async def _commit(self, decisions: list[Decision], arguments: Sequence[str]) -> list[Committed]:
        (record,) = await self._call.fetch(*arguments)
        statuses, seqs = record
        outcomes = []
        at = 0
        for decision, status in zip(decisions, statuses, strict=True):
            count = decision.inbox_count
            outcomes.append(Committed(status, seqs[at : at + count] if status == OK and count else ()))
            at += count
        return outcomes

    async def _commit_individually(self, decisions: list[Decision], error: Exception) -> list[Committed]:
        """Commit the decisions one by one, after the database refused the batch for another reason than a claim."""
        if len(decisions) > 1:
            log.warning("commit.retried_individually", action="one_by_one", size=len(decisions), error=str(error))
            return [(await self._commit_with_retries(Batch.of([decision])))[0] for decision in decisions]
        (decision,) = decisions
        sqlstate = getattr(error, "sqlstate", None)
        log.error("commit.refused", to=str(decision.to), cause=decision.cause, sqlstate=sqlstate, error=repr(error))
        return [Committed("fault", fault=Internal(incident=decision.cause))]

    async def _reconcile_after_reconnect(self, decisions: list[Decision], outcomes: list[Committed]) -> list[Committed]:
        """After a lost connection: report the decisions that the first call had committed as committed."""
        return [
            Committed(OK, await self._seqs_of(decision))
            if outcome.status != OK and await self._is_committed(decision)
            else outcome
            for decision, outcome in zip(decisions, outcomes, strict=True)
        ]

    async def _is_committed(self, decision: Decision) -> bool:
        assert self._connection is not None
        if decision.log is None:
            return False
        return bool(
            await self._connection.fetchval(
                "SELECT true FROM command_log WHERE principal = $1 AND key = $2"
                " AND kind = $3 AND id = $4 AND version = $5 AND at = $6",
                *(decision.log.principal, decision.log.key, *decision.to, decision.version, decision.at),
            )
        )

    async def _seqs_of(self, decision: Decision) -> list[int]:
        assert self._connection is not None
        first = decision.version - len(decision.emitted) + 1
        pairs = [(user_id, first + nth) for nth, emitted in enumerate(decision.emitted) for user_id in emitted.audience]
        rows = await self._connection.fetch(
            "SELECT (SELECT seq FROM inbox i WHERE i.user_id = w.user_id AND i.kind = $1 AND i.id = $2"
            " AND i.version = w.version ORDER BY seq DESC LIMIT 1)"
            " FROM unnest($3::uuid[], $4::bigint[]) WITH ORDINALITY w(user_id, version, nth) ORDER BY nth",
            *(*decision.to, [user_id for user_id, _ in pairs], [version for _, version in pairs]),
        )
        return [row["seq"] for row in rows]

    async def _reconnect(self) -> None:
        self._connection = await self._connect()
        self._call = await self._connection.prepare(_CALL)

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None


def _report(decision: Decision, done: CommitCallback, outcome: Committed) -> None:
    """Call a decision's ``done``; a crash of it is logged."""
    try:
        done(outcome)
    except Exception:
        log.exception("commit.done_failed", to=str(decision.to), cause=decision.cause)
