"""What each concern gives the server: one part, opened with a context.

``server.app.bootstrap`` opens the parts one after the other, puts together what they offer, starts them in that order,
and stops them in the reverse one. What a part needs of another one its opener takes as an argument.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from prometheus_client.registry import Collector

from actors.runtime.call import Published
from protocol.registry import Procedure, Query
from server.edge.config import DevConfig, ServerConfig
from server.edge.handlers import PlainHandler, ProcedureHandler, QueryHandler
from server.edge.job import Daily, Job
from server.edge.node import Node
from server.edge.rates import Limiters
from storage.supervision import Supervised

#: Method and path, like ``("GET", "/links/{token}")``.
RouteKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every part is opened with."""

    node: Node
    server: ServerConfig
    dev: DevConfig
    limiters: Limiters
    #: When jobs run that run once a night.
    nightly: Daily
    version: str


async def _nothing() -> None:
    """Most parts have nothing to start, drain or stop."""


def _ignore(url: str) -> None:
    """Most parts do not need the address."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one concern offers. All of it is optional; opening a part starts nothing."""

    #: Plain handlers beside those of commands, queries and procedures.
    routes: Mapping[RouteKey, PlainHandler] = field(default_factory=dict)
    procedures: Mapping[type[Procedure], ProcedureHandler] = field(default_factory=dict)
    #: Answers to queries that need more than the pool; the others register by ``storage.registry.answers``.
    queries: Mapping[type[Query], QueryHandler] = field(default_factory=dict)
    #: Called with each committed event of this node, in the order of the parts.
    listeners: Sequence[Callable[[Published], None]] = ()
    #: Called when the domain's clock was moved.
    time_moved: Sequence[Callable[[], Awaitable[None]]] = ()
    jobs: Sequence[Job] = ()
    metrics: Sequence[Collector] = ()
    #: Loops without which it does not do its work, once it is started.
    tasks: Callable[[], Sequence[Supervised]] = tuple
    #: Address → title and sentence, for the entrance page.
    pages: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    #: Begins to work.
    start: Callable[[], Awaitable[None]] = _nothing
    #: Called with the server's address once it listens there.
    listening: Callable[[str], None] = _ignore
    #: Ends the clients' connections in good order, while the server still listens.
    drain: Callable[[], Awaitable[None]] = _nothing
    #: Ends; also called if it was never started, or if its start failed.
    stop: Callable[[], Awaitable[None]] = _nothing


P = TypeVar("P", bound=Part)


@dataclass(slots=True)
class Parts:
    """All parts that were opened, and together what they offer."""

    node: Node
    #: Begins with the answers that registered themselves.
    queries: dict[type[Query], QueryHandler]
    opened: list[Part] = field(default_factory=list)
    routes: dict[RouteKey, PlainHandler] = field(default_factory=dict)
    procedures: dict[type[Procedure], ProcedureHandler] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    pages: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, part: P) -> P:
        """Take in what a part offers. AssertionError if another part offers the same."""
        self.opened.append(part)
        _merge(self.routes, part.routes)
        _merge(self.procedures, part.procedures)
        _merge(self.queries, part.queries)
        _merge(self.pages, part.pages)
        self.jobs.extend(part.jobs)
        self.node.listeners.extend(part.listeners)
        self.node.time_moved.extend(part.time_moved)
        for collector in part.metrics:
            self.node.metrics.registry.register(collector)
        return part


K = TypeVar("K")
V = TypeVar("V")


def _merge(into: dict[K, V], more: Mapping[K, V]) -> None:
    twice = into.keys() & more.keys()
    assert not twice, f"offered twice: {', '.join(map(str, twice))}"
    into.update(more)
