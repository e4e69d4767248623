"""Replaying an actor's journal: the same events give the same state, or something is wrong."""

from typing import Any

import msgspec

from actors.actor import Actor
from protocol.events import EVENTS
from storage.verify import JournalEntry


class Replay:
    """An actor's state, event by event."""

    def __init__(self, actor: type[Actor[Any]]) -> None:
        self._actor = actor
        #: None before the first event.
        self.state: Any = None

    def add(self, entry: JournalEntry) -> None:
        """Go one event on. Raises: KeyError, for a type nobody knows; whatever ``apply`` raises."""
        self.state = self._actor.apply(self.state, msgspec.json.decode(entry.data, type=EVENTS[entry.type]))

    def gives(self, state: str) -> bool:
        """Whether a kept state, as JSON, is the one that the events lead to."""
        return bool(self.state == msgspec.json.decode(state, type=self._actor.state_type))
