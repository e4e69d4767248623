"""The metrics of the language model."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from server.edge.histogram import Histogram

#: Seconds. A model answers within some tenths, or too late.
CALL_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0)


class LlmFigures(Collector):
    """Metrics of this process, by use."""

    def __init__(self, is_open: Callable[[], bool]) -> None:
        self._is_open = is_open
        self._answers: Counter[tuple[str, str]] = Counter()
        self._calls: Counter[tuple[str, str]] = Counter()
        self._tokens: Counter[tuple[str, str]] = Counter()
        self._microdollars: Counter[str] = Counter()
        self._seconds: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(CALL_BUCKETS_S))

    def answered(self, use: str, by: str) -> None:
        """A use has its response: of the ``model``, the ``cache``, or local rules for the named reason."""
        self._answers[use, by] += 1

    def called(self, use: str, outcome: str, seconds: float) -> None:
        """The model was called once."""
        self._calls[use, outcome] += 1
        self._seconds[use].add(seconds)

    def cost(self, use: str, tokens_in: int, tokens_out: int, microdollars: int) -> None:
        """The cost of a call; if the server does not report it, the highest possible one."""
        self._tokens[use, "in"] += tokens_in
        self._tokens[use, "out"] += tokens_out
        self._microdollars[use] += microdollars

    def collect(self) -> Iterator[Metric]:
        """What Prometheus sees."""
        for name, text, labels, counts in (
            ("answers", "Answers by use and by whom: model, cache, or why local rules answered", "by", self._answers),
            ("calls", "Requests to the language model by use and outcome", "outcome", self._calls),
            ("tokens", "Tokens by use and direction", "direction", self._tokens),
        ):
            family = CounterMetricFamily(f"guildwire_llm_{name}", text, labels=["use", labels])
            for (use, label), count in counts.items():
                family.add_metric([use, label], count)
            yield family
        text = "What was spent, in millionths of a dollar, by use"
        spent = CounterMetricFamily("guildwire_llm_microdollars", text, labels=["use"])
        for use, microdollars in self._microdollars.items():
            spent.add_metric([use], microdollars)
        yield spent
        seconds = HistogramMetricFamily("guildwire_llm_call_seconds", "Duration of one request", labels=["use"])
        for use, histogram in self._seconds.items():
            histogram.show(seconds, [use])
        yield seconds
        text = "Whether calls to the language model are suspended after repeated failures"
        alone = GaugeMetricFamily("guildwire_llm_let_alone", text)
        alone.add_metric([], float(self._is_open()))
        yield alone
