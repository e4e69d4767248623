"""Activations: actors in memory, and the eviction of idle ones."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from actors.runtime.call import Call
from protocol.ids import Ref
from storage.actors import Stored


@dataclass(slots=True)
class Activation:
    """An actor in memory: a cache of its row, and its mailbox."""

    to: Ref
    mailbox: deque[Call] = field(default_factory=deque)
    #: None until it is read; a Stored of version 0 for an actor that does not exist.
    row: Stored | None = None
    state: Any = None
    #: Calls whose decisions are being committed, oldest first.
    pending: deque[Call] = field(default_factory=deque)
    #: Reading its row, or the facts of the next command.
    waiting: bool = False
    #: A decision failed: the pending ones will fail as well, and then the actor is reloaded.
    dead: bool = False
    #: Calls to decide again, in order.
    reruns: list[Call] = field(default_factory=list)
    #: When it became idle, on the monotonic clock.
    idle_at: float = 0.0

    @property
    def idle(self) -> bool:
        return not (self.mailbox or self.pending or self.waiting or self.reruns)


class Activations:
    """The activations of this process; past the limit, the one idle for longest is evicted."""

    def __init__(self) -> None:
        self._all: dict[Ref, Activation] = {}
        #: Idle activations, in the order in which they became idle.
        self._idle: OrderedDict[Ref, Activation] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Activation]:
        return iter(self._all.values())

    def get(self, to: Ref) -> Activation | None:
        """The actor's activation, if it is in memory."""
        return self._all.get(to)

    def add(self, activation: Activation, count_max: int) -> None:
        """Add an activation; past ``count_max`` an idle one is evicted."""
        self._all[activation.to] = activation
        if len(self._all) > count_max and self._idle:
            to, _ = self._idle.popitem(last=False)
            del self._all[to]

    def mark_busy(self, activation: Activation) -> None:
        """Mark an activation as busy: it is not evicted."""
        self._idle.pop(activation.to, None)

    def mark_idle(self, activation: Activation) -> None:
        """Mark an activation as idle: it may be evicted."""
        if self._all.get(activation.to) is activation:  # it may have been evicted meanwhile
            activation.idle_at = monotonic()
            self._idle[activation.to] = activation
            self._idle.move_to_end(activation.to)

    def drop_idle(self, idle_s: float) -> int:
        """Drop activations that have been idle for longer; returns how many."""
        horizon = monotonic() - idle_s
        stale: list[Ref] = []
        for to, activation in self._idle.items():
            if activation.idle_at >= horizon:
                break
            stale.append(to)
        for to in stale:
            del self._idle[to], self._all[to]
        return len(stale)
