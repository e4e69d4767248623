"""Metrics in Prometheus's text format; counted where things happen, read by ``GET /metrics``."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from actors.runtime.call import Call, Outcome
from actors.runtime.turns import Observer
from protocol.catalogue import BY_TYPE, Command

#: Seconds. A command is a commit: from half a millisecond to what a person notices.
LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Seconds. A timer is late from a scheduler's tick to a restart.
LATENESS_BUCKETS_S = (0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 3600.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics(Observer):
    """All the figures of one process."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._commands = Counter(
            "guildwire_commands",
            "Commands, by what came of them: ok, replayed or the error's code",
            ["command", "outcome"],
            registry=self.registry,
        )
        self._latency = Histogram(
            "guildwire_command_seconds",
            "From a command's arrival to its durable answer",
            ["command"],
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._reruns = Counter(
            "guildwire_turn_reruns",
            "Turns decided again: their state had moved on, or a claim was lost",
            ["reason"],
            registry=self.registry,
        )
        self._batch_size = Histogram(
            "guildwire_commit_batch_size", "Decisions in one commit", buckets=BATCH_BUCKETS, registry=self.registry
        )
        self._batch_seconds = Histogram(
            "guildwire_commit_seconds", "Duration of one commit", buckets=LATENCY_BUCKETS_S, registry=self.registry
        )
        self._lateness = Histogram(
            "guildwire_agenda_lateness_seconds",
            "From when a timer or message was due to when it fired",
            buckets=LATENESS_BUCKETS_S,
            registry=self.registry,
        )
        #: Labels bound once: finding them anew costs more than counting.
        self._counters: dict[tuple[type[Command], str], Counter] = {}
        self._histograms: dict[type[Command], Histogram] = {}
        self._readers: list[Callable[[], None]] = []

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a figure that is read when somebody looks."""
        Gauge(f"guildwire_{name}", help_text, registry=self.registry).set_function(read)

    def count(self, name: str, help_text: str, read: Callable[[], Mapping[str, float]], label: str) -> None:
        """Add figures by one label, read when somebody looks."""
        gauge = Gauge(f"guildwire_{name}", help_text, [label], registry=self.registry)
        self._readers.append(lambda: _set_all(gauge, read()))

    def finished(self, call: Call, outcome: Outcome, seconds: float) -> None:
        """A command has its answer."""
        kind = type(call.command)
        result = outcome.error.code if outcome.error is not None else "replayed" if outcome.replayed else "ok"
        counter = self._counters.get((kind, result))
        if counter is None:
            counter = self._counters[kind, result] = self._commands.labels(BY_TYPE[kind].name, result)
        counter.inc()
        histogram = self._histograms.get(kind)
        if histogram is None:
            histogram = self._histograms[kind] = self._latency.labels(BY_TYPE[kind].name)
        histogram.observe(seconds)

    def rerun(self, call: Call, status: str) -> None:
        """A command is decided once more."""
        self._reruns.labels(status).inc()

    def batch(self, size: int, seconds: float) -> None:
        """A batch is durable."""
        self._batch_size.observe(size)
        self._batch_seconds.observe(seconds)

    def late(self, seconds: float) -> None:
        """A row of the agenda has fired."""
        self._lateness.observe(seconds)

    def render(self) -> bytes:
        """The page for Prometheus."""
        for read in self._readers:
            read()
        return generate_latest(self.registry)


def _set_all(gauge: Gauge, values: Mapping[str, float]) -> None:
    for label, value in values.items():
        gauge.labels(label).set(value)
