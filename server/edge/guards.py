"""Checks that declared types cannot express: no control characters; texts in normal form; numbers and instants that the
database can store.

They run over any decoded struct, so JSON, MessagePack and query strings follow the same rules. A problem is a stable
code; ``path`` names the field by its name on the wire.
"""

import math
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

from msgspec import Meta, Struct, UnsetType
from msgspec.structs import fields

from protocol.errors import Invalid
from protocol.instants import INSTANT_MAX, INSTANT_MIN
from protocol.texts import TextKind
from server.edge.limits import ECHO_MAX
from server.edge.normal_form import NORMAL, NotNormal, is_normal

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
#: Decimal places on either side of the point.
DECIMAL_PLACES_MAX = 40

#: Everything of Unicode's category Cc but tab and line feed, and halves of surrogate pairs.
_UNFIT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


TEXT_PROBLEMS = ("control_character", "lone_surrogate")
#: The problem of a text that can be brought to its normal form; never sent to a client.
NOT_NORMAL = "not_normal"


class Unfit(Exception):
    """A value that is not acceptable; ``path`` grows as the error leaves the structure."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = ""

    def within(self, step: str) -> "Unfit":
        """Prepend the field or index that contains the value."""
        self.path = f"{step}{self.path}" if self.path[:1] in ("", "[") else f"{step}.{self.path}"
        return self


def check(value: Any) -> None:
    """Raise Unfit for the first value inside that is not acceptable. Raises also: RecursionError."""
    inner = _checks.get(type(value), _unknown)
    if inner is not None:
        inner(value)


def invalid(problems: dict[str, str], note: str = "") -> Invalid:
    """Make the error from problems by path; not keyword arguments, since the client may have chosen the paths.

    Args:
        note: a sentence for the client's developer; becomes part of the problem's detail.
    """
    error = Invalid()
    error.fields.update({clean(path): problem for path, problem in problems.items()})
    if note:
        error.add_note(clean(note, 300))
    return error


def clean(text: str, length_max: int = ECHO_MAX) -> str:
    """Shorten text from the client and replace characters that must not be echoed."""
    return _UNFIT_TEXT.sub("\N{REPLACEMENT CHARACTER}", text[:length_max])


def join(prefix: str, path: str) -> str:
    """Put a path under another."""
    if not prefix:
        return path or "body"
    return f"{prefix}.{path}" if path and path[0] != "[" else prefix + path


def check_characters(value: str) -> None:
    """Raise Unfit for a control character or half of a surrogate pair."""
    # isprintable() is one pass in C; only text that fails it is searched.
    if not value.isprintable() and (found := _UNFIT_TEXT.search(value)):
        raise Unfit(TEXT_PROBLEMS[found[0] >= "\ud800"])


def _text(value: str) -> None:
    check_characters(value)
    if not is_normal(value):
        raise Unfit(NOT_NORMAL)


def _text_of(of: TextKind) -> Callable[[str], None]:
    """The check of a text whose type declares its kind."""
    if of is TextKind.TEXT:
        return _text
    if of is TextKind.SECRET:
        return check_characters
    normal = NORMAL[of]

    def check_text(value: str) -> None:
        check_characters(value)
        try:
            if normal(value) != value:
                raise Unfit(NOT_NORMAL)
        except NotNormal as error:
            raise Unfit(error.code) from None

    return check_text


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


def _items_with(inner: Callable[[Any], None]) -> Callable[[Any], None]:
    def items(values: Any) -> None:
        for at, value in enumerate(values):
            try:
                inner(value)
            except Unfit as unfit:
                raise unfit.within(f"[{at}]") from None

    return items


def _mapping(values: dict[Any, Any]) -> None:
    for key, value in values.items():
        try:
            check(key)
            check(value)
        except Unfit as unfit:
            raise unfit.within(str(key)) from None


def text_kind(declared: Any) -> TextKind:
    """The kind of text that an annotation declares."""
    found = [meta.extra for meta in getattr(declared, "__metadata__", ()) if isinstance(meta, Meta) and meta.extra]
    return next((extra["kind"] for extra in found if "kind" in extra), TextKind.TEXT)


def members_of_union(declared: Any) -> tuple[Any, ...]:
    """The types that an annotation allows, apart from null and absence."""
    allowed = get_args(declared) if get_origin(declared) in (Union, UnionType) else (declared,)
    return tuple(one for one in allowed if one not in (type(None), UnsetType))


def _declared(declared: Any) -> dict[type, Callable[[Any], None]] | None:
    """The checks of a field whose type declares a kind of text, itself or for its items; None: it does not."""
    for one in members_of_union(declared):
        if (of := text_kind(one)) is not TextKind.TEXT:
            return {str: _text_of(of)}
        bare = get_args(one)[0] if get_origin(one) is Annotated else one
        if get_origin(bare) in (list, tuple) and (of := text_kind(get_args(bare)[0])) is not TextKind.TEXT:
            items = _items_with(_text_of(of))
            return {list: items, tuple: items}
    return None


def _unknown(value: Any) -> None:
    """Register the check of a type that was not met before."""
    kind = type(value)
    _checks[kind] = _of_struct(kind) if isinstance(value, Struct) else None
    check(value)


def _of_struct(kind: type[Struct]) -> Callable[[Any], None]:
    members = [(info.name, info.encode_name, _declared(info.type)) for info in fields(kind)]

    def members_of(value: Any) -> None:
        for name, wire_name, declared in members:
            member = getattr(value, name)
            inner = _checks.get(type(member), _unknown)
            if declared is not None and inner is not None:
                inner = declared.get(type(member), inner)
            if inner is not None:
                try:
                    inner(member)
                except Unfit as unfit:
                    raise unfit.within(wire_name) from None

    return members_of


#: Type → its check; None: any value is acceptable. Grows by the structs and enums of the registry.
_checks: dict[type, Callable[[Any], None] | None] = {
    str: _text,
    int: _int,
    float: _float,
    Decimal: _decimal,
    datetime: _instant,
    list: _items_with(check),
    tuple: _items_with(check),
    set: _items_with(check),
    frozenset: _items_with(check),
    dict: _mapping,
    bool: None,
    type(None): None,
    UUID: None,
}
