"""The metrics of live connections."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from server.edge.rates import Limiters
from server.live.hub.hub import Hub
from server.ops.metrics import Metrics


class FrameCounters(Collector):
    """Frames by transport and direction."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """The counters for Prometheus."""
        text = "Frames of clients (in) and for them (out); over plain HTTP clients send none"
        frames = CounterMetricFamily("guildwire_frames", text, labels=["transport", "direction"])
        for transport, traffic in self._hub.traffic.items():
            frames.add_metric([transport, "in"], traffic.frames_in)
            frames.add_metric([transport, "out"], traffic.frames_out)
        yield frames


def watch_live(metrics: Metrics, hub: Hub, limiters: Limiters) -> None:
    """Register the metrics of connections, unsent bytes, sessions, and refusals because of a rate."""
    sockets = "Open connections, by transport: WebSockets of json and msgpack, event streams (sse), polls that wait"
    metrics.count("sockets", sockets, lambda: {name: some.open for name, some in hub.traffic.items()}, "transport")
    metrics.registry.register(FrameCounters(hub))
    metrics.gauge("users_online", "People with an open connection", lambda: hub.user_count)
    metrics.gauge("socket_queue_bytes", "Bytes that wait for all clients together", lambda: hub.queue_bytes)
    refused = "Connections that found no place, by whose bound was reached"
    metrics.count("connections_refused", refused, lambda: hub.limiter.refused_total, "bound")
    rates = "Requests, commands and queries that came too often, by the limit that says so"
    metrics.count("rate_limited", rates, lambda: limiters.refused_total, "limit")
    opened, closed = "Sessions, by how they began: fresh, resumed, reset", "Connections, by why they ended"
    metrics.count("sessions_opened", opened, lambda: hub.opened_total, "outcome")
    metrics.count("sockets_closed", closed, lambda: hub.closed_total, "reason")
