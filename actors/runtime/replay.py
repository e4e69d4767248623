"""Replaying an actor's journal: the same events give the same state, or something is wrong."""

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.actor import Actor
from protocol.events import EVENTS
from storage.verify import JournalEntry, Life


def replay(actor: type[Actor[Any]], events: Iterable[JournalEntry]) -> Any:
    """The state that the events lead to; None if there are none. Raises: KeyError, for a type nobody knows."""
    state = None
    for entry in events:
        state = actor.apply(state, msgspec.json.decode(entry.data, type=EVENTS[entry.type]))
    return state


def differs(actor: type[Actor[Any]], life: Life) -> bool:
    """Whether the kept state is another than the one that the journal tells."""
    kept = msgspec.json.decode(life.state, type=actor.state_type)
    return bool(replay(actor, life.events) != kept)
