"""Which fields of a body are ignored: those of the route's own model, for apps that send it back (rule W-9)."""

import re
from typing import get_args

from msgspec import Struct
from msgspec.structs import fields

from protocol.registry import BY_NAME, Declaration, Mode, Route

_PARAMETER = re.compile(r"{\w+}")


def echoed(declaration: Declaration, route: Route) -> frozenset[str]:
    """The fields of the reply, and of the view that GET shows under the same path or, for POST, one id below it.

    ``PUT`` and ``POST`` of a service ignore the fields of ``GET /services/{service_id}/`` that they cannot set. A page
    is no model, but its items are those of a POST. Procedures ignore nothing.
    """
    if declaration.mode is not Mode.COMMAND or route.method == "DELETE" or route.path.startswith("/v1/"):
        return frozenset()
    shown: set[type[Struct]] = {declaration.reply}
    here = _shape(route.path)
    models = (here, f"{here}/{{}}") if route.method == "POST" else (here,)
    for query in BY_NAME.values():
        if query.mode is Mode.QUERY and any(one.method == "GET" and _shape(one.path) in models for one in query.routes):
            items = _items(query.reply)
            if items is None:
                shown.add(query.reply)
            elif route.method == "POST":
                shown |= items
    return frozenset(info.encode_name for view in shown for info in fields(view))


def _shape(path: str) -> str:
    return _PARAMETER.sub("{}", path).rstrip("/")


def _items(view: type[Struct]) -> set[type[Struct]] | None:
    """The structs in a page's ``items``; None: the view is no page."""
    for info in fields(view):
        if info.name == "items":
            return {item for item in get_args(info.type) if isinstance(item, type) and issubclass(item, Struct)}
    return None
