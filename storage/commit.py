"""The commit: makes decisions durable, many at a time, each whole or not at all.

A committer takes what is queued while its last batch is in flight, so a lone decision waits for nobody and a crowd
shares one round trip and one fsync. The batch is one call of ``commit_v1`` (migrations/0002_commit.sql), which names
the decisions whose claims failed; the rest goes on in the same call.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

import asyncpg
import msgspec
import structlog

from protocol.catalogue import name_of
from protocol.effects import (
    CancelTimer,
    ClaimKey,
    Decision,
    DropRow,
    FreeSlot,
    MoveHold,
    OpenHold,
    PutRow,
    ReleaseKey,
    ReserveSlot,
    Send,
    SetTimer,
    Transfer,
)
from protocol.errors import (
    Busy,
    EmailTaken,
    Fault,
    HoldSpent,
    InsufficientFunds,
    Internal,
    Rejected,
    SlotTaken,
    Unavailable,
)

BATCH_MAX = 256
QUEUE_MAX = 10_000
RETRIES_MAX = 5
RETRY_DELAY_S = 0.05
RETRY_AFTER_S = 1.0

#: Statuses of commit_v1 that are not a constraint's name.
OK, DUPLICATE, STALE, GONE = "ok", "duplicate", "stale", "gone"
#: Refused for the sake of a decision that was refused in its turn: to be committed again. Never leaves this file.
AGAIN = "again"

#: What a refused claim means to whoever sent the command.
REFUSALS: dict[str, type[Rejected]] = {
    "slots_no_overlap": SlotTaken,
    "unique_email": EmailTaken,
    "balances_funded": InsufficientFunds,
    "holds_once": HoldSpent,
}

log = structlog.get_logger()


@dataclass(slots=True)
class Committed:
    """What became of one decision."""

    #: ``ok``, ``duplicate``, ``stale``, ``gone`` or the name of the constraint that refused it.
    status: str
    #: One inbox number for each (event, user) pair, in the order of ``Decision.emitted``.
    seqs: Sequence[int] = ()
    fault: Fault | None = None

    @property
    def refusal(self) -> type[Rejected] | None:
        return REFUSALS.get(self.status)


Done = Callable[[Committed], None]


class Columns:
    """The column arrays of one batch, in the order of ``commit_v1``'s parameters."""

    #: group → number of columns, in the order of the parameters behind the decisions' own.
    GROUPS: ClassVar[dict[str, int]] = {
        "journal": 7,
        "inbox": 4,
        "rows": 5,
        "slots_freed": 2,
        "slots": 6,
        "keys_released": 3,
        "keys": 4,
        "transfers": 8,
        "holds": 7,
        "holds_moved": 5,
        "timers_cancelled": 4,
        "agenda": 10,
    }

    def __init__(self) -> None:
        self.decisions: list[tuple[Any, ...]] = []
        self.groups: dict[str, list[tuple[Any, ...]]] = {name: [] for name in self.GROUPS}
        self._heads: dict[tuple[str, Any], int] = {}

    def add(self, decision: Decision) -> None:
        """Append one decision's rows. Decisions of one actor come in the order they were made in."""
        idx = len(self.decisions) + 1
        kind, actor_id = decision.to
        entry = decision.log
        self.decisions.append(
            (
                self._heads.setdefault((kind, actor_id), idx),
                kind,
                actor_id,
                decision.expected_version,
                decision.expected_stamp,
                decision.version,
                decision.stamp,
                decision.schema,
                None if decision.state is None else decision.state.decode(),
                decision.at,
                decision.fired,
                decision.principal,
                entry and entry.key,
                entry and entry.hash,
                entry and entry.command,
                entry and entry.refused,
                entry and entry.reply.decode(),
                self._add_events(idx, decision),
            )
        )
        timers: dict[str, SetTimer | CancelTimer] = {}
        for effect in decision.effects:
            if isinstance(effect, SetTimer | CancelTimer):
                timers[effect.name] = effect
            else:
                _WRITERS[type(effect)](self.groups, idx, decision, effect)
        for timer in timers.values():
            _WRITERS[type(timer)](self.groups, idx, decision, timer)

    def _add_events(self, idx: int, decision: Decision) -> int | None:
        """Append journal and inbox rows; answers the position of the sender's own last inbox row."""
        own = None
        kind = decision.to.kind
        journal, inbox = self.groups["journal"], self.groups["inbox"]
        version = decision.version - len(decision.emitted)
        for emitted in decision.emitted:
            version += 1
            event = emitted.event
            data = msgspec.json.encode(event).decode()
            journal.append((idx, kind, version, event.type, event.schema, data, decision.cause))
            for user_id in emitted.audience:
                inbox.append((idx, user_id, kind, version))
                if user_id == decision.principal:
                    own = len(inbox)
        return own

    def parameters(self) -> list[Sequence[Any]]:
        """The arguments of ``commit_v1``."""
        arguments: list[Sequence[Any]] = list(zip(*self.decisions, strict=True))
        if not any(arguments[10]):
            arguments[10] = ()
        for name, width in self.GROUPS.items():
            rows = self.groups[name]
            arguments.extend(zip(*rows, strict=True) if rows else ((),) * width)
        return arguments


Groups = dict[str, list[tuple[Any, ...]]]


def _put_row(groups: Groups, idx: int, decision: Decision, effect: PutRow) -> None:
    row = effect.row
    key = "/".join([str(getattr(row, name)) for name in row.key])
    groups["rows"].append((idx, row.table, key, False, msgspec.json.encode(row).decode()))


def _drop_row(groups: Groups, idx: int, decision: Decision, effect: DropRow) -> None:
    key = "/".join(effect.key.values())
    groups["rows"].append((idx, effect.table, key, True, msgspec.json.encode(effect.key).decode()))


def _reserve_slot(groups: Groups, idx: int, decision: Decision, effect: ReserveSlot) -> None:
    span = (effect.starts_at, effect.ends_at)
    groups["slots"].append((idx, effect.slot_id, effect.staff_id, effect.booking_id, *span))


def _free_slot(groups: Groups, idx: int, decision: Decision, effect: FreeSlot) -> None:
    groups["slots_freed"].append((idx, effect.slot_id))


def _claim_key(groups: Groups, idx: int, decision: Decision, effect: ClaimKey) -> None:
    groups["keys"].append((idx, effect.scope, effect.key, effect.owner))


def _release_key(groups: Groups, idx: int, decision: Decision, effect: ReleaseKey) -> None:
    groups["keys_released"].append((idx, effect.scope, effect.key))


def _transfer(groups: Groups, idx: int, decision: Decision, effect: Transfer) -> None:
    what = (effect.transfer_id, effect.debit, effect.credit, effect.amount_minor, effect.currency, effect.reason)
    groups["transfers"].append((idx, *what, decision.to.kind))


def _open_hold(groups: Groups, idx: int, decision: Decision, effect: OpenHold) -> None:
    what = (effect.hold_id, effect.booking_id, effect.business_id, effect.purpose, effect.currency, effect.amount_minor)
    groups["holds"].append((idx, *what))


def _move_hold(groups: Groups, idx: int, decision: Decision, effect: MoveHold) -> None:
    groups["holds_moved"].append((idx, effect.hold_id, effect.was, effect.becomes, effect.delta_minor))


def _set_timer(groups: Groups, idx: int, decision: Decision, effect: SetTimer) -> None:
    _cancel_timer(groups, idx, decision, effect)
    when = (effect.due_at, effect.expires_at)
    what = (name_of(type(effect.command)), msgspec.json.encode(effect.command).decode())
    groups["agenda"].append((idx, effect.agenda_id, *decision.to, effect.name, *when, *what, decision.cause))


def _cancel_timer(groups: Groups, idx: int, decision: Decision, effect: CancelTimer | SetTimer) -> None:
    groups["timers_cancelled"].append((idx, *decision.to, effect.name))


def _send(groups: Groups, idx: int, decision: Decision, effect: Send) -> None:
    what = (name_of(type(effect.command)), msgspec.json.encode(effect.command).decode())
    groups["agenda"].append((idx, effect.agenda_id, *effect.to, None, decision.at, None, *what, decision.cause))


_WRITERS: dict[type, Callable[[Groups, int, Decision, Any], None]] = {
    PutRow: _put_row,
    DropRow: _drop_row,
    ReserveSlot: _reserve_slot,
    FreeSlot: _free_slot,
    ClaimKey: _claim_key,
    ReleaseKey: _release_key,
    Transfer: _transfer,
    OpenHold: _open_hold,
    MoveHold: _move_hold,
    SetTimer: _set_timer,
    CancelTimer: _cancel_timer,
    Send: _send,
}

_ARGUMENTS = 18 + sum(Columns.GROUPS.values())
_CALL = f"SELECT statuses, seqs FROM commit_v1({', '.join(f'${n}' for n in range(1, _ARGUMENTS + 1))})"


def _arguments(decisions: Sequence[Decision]) -> list[Sequence[Any]]:
    """The arguments of the call that commits these. Raises whatever encoding them raises."""
    columns = Columns()
    for decision in decisions:
        columns.add(decision)
    return columns.parameters()


#: The planner knows nothing of arrays; these keep every lookup an index lookup, however small the tables still are.
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

#: Bounds of the committer's own waiting; the server's statement timeout is shorter.
CONNECT_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 15.0


async def connect_committer(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Open a connection that only commits."""
    return await asyncpg.connect(
        dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=CALL_TIMEOUT_S, server_settings=CONNECTION_SETTINGS
    )


#: SQLSTATEs after which the same batch may simply be called again: nothing of it was kept.
_TRY_AGAIN = ("40P01", "40001", "55P03", "53000", "53100", "53200", "53300", "53400")
#: After these nobody knows whether the batch was kept; nor after anything that is not the server's own word.
_UNKNOWN = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)


class Committer:
    """One connection that commits batches, one in flight at a time.

    Args:
        connect: opens the connection; called again whenever it is lost.
        observe: told the size and the duration in seconds of each batch.
    """

    def __init__(self, connect: Connect, observe: Callable[[int, float], None] = lambda size, seconds: None) -> None:
        self._connect = connect
        self._observe = observe
        self._queue: deque[tuple[Decision, Done]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._call: Any = None
        self._task: asyncio.Task[None] | None = None

    @property
    def queued(self) -> int:
        """Decisions that wait for their batch."""
        return len(self._queue)

    async def start(self) -> None:
        """Open the connection and begin to take batches."""
        await self._reconnect()
        self._task = asyncio.create_task(self._run(), name="committer")

    async def stop(self) -> None:
        """Commit what is queued, then close."""
        await self._idle.wait()
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            await self._connection.close()

    def submit(self, decision: Decision, done: Done) -> None:
        """Queue a decision; ``done`` is called with what became of it.

        Raises:
            Busy: ``QUEUE_MAX`` decisions wait already.
        """
        if len(self._queue) >= QUEUE_MAX:
            raise Busy(queue="commit", retry_after_s=RETRY_AFTER_S)
        self._queue.append((decision, done))
        self._idle.clear()
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            while self._queue:
                batch = self._take()
                began = perf_counter()
                outcomes = await self._settle([decision for decision, _ in batch])
                self._observe(len(batch), perf_counter() - began)
                if isinstance(outcomes[0].fault, Unavailable):
                    # Nobody else waits as long as this batch has waited for a database that is not there.
                    batch += self._queue
                    outcomes += [outcomes[0]] * len(self._queue)
                    self._queue.clear()
                for (decision, done), outcome in zip(batch, outcomes, strict=True):
                    try:
                        done(outcome)
                    except Exception:
                        log.exception("commit.done_failed", to=str(decision.to), cause=decision.cause)
            self._wake.clear()
            self._idle.set()

    def _take(self) -> list[tuple[Decision, Done]]:
        """The next batch: in order, but of one actor only the first decision may have claims.

        One that does not build on the actor's decision before it comes first in a later batch, where its version is
        checked against the database.
        """
        batch: list[tuple[Decision, Done]] = []
        later: list[tuple[Decision, Done]] = []
        taken: dict[Any, tuple[int, int]] = {}
        held_back: set[Any] = set()
        while self._queue and len(batch) < BATCH_MAX:
            item = self._queue.popleft()
            decision = item[0]
            to = decision.to
            basis = decision.expected_version, decision.expected_stamp
            if to in held_back or (to in taken and (taken[to] != basis or decision.claims)):
                held_back.add(to)
                later.append(item)
            else:
                taken[to] = basis if decision.state is None else (decision.version, decision.stamp)
                batch.append(item)
        self._queue.extendleft(reversed(later))
        return batch

    async def _settle(self, decisions: list[Decision]) -> list[Committed]:
        """Commit a batch, whatever it takes within the named bounds."""
        try:
            arguments = _arguments(decisions)
        except Exception as error:
            return await self._single_out(decisions, error)
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
                    outcomes = await self._claim_own(decisions, outcomes)
                return await self._once_more(decisions, outcomes)
            except Exception as error:
                if not isinstance(error, asyncpg.PostgresError) or isinstance(error, _UNKNOWN):
                    unknown = True
                    log.warning("commit.connection_lost", action="retry", attempt=attempt, error=repr(error))
                    self._drop_connection()
                elif error.sqlstate in _TRY_AGAIN:
                    log.info("commit.retried", action="retry", attempt=attempt, error=repr(error))
                else:
                    return await self._single_out(decisions, error)
            await asyncio.sleep(RETRY_DELAY_S * 2**attempt)
        fault = Unavailable(retry_after_s=RETRY_AFTER_S)
        return [Committed("fault", fault=fault) for _ in decisions]

    async def _once_more(self, decisions: list[Decision], outcomes: list[Committed]) -> list[Committed]:
        """Settle those that were refused for the sake of one that was refused itself; each pass leaves fewer."""
        doubted = [nth for nth, outcome in enumerate(outcomes) if outcome.status == AGAIN]
        if doubted:
            settled = await self._settle([decisions[nth] for nth in doubted])
            for nth, outcome in zip(doubted, settled, strict=True):
                outcomes[nth] = outcome
        return outcomes

    async def _commit(self, decisions: list[Decision], arguments: Sequence[Any]) -> list[Committed]:
        (record,) = await self._call.fetch(*arguments)
        statuses, seqs = record
        outcomes = []
        at = 0
        for decision, status in zip(decisions, statuses, strict=True):
            count = sum([len(emitted.audience) for emitted in decision.emitted])
            outcomes.append(Committed(status, seqs[at : at + count] if status == OK and count else ()))
            at += count
        return outcomes

    async def _single_out(self, decisions: list[Decision], error: Exception) -> list[Committed]:
        """The database refuses the batch for a reason that no claim foresaw: find the one that it is about."""
        if len(decisions) > 1:
            log.warning("commit.singled_out", action="one_by_one", size=len(decisions), error=str(error))
            return [(await self._settle([decision]))[0] for decision in decisions]
        (decision,) = decisions
        sqlstate = getattr(error, "sqlstate", None)
        log.error("commit.refused", to=str(decision.to), cause=decision.cause, sqlstate=sqlstate, error=repr(error))
        return [Committed("fault", fault=Internal(incident=decision.cause))]

    async def _claim_own(self, decisions: list[Decision], outcomes: list[Committed]) -> list[Committed]:
        """After a lost connection: what this very batch had kept is ours, whatever stood in its way the second time."""
        return [
            Committed(OK, await self._seqs_of(decision))
            if outcome.status != OK and await self._kept(decision)
            else outcome
            for decision, outcome in zip(decisions, outcomes, strict=True)
        ]

    async def _kept(self, decision: Decision) -> bool:
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
