"""One node without its edges: the database, the committers, the actors' runtime and the agenda, wired together.

The server puts its transports around it; the command line and the demo data use it as it is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from actors.actor import ACTORS
from actors.runtime.agenda import Agenda
from actors.runtime.call import Published
from actors.runtime.clock import Clock
from actors.runtime.limits import PASSIVATE_EVERY_S, SCAN_PAGE
from actors.runtime.turns import Runtime
from protocol.effects import Decision
from server.app.config import Config
from server.app.nouns import import_all
from server.edge.adapter_error import AdapterError
from server.edge.secret_file import UnusableKey
from server.ops.metrics import Metrics
from storage.actors import load_answers, load_states
from storage.agenda import load_due, quarantine
from storage.commit import Committer, connect_committer
from storage.database import DatabaseUnreachable, Pool, close, connect_pool
from storage.embedded import EmbeddedPostgres
from storage.embedded_place import PlaceError
from storage.migrate import MigrationError, migrate
from storage.offers import OfferCache
from storage.outcomes import Committed
from storage.postmaster import ClusterError
from storage.registry import Sources, bound_loaders
from storage.supervision import Supervised

#: What keeps a server from starting and is no bug; its message is meant for the operator.
STARTUP_ERRORS = (AdapterError, ClusterError, DatabaseUnreachable, MigrationError, OSError, PlaceError, UnusableKey)


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
    """What the edges need. ``listeners`` hear of each committed event, in the order of their commits."""

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
        """Tell everybody on this node of a committed event."""
        self.metrics.events += 1
        for listener in self.listeners:
            listener(published)

    def dead(self) -> list[str]:
        """Names of the supervised loops that do not work now."""
        loops = (*self.committers.tasks, *self.agenda.watches, *self.tasks)
        return [loop.name for loop in loops if loop.failure is not None]

    async def advance(self, by: timedelta) -> None:
        """Let the domain's time pass at once: whatever falls due until then fires."""
        self.clock.advance(by)
        await self.agenda.time_moved()
        for listener in self.time_moved:
            await listener()


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database. ``lost`` raises DatabaseLost when the embedded one is gone for good, else never returns."""

    dsn: str
    lost: Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_database(config: Config) -> AsyncIterator[Database]:
    """Give a migrated database; the embedded one runs for as long as this does."""
    async with AsyncExitStack() as stack:
        dsn, lost = config.database.url, _never
        if not dsn:
            postgres = EmbeddedPostgres(Path(config.server.data_dir) / "postgres")
            stack.push_async_callback(postgres.stop)
            dsn, lost = await postgres.start(), postgres.wait_lost
        await migrate(dsn)
        yield Database(dsn, lost)


async def _never() -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def open_node(dsn: str, config: Config) -> AsyncIterator[Node]:
    """Start a node on a migrated database; at the end it decides what it has taken in, and stops."""
    async with AsyncExitStack() as stack:
        import_all()
        metrics, clock = Metrics(), Clock()
        pool = await connect_pool(dsn, size_max=config.database.pool_max)
        stack.push_async_callback(close, pool)
        committers = await _open_committers(stack, dsn, config.database.committers, metrics)
        offers = OfferCache(pool)
        sources = Sources(pool=pool, offers=offers, private_endpoints=config.push.private_endpoints)
        runtime = Runtime(
            actors=ACTORS,
            facts=bound_loaders(sources),
            commits=committers,
            load_states=partial(load_states, pool),
            load_answers=partial(load_answers, pool),
            clock=clock,
            observer=metrics,
        )
        agenda = Agenda(
            runtime,
            submit=committers.submit,
            load_due=lambda before, after: load_due(pool, before, after, SCAN_PAGE),
            quarantine=partial(quarantine, pool),
            observe_lateness=metrics.late,
        )
        node = Node(dsn, pool, runtime, committers, agenda, clock, sources, metrics, [offers.on_event])
        runtime.publish, runtime.send, runtime.scheduled = node.publish, agenda.send, agenda.scheduled
        _watch(node)
        stack.push_async_callback(runtime.drain)
        stack.push_async_callback(agenda.stop)
        await agenda.start()
        agenda.every("passivate", PASSIVATE_EVERY_S, runtime.passivate)
        yield node


async def _open_committers(stack: AsyncExitStack, dsn: str, count: int, metrics: Metrics) -> Committers:
    connect = partial(connect_committer, dsn)
    committers = tuple(Committer(connect, metrics.batch, f"committer {nth}") for nth in range(1, count + 1))
    for committer in committers:
        await committer.start()
        stack.push_async_callback(committer.stop)
    return Committers(committers)


def _watch(node: Node) -> None:
    """Show the node's depths on /metrics."""
    gauge = node.metrics.gauge
    gauge("activations", "Actors in memory", lambda: node.runtime.activations)
    gauge("commands_in_flight", "Commands that have no answer yet", lambda: node.runtime.in_flight)
    gauge("mailbox_depth", "Commands that wait for their actor's turn", lambda: node.runtime.mailbox_depth)
    gauge("commit_queue", "Decisions that wait for their batch", lambda: node.committers.queued)
    gauge("agenda_jobs", "Timers that the clock holds", lambda: node.agenda.jobs)
    text = "Connections to the database for reads, by what they do: busy, idle"
    node.metrics.count("database_connections", text, lambda: _connections(node.pool), "state")


def _connections(pool: Pool) -> dict[str, float]:
    idle = pool.get_idle_size()
    return {"busy": pool.get_size() - idle, "idle": idle}
