"""Reads a request field by field: brings each text to its normal form, and names every field that is wrong.

This is the slow way, for requests that a decoder refuses or whose texts are not in normal form. What it accepts is what
the decoder accepts once the texts are in normal form.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Raw, Struct, ValidationError
from msgspec.structs import fields

from protocol.texts import TextKind
from server.edge.guards import Unfit, check, check_characters, invalid, join, members_of_union, text_kind
from server.edge.normal_form import NORMAL, NotNormal, normal_text
from server.edge.problem_codes import as_invalid

#: Fields that one refusal names; further ones are not looked at.
PROBLEMS_MAX = 32


@dataclass(slots=True)
class _Reading:
    """One request: how it is read, and what is wrong with it so far."""

    #: False: numbers and booleans may be written as texts, as in a query string.
    strict: bool
    #: Fields that the outermost struct does not have and that are skipped.
    ignored: frozenset[str]
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, problem: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.setdefault(join(path, ""), problem)

    def convert(self, value: Any, declared: Any, path: str) -> Any:
        """The value as its declared type, or its problem."""
        try:
            return msgspec.convert(value, declared, strict=self.strict, str_keys=True)
        except ValidationError as error:
            for where, problem in as_invalid(error, path).fields.items():
                self.add(where, problem)
            return None


#: Returns a value with its texts in normal form; adds to the reading what is wrong with it.
_Step = Callable[[_Reading, Any, str], Any]


def read(
    value: Any, declared: Any, *, prefix: str = "", strict: bool = True, ignored: frozenset[str] = frozenset()
) -> Any:
    """Convert decoded JSON or MessagePack to its declared type. Raises: Invalid, with all that is wrong.

    Args:
        prefix: is put before the paths of problems.
        strict: False for a query string, whose numbers are texts.
        ignored: fields that the declared struct does not have and that are skipped.
    """
    reading = _Reading(strict, ignored)
    normal = _step(declared)(reading, value, prefix)
    found = reading.convert(normal, declared, prefix) if not reading.problems else None
    if reading.problems:
        raise invalid(reading.problems)
    return found


@cache
def _step(declared: Any) -> _Step:
    """How a value of a declared type is read."""
    for one in members_of_union(declared):
        bare = get_args(one)[0] if get_origin(one) is Annotated else one
        if bare is Raw:
            return _raw_step
        if bare is str:
            return _text_step(declared, text_kind(one))
        if isinstance(bare, type) and issubclass(bare, Struct):
            return _struct_step(bare, declared)
        if get_origin(bare) in (list, tuple, set, frozenset):
            return _items_step(bare, declared)
    return _leaf_step(declared)


def _raw_step(reading: _Reading, value: Any, path: str) -> Any:
    """JSON that is decoded later, with a type of its own."""
    return Raw(msgspec.json.encode(value))


def _leaf_step(declared: Any) -> _Step:
    """Anything without fields of its own: a number, an id, an object of any shape."""

    def step(reading: _Reading, value: Any, path: str) -> Any:
        normal = _normal_inside(value) if isinstance(value, dict | list) else value
        found = reading.convert(normal, declared, path)
        try:
            check(found)
        except Unfit as unfit:
            reading.add(join(path, unfit.path), unfit.problem)
        return normal

    return step


def _text_step(declared: Any, of: TextKind) -> _Step:
    normalise = NORMAL[of]

    def step(reading: _Reading, value: Any, path: str) -> Any:
        if not isinstance(value, str):
            reading.convert(value, declared, path)
            return value
        try:
            check_characters(value.replace("\r", "\n"))
            normal = normalise(value)
        except NotNormal as error:
            reading.add(path, error.code)
            return value
        except Unfit as unfit:
            reading.add(path, unfit.problem)
            return value
        if reading.convert(normal, declared, path) is None and value and not normal:
            reading.problems[path] = "blank"
        return normal

    return step


def _items_step(bare: Any, declared: Any) -> _Step:
    inner = [_step(one) for one in get_args(bare) if one is not Ellipsis] or [_leaf_step(Any)]

    def step(reading: _Reading, value: Any, path: str) -> Any:
        if not isinstance(value, list | tuple):
            reading.convert(value, declared, path)
            return value
        before = len(reading.problems)
        normal = []
        for at, item in enumerate(value):
            if len(reading.problems) >= PROBLEMS_MAX:
                break
            normal.append(inner[min(at, len(inner) - 1)](reading, item, f"{path}[{at}]"))
        if len(reading.problems) == before:
            reading.convert(normal, declared, path)
        return normal

    return step


def _struct_step(kind: type[Struct], declared: Any) -> _Step:
    infos = {info.encode_name: info for info in fields(kind)}
    strict_names = kind.__struct_config__.forbid_unknown_fields

    def step(reading: _Reading, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            reading.convert(value, declared, path)
            return value
        ignored, reading.ignored = reading.ignored, frozenset()
        before = len(reading.problems)
        normal = {}
        for name, info in infos.items():
            if name in value:
                normal[name] = _step(info.type)(reading, value[name], join(path, name))
            elif info.required:
                reading.add(join(path, name), "missing")
        if strict_names:
            for name in value:
                if name not in infos and name not in ignored:
                    reading.add(join(path, str(name)), "unknown_field")
        if len(reading.problems) == before:
            reading.convert(normal, declared, path)
        return normal

    return step


def _normal_inside(value: Any) -> Any:
    """An object of any shape with its texts in normal form."""
    if isinstance(value, str):
        return normal_text(value)
    if isinstance(value, list):
        return [_normal_inside(item) for item in value]
    if isinstance(value, dict):
        return {key: _normal_inside(item) for key, item in value.items()}
    return value
