"""Checks that types cannot express: no control characters in text, numbers and instants that the database can hold.

Runs over a decoded struct of any shape, so JSON, MessagePack and query strings are held to the same. A problem is a
stable code; ``path`` is the field's name on the wire.
"""

import math
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import fields

from protocol.errors import Invalid
from protocol.instants import INSTANT_MAX, INSTANT_MIN
from server.edge.limits import ECHO_MAX

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
#: Decimal places on either side of the point.
DECIMAL_PLACES_MAX = 40

#: Everything of Unicode's category Cc but tab and line feed, and halves of surrogate pairs.
_UNFIT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


TEXT_PROBLEMS = ("control_character", "lone_surrogate")


class Unfit(Exception):
    """A value that does not fit; ``path`` grows as the error leaves the structure."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = ""

    def within(self, step: str) -> "Unfit":
        """Prepend a field or an index to the path."""
        self.path = f"{step}{self.path}" if self.path[:1] in ("", "[") else f"{step}.{self.path}"
        return self


def check(value: Any) -> None:
    """Check a value and all values inside it. Raises: Unfit for the first invalid one, RecursionError."""
    inner = _checks.get(type(value), _unknown)
    if inner is not None:
        inner(value)


def guard(value: Any, prefix: str = "") -> None:
    """Like ``check``, as the error of the protocol. Raises: Invalid."""
    try:
        check(value)
    except Unfit as unfit:
        raise invalid({join(prefix, unfit.path): unfit.problem}) from None


def invalid(problems: dict[str, str], note: str = "") -> Invalid:
    """Make the error from paths. They may come from the client, so they are no keyword arguments.

    Args:
        note: a sentence for the developer of the client; the problem's detail.
    """
    error = Invalid()
    error.fields.update({clean(path): problem for path, problem in problems.items()})
    if note:
        error.add_note(clean(note, 300))
    return error


def clean(text: str, length_max: int = ECHO_MAX) -> str:
    """Shorten text of the client and replace the characters that must not be echoed."""
    return _UNFIT_TEXT.sub("\N{REPLACEMENT CHARACTER}", text[:length_max])


def join(prefix: str, path: str) -> str:
    """Put a path under another."""
    if not prefix:
        return path or "body"
    return f"{prefix}.{path}" if path and path[0] != "[" else prefix + path


def _text(value: str) -> None:
    # Asking for printable text is one pass in C; only other text is searched.
    if not value.isprintable() and (found := _UNFIT_TEXT.search(value)):
        raise Unfit(TEXT_PROBLEMS[found[0] >= "\ud800"])


def _int(value: int) -> None:
    if not INT_MIN <= value <= INT_MAX:
        raise Unfit("out_of_range")


def _float(value: float) -> None:
    if not math.isfinite(value):
        raise Unfit("out_of_range")


def _decimal(value: Decimal) -> None:
    if not value.is_finite() or abs(value.adjusted()) > DECIMAL_PLACES_MAX:
        raise Unfit("out_of_range")


def _instant(value: datetime) -> None:
    if value.tzinfo is None:
        raise Unfit("offset_missing")
    if not INSTANT_MIN <= value <= INSTANT_MAX:
        raise Unfit("out_of_range")


def _items(values: Any) -> None:
    for at, value in enumerate(values):
        try:
            check(value)
        except Unfit as unfit:
            raise unfit.within(f"[{at}]") from None


def _mapping(values: dict[Any, Any]) -> None:
    for key, value in values.items():
        try:
            check(key)
            check(value)
        except Unfit as unfit:
            raise unfit.within(str(key)) from None


def _unknown(value: Any) -> None:
    """Learn how to check a type that was not met before."""
    kind = type(value)
    _checks[kind] = _of_struct(kind) if isinstance(value, Struct) else None
    check(value)


def _of_struct(kind: type[Struct]) -> Callable[[Any], None]:
    members = [(info.name, info.encode_name) for info in fields(kind)]

    def members_of(value: Any) -> None:
        for name, wire_name in members:
            member = getattr(value, name)
            inner = _checks.get(type(member), _unknown)
            if inner is not None:
                try:
                    inner(member)
                except Unfit as unfit:
                    raise unfit.within(wire_name) from None

    return members_of


#: How values of a type are checked; None: anything goes. Grows by the structs and enums of declarations.
_checks: dict[type, Callable[[Any], None] | None] = {
    str: _text,
    int: _int,
    float: _float,
    Decimal: _decimal,
    datetime: _instant,
    list: _items,
    tuple: _items,
    set: _items,
    frozenset: _items,
    dict: _mapping,
    bool: None,
    type(None): None,
    UUID: None,
}
