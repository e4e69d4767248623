"""One node without its edges: the database, the committers, the actors' runtime and the agenda.

``server.app.node`` opens it; the parts of the server, the demo data and the benchmarks use it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from actors.runtime.agenda import Agenda
from actors.runtime.call import Published
from actors.runtime.clock import Clock
from actors.runtime.turns import Runtime
from protocol.effects import Decision
from server.edge.metrics import Metrics
from storage.commit import Committer
from storage.database import Pool
from storage.outcomes import Committed
from storage.registry import Sources
from storage.supervision import Supervised


class Committers:
    """Several committers; an actor always goes to the same one, so that its decisions keep their order."""

    def __init__(self, committers: Sequence[Committer]) -> None:
        self._all = committers
        #: Queues a decision. Raises: Busy.
        self.submit = committers[0].submit if len(committers) == 1 else self._submit_to_its_own

    @property
    def tasks(self) -> list[Supervised]:
        """Their loops."""
        return [committer.task for committer in self._all]

    @property
    def queued(self) -> int:
        """Decisions that wait for their batch."""
        return sum(committer.queued for committer in self._all)

    def _submit_to_its_own(self, decision: Decision, done: Callable[[Committed], None]) -> None:
        self._all[hash(decision.to) % len(self._all)].submit(decision, done)


@dataclass(slots=True)
class Node:
    """A running node. ``listeners`` are called with each committed event, in the order of commits."""

    dsn: str
    pool: Pool
    runtime: Runtime
    committers: Committers
    agenda: Agenda
    clock: Clock
    sources: Sources
    metrics: Metrics
    listeners: list[Callable[[Published], None]] = field(default_factory=list)
    #: Loops without which the node does not do its work; ``/ready`` names those that are dead.
    tasks: list[Supervised] = field(default_factory=list)
    #: Called when the clock was moved.
    time_moved: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def publish(self, published: Published) -> None:
        """Pass a committed event to the listeners of this node."""
        self.metrics.events += 1
        for listener in self.listeners:
            listener(published)

    def dead(self) -> list[str]:
        """Names of the supervised loops that do not work now."""
        loops = (*self.committers.tasks, *self.agenda.watches, *self.tasks)
        return [loop.name for loop in loops if loop.failure is not None]

    async def advance(self, by: timedelta) -> None:
        """Move the domain's clock forward; timers that fall due fire."""
        self.clock.advance(by)
        await self.agenda.time_moved()
        for listener in self.time_moved:
            await listener()
