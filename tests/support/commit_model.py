"""A sequential model of the commit: one decision after another, on dictionaries.

``apply`` returns the status of a decision, and applies it if it is valid. Within one decision all releases and openings
come before the claims, as in the database.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from protocol.effects import (
    CancelTimer,
    ClaimKey,
    Count,
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
from protocol.ids import Ref
from storage.database import Pool
from storage.outcomes import DUPLICATE, GONE, OK, STALE

#: Statuses in which a hold is empty.
_EMPTY = ("HELD", "POSTED", "VOIDED")


@dataclass
class CommitModel:
    """The contents of the core's tables."""

    actors: dict[Ref, tuple[int, int]] = field(default_factory=dict)
    journal: list[tuple[Ref, int]] = field(default_factory=list)
    log: dict[tuple[UUID, str], tuple[Any, ...]] = field(default_factory=dict)
    inbox: dict[UUID, list[tuple[Ref, int]]] = field(default_factory=dict)
    slots: dict[UUID, ReserveSlot] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    keys: dict[tuple[str, str], UUID] = field(default_factory=dict)
    holds: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    transfers: set[tuple[UUID, str, str, int]] = field(default_factory=set)
    agenda: dict[UUID, tuple[Ref, str | None]] = field(default_factory=dict)
    rows: dict[tuple[UUID, str], int] = field(default_factory=dict)

    def apply(self, decision: Decision, *, prepared: bool = False) -> str:
        """Apply the decision if it is valid; returns its status, as the commit does.

        Args:
            prepared: it was ``prepare``d before.
        """
        trial = deepcopy(self)
        if not prepared:
            trial.prepare([decision])
        status = trial._guards(decision) or trial._claims(decision)
        if status is None:
            trial._writes(decision)
            self.__dict__ = trial.__dict__
        return status or OK

    def status(self, decision: Decision) -> str:
        """The status that the decision would get; nothing is applied."""
        return deepcopy(self).apply(decision)

    def prepare(self, decisions: Sequence[Decision]) -> None:
        """Apply releases and openings, which a batch does before any claims."""
        for decision in decisions:
            for effect in decision.effects:
                match effect:
                    case FreeSlot():
                        self.slots.pop(effect.slot_id, None)
                    case ReleaseKey():
                        self.keys.pop((effect.unique.scope, effect.key), None)
                    case OpenHold():
                        self.holds[effect.hold_id] = ("HELD", 0)
                    case _:
                        pass

    def _guards(self, decision: Decision) -> str | None:
        if decision.log is not None and (decision.principal, decision.log.key) in self.log:
            return DUPLICATE
        expected = (decision.expected_version, decision.expected_stamp)
        if self.actors.get(decision.to, (0, 0)) != expected:
            return STALE
        if decision.fired is not None and self.agenda.pop(decision.fired, None) is None:
            return GONE
        return None

    def _claims(self, decision: Decision) -> str | None:
        return (
            self._reserve([effect for effect in decision.effects if isinstance(effect, ReserveSlot)])
            or self._claim([effect for effect in decision.effects if isinstance(effect, ClaimKey)])
            or self._move([effect for effect in decision.effects if isinstance(effect, MoveHold)])
            or self._pay([effect for effect in decision.effects if isinstance(effect, Transfer)])
        )

    def _reserve(self, wanted: list[ReserveSlot]) -> str | None:
        for slot in wanted:
            for other in self.slots.values():
                if (
                    other.staff_id == slot.staff_id
                    and other.subject.id != slot.subject.id
                    and other.starts_at < slot.ends_at
                    and slot.starts_at < other.ends_at
                ):
                    return "slots_no_overlap"
            self.slots[slot.slot_id] = slot
        return None

    def _claim(self, wanted: list[ClaimKey]) -> str | None:
        for claim in sorted(wanted, key=lambda claim: claim.unique.scope):
            if self.keys.setdefault((claim.unique.scope, claim.key), claim.owner) != claim.owner:
                return f"unique_{claim.unique.scope}"
        return None

    def _move(self, wanted: list[MoveHold]) -> str | None:
        for move in wanted:
            status, remaining = self.holds.get(move.hold_id, ("", 0))
            left = remaining + move.delta_minor
            if status != move.was or left < 0:
                return "holds_once"
            if move.becomes in _EMPTY and left:
                return "fault"
            self.holds[move.hold_id] = (move.becomes.value, left)
        return None

    def _pay(self, wanted: list[Transfer]) -> str | None:
        for transfer in wanted:
            for account, delta in ((transfer.debit, -transfer.amount_minor), (transfer.credit, transfer.amount_minor)):
                if not account.startswith("system."):
                    self.balances[account] = self.balances.get(account, 0) + delta
                    if self.balances[account] < 0:
                        return "balances_funded"
            self.transfers.add((transfer.transfer_id, transfer.debit, transfer.credit, transfer.amount_minor))
        return None

    def _writes(self, decision: Decision) -> None:
        version = decision.version - len(decision.emitted)
        own = None
        for emitted in decision.emitted:
            version += 1
            self.journal.append((decision.to, version))
            for user_id in emitted.audience:
                self.inbox.setdefault(user_id, []).append((decision.to, version))
                if user_id == decision.principal:
                    own = len(self.inbox[user_id])
        if decision.state is not None:
            self.actors[decision.to] = (decision.version, decision.stamp)
        for effect in decision.effects:
            self._write(decision, effect)
        if decision.log is not None:
            entry = (decision.to, decision.version, decision.log.refused, decision.log.reply.decode(), own)
            self.log[decision.principal, decision.log.key] = entry

    def _write(self, decision: Decision, effect: Any) -> None:
        match effect:
            case PutRow():
                self.rows[effect.row.owner_id, effect.row.part] = effect.row.value  # type: ignore[attr-defined]
            case DropRow():
                self.rows.pop((UUID(effect.key["owner_id"]), effect.key["part"]), None)
            case SetTimer() | CancelTimer():
                mine = (decision.to, effect.name)
                self.agenda = {agenda_id: row for agenda_id, row in self.agenda.items() if row != mine}
                if isinstance(effect, SetTimer):
                    self.agenda[effect.agenda_id] = mine
            case Send():
                self.agenda[effect.agenda_id] = (effect.to, None)
            case Count():
                self.counters[effect.counter] = self.counters.get(effect.counter, 0) + effect.delta
            case _:
                pass


async def read_model(pool: Pool) -> CommitModel:
    """Read the model from the database."""
    model = CommitModel()
    for row in await pool.fetch("SELECT * FROM actors"):
        model.actors[Ref(row["kind"], row["id"])] = (row["version"], row["stamp"])
    for row in await pool.fetch("SELECT * FROM journal"):
        model.journal.append((Ref(row["kind"], row["id"]), row["version"]))
    for row in await pool.fetch("SELECT * FROM command_log"):
        answer = (Ref(row["kind"], row["id"]), row["version"], row["refused"], row["reply"], row["seq"])
        model.log[row["principal"], row["key"]] = answer
    for row in await pool.fetch("SELECT * FROM inbox ORDER BY user_id, seq"):
        entries = model.inbox.setdefault(row["user_id"], [])
        entries.append((Ref(row["kind"], row["id"]), row["version"]))
        assert row["seq"] == len(entries), f"the inbox of {row['user_id']} has a gap before {row['seq']}"
    for row in await pool.fetch("SELECT *, lower(during) AS starts, upper(during) AS ends FROM slots"):
        subject = Ref(row["subject_kind"], row["subject_id"])
        slot = (row["id"], row["staff_id"], subject, row["starts"], row["ends"])
        model.slots[row["id"]] = ReserveSlot(*slot)
    for row in await pool.fetch("SELECT * FROM unique_keys"):
        model.keys[row["scope"], row["key"]] = row["owner"]
    for row in await pool.fetch("SELECT * FROM holds"):
        model.holds[row["id"]] = (row["status"], row["remaining_minor"])
    for row in await pool.fetch("SELECT * FROM balances"):
        model.balances[row["account"]] = row["balance_minor"]
    for row in await pool.fetch("SELECT * FROM transfers"):
        model.transfers.add((row["id"], row["debit"], row["credit"], row["amount_minor"]))
    for row in await pool.fetch("SELECT * FROM agenda"):
        model.agenda[row["id"]] = (Ref(row["kind"], row["actor_id"]), row["name"])
    for row in await pool.fetch("SELECT * FROM counters"):
        model.counters[row["name"]] = row["value"]
    for row in await pool.fetch("SELECT * FROM sample_rows"):
        model.rows[row["owner_id"], row["part"]] = row["value"]
    counters = {row["user_id"]: row["seq"] for row in await pool.fetch("SELECT * FROM inbox_counters")}
    assert counters == {user_id: len(entries) for user_id, entries in model.inbox.items()}
    return model
