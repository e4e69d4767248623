"""A batch of decisions as ``commit_v1`` takes it: column arrays, one group a kind of effect, each array one text.

The driver encodes an array element by element and looks at each one several times; the elements were a third of a
message's time in the server. As one text an array costs it nothing: ids, numbers and times are JSON arrays but for
their brackets, texts are joined by a control character. Postgres takes them apart about as fast as the binary ones.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import msgspec

from protocol.effects import (
    CancelTimer,
    ClaimKey,
    Count,
    Decision,
    DropRow,
    Effect,
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
from protocol.registry import name_of

#: Between two texts of a column, and instead of one that is null. JSON has no such characters, and no other text may.
_SEPARATOR, _NULL = "\x1f", "\x1e"
_SEPARATOR_BYTE, _NULL_BYTE = _SEPARATOR.encode(), _NULL.encode()

_encode = msgspec.json.encode
#: JSON in bytes.
_JSON = "json"
#: Types whose elements are joined; elements of all others look the same in JSON and in an array literal.
_JOINED = (_JSON, "text", "bytea")


class Columns:
    """The column arrays of one batch, in the order of ``commit_v1``'s parameters."""

    #: What each group's columns are of. ``*_idx``, the position of the decision that a row belongs to, comes first.
    GROUPS: ClassVar[dict[str, tuple[str, ...]]] = {
        name: tuple(types.split())
        for name, types in {
            "decisions": "int text uuid bigint bigint bigint bigint smallint json timestamptz uuid"
            " uuid text text bytea text boolean json int",
            "journal": "int bigint text smallint json",
            "inbox": "int uuid bigint",
            "rows": "int text json boolean json",
            "slots_freed": "int uuid",
            "slots": "int uuid uuid text uuid timestamptz timestamptz",
            "keys_released": "int text text",
            "keys": "int text text uuid",
            "transfers": "int uuid text text bigint text text",
            "holds": "int uuid text uuid uuid text text bigint",
            "holds_moved": "int uuid text text bigint",
            "counters": "int text bigint",
            "timers_cancelled": "int text uuid text",
            "agenda": "int uuid text uuid text timestamptz timestamptz text json",
        }.items()
    }

    def __init__(self) -> None:
        self.groups: dict[str, list[tuple[Any, ...]]] = {name: [] for name in self.GROUPS}
        self._heads: dict[tuple[str, Any], int] = {}

    def add(self, decision: Decision) -> None:
        """Append one decision's rows. Decisions of one actor come in the order they were made in."""
        decisions = self.groups["decisions"]
        idx = len(decisions) + 1
        kind, actor_id = decision.to
        entry = decision.log
        logged: tuple[Any, ...] = _NOT_LOGGED
        if entry is not None:
            logged = (entry.key, f"\\x{entry.hash.hex()}", entry.command, entry.refused, entry.reply)
        decisions.append(
            (
                self._heads.setdefault(decision.to, idx),
                kind,
                actor_id,
                decision.expected_version,
                decision.expected_stamp,
                decision.version,
                decision.stamp,
                decision.schema,
                decision.state,
                decision.at,
                decision.fired,
                decision.principal,
                decision.cause,
                *logged,
                self._add_events(idx, decision),
            )
        )
        timers: dict[str, Effect] | None = None
        for effect in decision.effects:
            if type(effect) is SetTimer or type(effect) is CancelTimer:
                timers = timers or {}
                timers[effect.name] = effect
            else:
                _WRITERS[type(effect)](self.groups, idx, decision, effect)
        for timer in () if timers is None else timers.values():
            _WRITERS[type(timer)](self.groups, idx, decision, timer)

    def _add_events(self, idx: int, decision: Decision) -> int | None:
        """Append journal and inbox rows; returns the position of the sender's own last inbox row."""
        journal, inbox = self.groups["journal"], self.groups["inbox"]
        own = decision.own
        if own is not None:
            own += len(inbox) + 1
        version = decision.version - len(decision.emitted)
        for emitted in decision.emitted:
            version += 1
            event = emitted.event
            journal.append((idx, version, event.type, event.schema, emitted.json))
            for user_id in emitted.audience:
                inbox.append((idx, user_id, version))
        return own

    def parameters(self) -> list[str]:
        """The arguments of the call. Raises: ValueError for a text that cannot be told from its neighbours."""
        arguments: list[str] = []
        for name, types in self.GROUPS.items():
            rows = self.groups[name]
            if rows:
                arguments.extend(map(_array, types, zip(*rows, strict=True)))
            else:
                arguments.extend(["" if type_ in _JOINED else "{}" for type_ in types])
        return arguments


_NOT_LOGGED = (None,) * 5


def _array(type_: str, column: Sequence[Any]) -> str:
    """Write a column as the text that ``call_of`` turns into an array."""
    if type_ not in _JOINED:
        return array_text(column)
    if type_ == _JSON:
        return _SEPARATOR_BYTE.join([_NULL_BYTE if value is None else value for value in column]).decode()
    text = _SEPARATOR.join([_NULL if value is None else value for value in column])
    if not text or text.count(_SEPARATOR) != len(column) - 1:
        raise ValueError("a text is empty or has a control character in it")
    return text


def array_text(column: Sequence[Any]) -> str:
    """Write ids, numbers, times or truth values as an array literal, to be cast by the statement."""
    return f"{{{_encode(column)[1:-1].decode()}}}"


def call_of(function: str) -> str:
    """The expression that calls a function with a batch's parameters."""
    types = [type_ for types in Columns.GROUPS.values() for type_ in types]
    return f"{function}({', '.join([_parameter(nth, type_) for nth, type_ in enumerate(types, 1)])})"


def _parameter(nth: int, type_: str) -> str:
    if type_ in _JOINED:
        array = f"string_to_array(${nth}, E'\\x{ord(_SEPARATOR):x}', E'\\x{ord(_NULL):x}')"
        return f"{array}::bytea[]" if type_ == "bytea" else array
    return f"${nth}::text::{type_}[]"


Groups = dict[str, list[tuple[Any, ...]]]


def _put_row(groups: Groups, idx: int, decision: Decision, effect: PutRow) -> None:
    row, names = effect.row, effect.row.key
    if len(names) == 1:
        key = _encode(getattr(row, names[0]))
    else:
        key = b"/".join([_encode(getattr(row, name)) for name in names])
    groups["rows"].append((idx, row.table, key, False, effect.json))


def _drop_row(groups: Groups, idx: int, decision: Decision, effect: DropRow) -> None:
    key = b"/".join([_encode(value) for value in effect.key.values()])
    groups["rows"].append((idx, effect.table, key, True, _encode(effect.key)))


def _reserve_slot(groups: Groups, idx: int, decision: Decision, effect: ReserveSlot) -> None:
    span = (effect.starts_at, effect.ends_at)
    groups["slots"].append((idx, effect.slot_id, effect.staff_id, *effect.subject, *span))


def _free_slot(groups: Groups, idx: int, decision: Decision, effect: FreeSlot) -> None:
    groups["slots_freed"].append((idx, effect.slot_id))


def _claim_key(groups: Groups, idx: int, decision: Decision, effect: ClaimKey) -> None:
    groups["keys"].append((idx, effect.unique.scope, effect.key, effect.owner))


def _release_key(groups: Groups, idx: int, decision: Decision, effect: ReleaseKey) -> None:
    groups["keys_released"].append((idx, effect.unique.scope, effect.key))


def _transfer(groups: Groups, idx: int, decision: Decision, effect: Transfer) -> None:
    what = (effect.transfer_id, effect.debit, effect.credit, effect.amount_minor, effect.currency, effect.reason)
    groups["transfers"].append((idx, *what))


def _open_hold(groups: Groups, idx: int, decision: Decision, effect: OpenHold) -> None:
    terms = (effect.business_id, effect.purpose, effect.currency, effect.amount_minor)
    groups["holds"].append((idx, effect.hold_id, *effect.subject, *terms))


def _move_hold(groups: Groups, idx: int, decision: Decision, effect: MoveHold) -> None:
    groups["holds_moved"].append((idx, effect.hold_id, effect.was, effect.becomes, effect.delta_minor))


def _count(groups: Groups, idx: int, decision: Decision, effect: Count) -> None:
    groups["counters"].append((idx, effect.counter, effect.delta))


def _set_timer(groups: Groups, idx: int, decision: Decision, effect: SetTimer) -> None:
    _cancel_timer(groups, idx, decision, effect)
    when = (effect.due_at, effect.expires_at)
    what = (name_of(type(effect.command)), _encode(effect.command))
    groups["agenda"].append((idx, effect.agenda_id, *decision.to, effect.name, *when, *what))


def _cancel_timer(groups: Groups, idx: int, decision: Decision, effect: CancelTimer | SetTimer) -> None:
    groups["timers_cancelled"].append((idx, *decision.to, effect.name))


def _send(groups: Groups, idx: int, decision: Decision, effect: Send) -> None:
    what = (name_of(type(effect.command)), _encode(effect.command))
    groups["agenda"].append((idx, effect.agenda_id, *effect.to, None, decision.at, None, *what))


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
    Count: _count,
    SetTimer: _set_timer,
    CancelTimer: _cancel_timer,
    Send: _send,
}
