"""Imports all nouns, and checks at start-up that each is complete."""

from collections.abc import Collection

import actors
import server.queries
import storage.queries
from actors.actor import ACTORS
from protocol.ids import Kind
from protocol.nouns import import_modules, import_nouns
from protocol.registry import BY_NAME, Mode, Query
from storage.registry import LOADERS
from storage.rights import VISIBLE


class NounIncomplete(AssertionError):
    """A noun lacks something that others need of it."""


def import_all() -> None:
    """Import every noun of every layer. Raises: NounIncomplete, which names what is missing."""
    import_nouns()
    import_modules(actors)
    import_modules(storage.queries)
    import_modules(server.queries)
    handlers = [handler for cls in ACTORS.values() for handler in cls.handlers.values()]
    missing = [
        *[f"no actor is registered for {kind.value}" for kind in Kind if kind not in ACTORS],
        *[f"no rule says who may see a {kind.value}" for kind in Kind if kind not in VISIBLE and kind is not Kind.USER],
        *[f"nothing loads {one.facts.__name__}" for one in handlers if one.facts and one.facts not in LOADERS],
    ]
    if missing:
        raise NounIncomplete("; ".join(missing))


def check_answers(answered: Collection[type[Query]]) -> None:
    """Check that every declared query has an answer. Raises: NounIncomplete, which names those that have none."""
    declared = [declaration for declaration in BY_NAME.values() if declaration.mode is Mode.QUERY]
    missing = sorted(declaration.name for declaration in declared if declaration.type not in answered)
    if missing:
        raise NounIncomplete(f"nothing answers {', '.join(missing)}")
