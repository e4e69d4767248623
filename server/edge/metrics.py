"""The metrics of a process in Prometheus's text format, served at ``GET /metrics``."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from actors.runtime.call import Call, Outcome
from actors.runtime.observer import Observer
from protocol.registry import BY_TYPE, Command
from server.edge.histogram import BATCH_BUCKETS, LATENCY_BUCKETS_S, LATENESS_BUCKETS_S, Histogram


class Metrics(Observer, Collector):
    """All metrics of one process."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        #: Committed events that were published on this node.
        self.events = 0
        self._outcomes: Counter[tuple[type[Command], str]] = Counter()
        self._latency: defaultdict[type[Command], Histogram] = defaultdict(lambda: Histogram(LATENCY_BUCKETS_S))
        self._reruns: Counter[str] = Counter()
        self._batch_size = Histogram(BATCH_BUCKETS)
        self._batch_seconds = Histogram(LATENCY_BUCKETS_S)
        self._lateness = Histogram(LATENESS_BUCKETS_S)
        self._readers: list[Callable[[], None]] = []
        self.registry.register(self)

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read at each scrape."""
        Gauge(f"guildwire_{name}", help_text, registry=self.registry).set_function(read)

    def count(self, name: str, help_text: str, read: Callable[[], Mapping[str, float]], label: str) -> None:
        """Add a gauge with one label that is read at each scrape."""
        gauge = Gauge(f"guildwire_{name}", help_text, [label], registry=self.registry)
        self._readers.append(lambda: _set_all(gauge, read()))

    def finished(self, call: Call, outcome: Outcome, seconds: float) -> None:
        """A command has its outcome."""
        kind = type(call.command)
        result = outcome.error.code if outcome.error is not None else "replayed" if outcome.replayed else "ok"
        self._outcomes[kind, result] += 1
        self._latency[kind].add(seconds)

    def rerun(self, call: Call, status: str) -> None:
        """A command is decided once more."""
        self._reruns[status] += 1

    def batch(self, size: int, seconds: float) -> None:
        """A batch is durable."""
        self._batch_size.add(size)
        self._batch_seconds.add(seconds)

    def late(self, seconds: float) -> None:
        """A row of the agenda has fired."""
        self._lateness.add(seconds)

    def collect(self) -> Iterator[Metric]:
        """The metrics that are counted here."""
        commands = CounterMetricFamily(
            "guildwire_commands",
            "Commands by outcome: ok, replayed or the error's code",
            labels=["command", "outcome"],
        )
        for (kind, result), count in self._outcomes.items():
            commands.add_metric([BY_TYPE[kind].name, result], count)
        yield commands
        events = CounterMetricFamily("guildwire_events", "Committed events that this node has published")
        events.add_metric([], self.events)
        yield events
        text = "From a command's arrival to its durable outcome"
        latency = HistogramMetricFamily("guildwire_command_seconds", text, labels=["command"])
        for kind, histogram in self._latency.items():
            histogram.show(latency, [BY_TYPE[kind].name])
        yield latency
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


def _set_all(gauge: Gauge, values: Mapping[str, float]) -> None:
    for label, value in values.items():
        gauge.labels(label).set(value)
