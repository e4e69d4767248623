"""Rewrites JSON schemas for client generators, without the constructs that they get wrong.

The server validates with the declared types, not with these schemas. Each rewriting keeps the meaning.
"""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

#: Ends the declared patterns, since Python's ``$`` also matches before a line feed at the end. JSON Schema's does not,
#: and the regular expressions of Go and Rust have no lookahead.
_NO_LINE_FEED = r"(?!\n)"


def plain(node: Any) -> Any:
    """Rewrite a schema and everything inside it.

    * A number of either type is ``number``: an integer is one too.
    * A tuple of one type is ``items`` with its length, without ``prefixItems``.
    * A pattern has no lookahead.
    """
    if isinstance(node, list):
        return [plain(part) for part in node]
    if not isinstance(node, dict):
        return node
    schema = {name: plain(part) for name, part in node.items()}
    if isinstance(schema.get("anyOf"), list):
        schema = _without_integer(schema)
    if isinstance(schema.get("prefixItems"), list):
        schema = _of_one_type(schema)
    if isinstance(schema.get("pattern"), str):
        schema["pattern"] = schema["pattern"].removesuffix(_NO_LINE_FEED)
    return schema


def _without_integer(schema: Json) -> Json:
    """``anyOf`` without an integer that is as bounded as the number beside it."""
    options = [one for one in schema["anyOf"] if {**one, "type": "number"} not in schema["anyOf"] or not _integer(one)]
    rest = {name: said for name, said in schema.items() if name != "anyOf"}
    return {**options[0], **rest} if len(options) == 1 else {**schema, "anyOf": options}


def _integer(schema: Json) -> bool:
    return schema.get("type") == "integer"


def _of_one_type(schema: Json) -> Json:
    first, *others = schema["prefixItems"]
    whole = schema.get("minItems") == schema.get("maxItems") == len(others) + 1
    if not whole or any(other != first for other in others):
        return schema
    return {name: said for name, said in schema.items() if name != "prefixItems"} | {"items": first}


def references(node: Any) -> Iterator[str]:
    """Yield every ``$ref`` inside a document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for part in node.values():
            yield from references(part)
    elif isinstance(node, list):
        for part in node:
            yield from references(part)


def used(components: dict[str, Any], *roots: Any) -> dict[str, Any]:
    """The component schemas that the roots refer to, directly or through each other."""
    found: set[str] = set()
    pending = list(roots)
    while pending:
        for ref in references(pending.pop()):
            name = ref.rpartition("/")[2]
            if name in components and name not in found:
                found.add(name)
                pending.append(components[name])
    return {name: components[name] for name in sorted(found)}
