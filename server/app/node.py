"""Opens a node: the database, the committers, the actors' runtime and the agenda."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from actors.actor import ACTORS
from actors.runtime.agenda import Agenda
from actors.runtime.clock import Clock
from actors.runtime.limits import PASSIVATE_EVERY_S, SCAN_PAGE
from actors.runtime.turns import Runtime
from server.app.config import Config
from server.app.nouns import import_all
from server.edge.adapter_error import AdapterError
from server.edge.metrics import Metrics
from server.edge.node import Committers, Node
from server.edge.secret_file import UnusableKey
from server.ops.demo_accounts import DemoAccountsError
from server.ops.port import CannotListenError
from storage.actors import load_replies, load_states
from storage.agenda import load_due, quarantine
from storage.commit import Committer, connect_committer
from storage.database import DatabaseUnreachable, Pool, close, connect_pool
from storage.migrate import MigrationError
from storage.offers import OfferCache
from storage.postgres_installation import InstallationError
from storage.postmaster import ClusterError
from storage.registry import Sources, bound_loaders

#: Errors that prevent a start and are not bugs; their messages are for the operator.
STARTUP_ERRORS = (
    AdapterError,
    CannotListenError,
    ClusterError,
    DatabaseUnreachable,
    DemoAccountsError,
    MigrationError,
    OSError,
    InstallationError,
    UnusableKey,
)


@asynccontextmanager
async def open_node(dsn: str, config: Config) -> AsyncIterator[Node]:
    """Start a node on a migrated database; at the end it finishes accepted commands and stops."""
    async with AsyncExitStack() as stack:
        import_all()
        metrics, clock = Metrics(), Clock()
        pool = await connect_pool(dsn, size_max=config.database.pool_max)
        stack.push_async_callback(close, pool)
        committers = await _open_committers(stack, dsn, config.database.committers, metrics)
        offers = OfferCache(pool)
        sources = Sources(
            pool=pool,
            offers=offers,
            private_endpoints=config.push.private_endpoints,
            unpaid_holds_max=config.limits.unpaid_holds_max,
        )
        runtime = Runtime(
            actors=ACTORS,
            facts=bound_loaders(sources),
            commits=committers,
            load_states=partial(load_states, pool),
            load_replies=partial(load_replies, pool),
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
    """Register the gauges of the node's queues."""
    gauge = node.metrics.gauge
    gauge("activations", "Actors in memory", lambda: node.runtime.activations)
    gauge("commands_in_flight", "Commands that have no outcome yet", lambda: node.runtime.in_flight)
    gauge("mailbox_depth", "Commands that wait for their actor's turn", lambda: node.runtime.mailbox_depth)
    gauge("commit_queue", "Decisions that wait for their batch", lambda: node.committers.queued)
    gauge("agenda_jobs", "Timers held in memory", lambda: node.agenda.jobs)
    text = "Connections to the database for reads, by state: busy, idle"
    node.metrics.count("database_connections", text, lambda: _connections(node.pool), "state")


def _connections(pool: Pool) -> dict[str, float]:
    idle = pool.get_idle_size()
    return {"busy": pool.get_size() - idle, "idle": idle}
