"""JSON schemas of the declared structs, with the ``#:`` comment above each field as its description."""

import ast
import inspect
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from server.rest.dialect import plain

REF = "#/components/schemas/{name}"


class Schemas:
    """The schema components of some structs and of all structs inside them.

    Args:
        notes_from: struct made at run time → the struct whose source has the comments of its fields.
    """

    def __init__(self, structs: Iterable[type[Struct]], notes_from: dict[type[Struct], type[Struct]]) -> None:
        known = list(dict.fromkeys(_reached(list(structs))))
        refs, components = msgspec.json.schema_components(known, ref_template=REF, schema_hook=lambda _: {})
        self.components: dict[str, Any] = plain(components)
        self._names = {kind: ref["$ref"].rpartition("/")[2] for kind, ref in zip(known, refs, strict=True)}
        for kind, name in self._names.items():
            source: type[Struct] = getattr(kind, "notes_from", kind)
            _describe(self.components[name], kind, field_notes(notes_from.get(kind, source)))

    def ref(self, struct: type[Struct]) -> dict[str, Any]:
        """Return a reference to a struct's component."""
        return {"$ref": REF.format(name=self._names[struct])}

    def field(self, struct: type[Struct], wire_name: str) -> dict[str, Any]:
        """Copy the schema of one field."""
        return dict(self.components[self._names[struct]]["properties"][wire_name])


def _reached(structs: list[type[Struct]]) -> Iterable[type[Struct]]:
    """Yield the structs and every struct inside them."""
    seen: set[type[Struct]] = set()
    pending: list[Any] = list(msgspec.inspect.multi_type_info(structs))
    while pending:
        info = pending.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
        if isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field):
            for name in info.__struct_fields__:
                part = getattr(info, name)
                pending.extend(part if isinstance(part, tuple) else (part,))


def _describe(schema: dict[str, Any], kind: type[Struct], notes: dict[str, str]) -> None:
    if "description" in schema:
        schema["description"] = inspect.cleandoc(schema["description"])
    properties = schema.get("properties", {})
    for info in fields(kind):
        if info.encode_name in properties:
            _mark_instant(properties[info.encode_name], info.type)
            if info.name in notes:
                properties[info.encode_name].setdefault("description", notes[info.name])


def _mark_instant(schema: dict[str, Any], kind: Any) -> None:
    """Add the format of instants: all of ours have an offset (see ``guards``), declared or not."""
    info = msgspec.inspect.type_info(kind)
    kinds = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    if any(isinstance(one, msgspec.inspect.DateTimeType) for one in kinds):
        for option in (schema, *schema.get("anyOf", ())):
            if option.get("type") == "string":
                option.setdefault("format", "date-time")


def field_notes(struct: type[Struct]) -> dict[str, str]:
    """Read the ``#:`` comments above a struct's fields, including inherited ones; empty if there is no source."""
    notes: dict[str, str] = {}
    for cls in reversed(struct.__mro__):
        if issubclass(cls, Struct):
            notes |= _module_notes(cls.__module__).get(cls.__name__, {})
    return notes


@cache
def _module_notes(module: str) -> dict[str, dict[str, str]]:
    """Class → field → its comment, for one module."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (OSError, TypeError, KeyError):
        return {}
    lines = source.splitlines()
    return {
        node.name: {
            item.target.id: note
            for item in node.body
            if isinstance(item, ast.AnnAssign)
            and isinstance(item.target, ast.Name)
            and (note := _note_above(lines, item.lineno - 1))
        }
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
    }


def _note_above(lines: list[str], at: int) -> str:
    note: list[str] = []
    while at > 0 and lines[at - 1].lstrip().startswith("#:"):
        at -= 1
        note.insert(0, lines[at].lstrip().removeprefix("#:").strip())
    return " ".join(note)
