"""Reading what a decision wants: its effects by kind, in words that a test can compare."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from protocol.effects import CancelTimer, PutRow, SetTimer, Transfer
from protocol.errors import Rejected
from protocol.events import Event, Row
from tests.support.actors import Decided

T = TypeVar("T")
R = TypeVar("R", bound=Row)


def of(effects: Sequence[Any], kind: type[T]) -> list[T]:
    """Those of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def rows(effects: Sequence[Any], kind: type[R]) -> list[R]:
    """The rows that are written to one table."""
    return [put.row for put in of(effects, PutRow) if isinstance(put.row, kind)]


def types(events: Sequence[Event]) -> list[type[Event]]:
    """What kinds of events these are."""
    return [type(event) for event in events]


def moved(effects: Sequence[Any]) -> list[tuple[str, str, int]]:
    """The transfers: from where, to where, how much."""
    return [(transfer.debit, transfer.credit, transfer.amount_minor) for transfer in of(effects, Transfer)]


def timers(effects: Sequence[Any]) -> dict[str, datetime]:
    """The timers that are set, and for when."""
    return {timer.name: timer.due_at for timer in of(effects, SetTimer)}


def dropped(effects: Sequence[Any]) -> set[str]:
    """The timers that are taken back."""
    return {timer.name for timer in of(effects, CancelTimer)}


def refusal(decided: Decided) -> Rejected:
    """The refusal; fails if it is none."""
    assert isinstance(decided.reply, Rejected), decided.reply
    return decided.reply
