"""Opens a node: the database, the committers, the actors' runtime and the agenda, wired together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from msgspec import Struct

from actors.registry import ACTORS
from actors.runtime.agenda import Agenda
from actors.runtime.clock import Clock
from actors.runtime.limits import PASSIVATE_EVERY_S, SCAN_PAGE
from actors.runtime.turns import FactsLoader, Runtime
from server.app.config import Config
from server.app.facts import fact_loaders
from server.edge.adapter_error import AdapterError
from server.edge.metrics import Metrics
from server.edge.node import Committers, Node
from server.edge.secret_file import UnusableKey
from storage.actors import load_answers, load_states
from storage.agenda import load_due, quarantine
from storage.commit import Committer, connect_committer
from storage.database import DatabaseUnreachable, Pool, close, connect_pool
from storage.embedded_place import PlaceError
from storage.migrate import MigrationError
from storage.postmaster import ClusterError
from storage.queries.booking_facts import Catalogue
from storage.registry import LOADERS, check_loaders, import_all

#: What keeps a server from starting and is no bug; its message is meant for the operator.
STARTUP_ERRORS = (AdapterError, ClusterError, DatabaseUnreachable, MigrationError, OSError, PlaceError, UnusableKey)

import_all("storage.queries")  # so that every loader and answer has registered


@asynccontextmanager
async def open_node(dsn: str, config: Config) -> AsyncIterator[Node]:
    """Start a node on a migrated database; at the end it decides what it has taken in, and stops."""
    async with AsyncExitStack() as stack:
        metrics, clock = Metrics(), Clock()
        pool = await connect_pool(dsn, size_max=config.database.pool_max)
        stack.push_async_callback(close, pool)
        committers = await _open_committers(stack, dsn, config.database.committers, metrics)
        catalogue = Catalogue(pool)
        runtime = Runtime(
            actors=ACTORS,
            facts=_loaders(pool, catalogue, config),
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
        node = Node(dsn, pool, runtime, committers, agenda, clock, catalogue, metrics, [catalogue.on_event])
        runtime.publish, runtime.send, runtime.scheduled = node.publish, agenda.send, agenda.scheduled
        _watch(node)
        stack.push_async_callback(runtime.drain)
        stack.push_async_callback(agenda.stop)
        await agenda.start()
        agenda.every("passivate", PASSIVATE_EVERY_S, runtime.passivate)
        yield node


def _loaders(pool: Pool, catalogue: Catalogue, config: Config) -> Mapping[type[Struct], FactsLoader]:
    """The loader of each facts struct. AssertionError if one that a handler asks for has none, or two."""
    bound = fact_loaders(pool, catalogue, private_endpoints=config.push.private_endpoints)
    twice = sorted(facts.__name__ for facts in bound.keys() & LOADERS.keys())
    assert not twice, f"loaded twice: {', '.join(twice)}"
    registered: dict[type[Struct], FactsLoader] = {facts: partial(load, pool) for facts, load in LOADERS.items()}
    loaders = {**bound, **registered}
    asked = [handler.facts for actor in ACTORS.values() for handler in actor.handlers.values() if handler.facts]
    check_loaders(asked, loaders)
    return loaders


async def _open_committers(stack: AsyncExitStack, dsn: str, count: int, metrics: Metrics) -> Committers:
    committers = tuple(Committer(partial(connect_committer, dsn), metrics.batch) for _ in range(count))
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
