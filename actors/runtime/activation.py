"""An actor in memory."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from actors.runtime.call import Call
from protocol.ids import Ref
from storage.actors import Stored


@dataclass(slots=True)
class Activation:
    """An actor in memory: a cache of its row, and the commands that wait for it."""

    to: Ref
    mailbox: deque[Call] = field(default_factory=deque)
    #: None until it is read; a Stored of version 0 for an actor that never was.
    row: Stored | None = None
    state: Any = None
    #: Decisions under way to the database, oldest first.
    pending: deque[Call] = field(default_factory=deque)
    #: Reading its row, or the facts of the next command.
    waiting: bool = False
    #: A decision failed; what is pending will fail too, and then everything starts on fresh state.
    dead: bool = False
    #: Calls to decide again, in order.
    again: list[Call] = field(default_factory=list)
    used_at: float = 0.0

    @property
    def idle(self) -> bool:
        return not (self.mailbox or self.pending or self.waiting or self.again)
