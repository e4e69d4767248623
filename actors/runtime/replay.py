"""Replay an actor's journal, to compare the resulting state with the stored one."""

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
        """Apply the next event. Raises: KeyError, for an unknown type; any error of ``apply``."""
        self.state = self._actor.apply(self.state, msgspec.json.decode(entry.data, type=EVENTS[entry.type]))

    def gives(self, state: str) -> bool:
        """Whether a stored state (JSON) equals the replayed one."""
        return bool(self.state == msgspec.json.decode(state, type=self._actor.state_type))
