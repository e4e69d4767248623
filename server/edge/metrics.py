"""The metrics of a process in Prometheus's text format, served at ``GET /metrics``."""

import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from actors.runtime.call import Call, Outcome
from actors.runtime.observer import Observer
from protocol.errors import GuildwireError, Internal, Unavailable
from protocol.registry import BY_NAME, BY_TYPE, Command, Mode, Query
from server.edge.handlers import QueryHandler
from server.edge.histogram import BATCH_BUCKETS, LATENCY_BUCKETS_S, LATENESS_BUCKETS_S, Histogram
from storage.database import OUTAGES


class Metrics(Observer, Collector):
    """The metrics of one process."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        #: Committed events that were published on this node.
        self.events = 0
        self._outcomes: Counter[tuple[type[Command], str]] = Counter(_never(Mode.COMMAND))
        self._answers: Counter[tuple[type[Query], str]] = Counter(_never(Mode.QUERY))
        self._query_seconds: defaultdict[type[Query], Histogram] = defaultdict(lambda: Histogram(LATENCY_BUCKETS_S))
        self._latency: defaultdict[type[Command], Histogram] = defaultdict(lambda: Histogram(LATENCY_BUCKETS_S))
        self._reruns: Counter[str] = Counter()
        self._batch_size = Histogram(BATCH_BUCKETS)
        self._batch_seconds = Histogram(LATENCY_BUCKETS_S)
        self._lateness = Histogram(LATENESS_BUCKETS_S)
        self._readers: list[Callable[[], None]] = []
        self.registry.register(self)

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a gauge whose value is read at each scrape."""
        Gauge(f"guildwire_{name}", help_text, registry=self.registry).set_function(read)

    def build_info(self, version: str) -> None:
        """Add ``guildwire_build_info``, always 1, which says what runs."""
        labels = {"version": version, "python": platform.python_version()}
        Gauge("guildwire_build_info", "Versions of the server and of Python", [*labels], registry=self.registry).labels(
            *labels.values()
        ).set(1)

    def count(self, name: str, help_text: str, read: Callable[[], Mapping[str, float]], label: str) -> None:
        """Add a gauge with one label whose values are read at each scrape."""
        gauge = Gauge(f"guildwire_{name}", help_text, [label], registry=self.registry)
        self._readers.append(lambda: _set_all(gauge, read()))

    def total(self, name: str, help_text: str, read: Callable[[], Mapping[str, float]], label: str = "") -> None:
        """Add a counter whose values are read at each scrape, by ``label``; without one, of the only key."""
        self.registry.register(_Total(f"guildwire_{name}", help_text, read, label))

    def measured(self, query: type[Query], handler: QueryHandler) -> QueryHandler:
        """Wrap a query's handler: its outcomes and durations are counted, over every transport."""

        async def measure(pool: Any, asked: Any, principal: Any) -> Any:
            began_s, outcome = perf_counter(), "ok"
            try:
                return await handler(pool, asked, principal)
            except Exception as error:
                outcome = _code_of(error)
                raise
            finally:
                self._answers[query, outcome] += 1
                self._query_seconds[query].add(perf_counter() - began_s)

        return measure

    def finished(self, call: Call, outcome: Outcome, seconds: float) -> None:
        """A command has its outcome."""
        kind = type(call.command)
        result = outcome.error.code if outcome.error is not None else "replayed" if outcome.replayed else "ok"
        self._outcomes[kind, result] += 1
        self._latency[kind].add(seconds)

    def rerun(self, call: Call, status: str) -> None:
        """A command is decided again."""
        self._reruns[status] += 1

    def batch(self, size: int, seconds: float) -> None:
        """A batch is durable."""
        self._batch_size.add(size)
        self._batch_seconds.add(seconds)

    def late(self, seconds: float) -> None:
        """A row of the agenda has fired."""
        self._lateness.add(seconds)

    def collect(self) -> Iterator[Metric]:
        """Build the metric families at each scrape."""
        commands = CounterMetricFamily(
            "guildwire_commands",
            "Commands by outcome: ok, replayed or the error's code",
            labels=["command", "outcome"],
        )
        for (kind, result), count in self._outcomes.items():
            commands.add_metric([BY_TYPE[kind].name, result], count)
        yield commands
        queries = CounterMetricFamily(
            "guildwire_queries", "Queries by outcome: ok or the error's code", labels=["query", "outcome"]
        )
        for (asked, result), count in self._answers.items():
            queries.add_metric([BY_TYPE[asked].name, result], count)
        yield queries
        yield _by_name("query_seconds", "Duration of a query", "query", self._query_seconds)
        events = CounterMetricFamily("guildwire_events", "Committed events published on this node")
        events.add_metric([], self.events)
        yield events
        text = "From a command's arrival to its durable outcome"
        yield _by_name("command_seconds", text, "command", self._latency)
        text = "Turns decided again: their state had moved on, or a claim was lost"
        reruns = CounterMetricFamily("guildwire_turn_reruns", text, labels=["reason"])
        for reason, count in self._reruns.items():
            reruns.add_metric([reason], count)
        yield reruns
        for name, help_text, histogram in (
            ("commit_batch_size", "Decisions in one commit", self._batch_size),
            ("commit_seconds", "Duration of one commit", self._batch_seconds),
            ("agenda_lateness_seconds", "From when a timer or message was due to when it fired", self._lateness),
        ):
            family = HistogramMetricFamily(f"guildwire_{name}", help_text)
            histogram.show(family)
            yield family

    def render(self) -> bytes:
        """The page for Prometheus."""
        for read in self._readers:
            read()
        return generate_latest(self.registry)


class _Total(Collector):
    """A counter that is kept elsewhere."""

    def __init__(self, name: str, text: str, read: Callable[[], Mapping[str, float]], label: str) -> None:
        self._name = name
        self._text = text
        self._read = read
        self._labels = [label] if label else []

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for key, value in self._read().items():
            family.add_metric([key] if self._labels else [], value)
        yield family


def _never(mode: Mode) -> dict[tuple[type[Any], str], int]:
    """A count of 0 bugs for everything declared: a series that began at 1 would have no increase to alert on."""
    return {(declared.type, Internal.code): 0 for declared in BY_NAME.values() if declared.mode is mode}


def _code_of(error: Exception) -> str:
    if isinstance(error, GuildwireError):
        return error.code
    return Unavailable.code if isinstance(error, OUTAGES) else Internal.code


def _by_name(name: str, text: str, label: str, histograms: Mapping[type[Any], Histogram]) -> Metric:
    family = HistogramMetricFamily(f"guildwire_{name}", text, labels=[label])
    for kind, histogram in histograms.items():
        histogram.show(family, [BY_TYPE[kind].name])
    return family


def _set_all(gauge: Gauge, values: Mapping[str, float]) -> None:
    for label, value in values.items():
        gauge.labels(label).set(value)
