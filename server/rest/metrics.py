"""The metrics of HTTP requests, by route."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from server.edge.histogram import Histogram

#: Seconds of a request; fewer buckets than for commands, since there is one histogram for each route.
REQUEST_BUCKETS_S = (0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0)
#: The route of requests that match none, or are refused before they are routed.
NO_ROUTE = "none"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetrics(Collector):
    """Requests by method, route template and status: paths and methods of clients never become labels."""

    def __init__(self) -> None:
        #: Connections that were cut before their first request, by reason.
        self.connections: Mapping[str, int] = {}
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: defaultdict[tuple[str, str], Histogram] = defaultdict(lambda: Histogram(REQUEST_BUCKETS_S))

    def finished(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request has its response."""
        if method not in METHODS:
            method = "other"
        self._requests[method, route, status] += 1
        self._seconds[method, route].add(seconds)

    def collect(self) -> Iterator[Metric]:
        """Build the metric families at each scrape."""
        requests = CounterMetricFamily(
            "guildwire_http_requests", "HTTP requests by route and status", labels=["method", "route", "code"]
        )
        for (method, route, status), count in self._requests.items():
            requests.add_metric([method, route, str(status)], count)
        yield requests
        text = "TCP connections cut before a request: too many of an address, no file left, headers not in time"
        cut = CounterMetricFamily("guildwire_http_connections_cut", text, labels=["reason"])
        for reason, count in self.connections.items():
            cut.add_metric([reason.removeprefix("tcp_")], count)
        yield cut
        text = "From a request's headers to its response; of a stream, to its end"
        seconds = HistogramMetricFamily("guildwire_http_request_seconds", text, labels=["method", "route"])
        for (method, route), histogram in self._seconds.items():
            histogram.show(seconds, [method, route])
        yield seconds
