"""The figures of live sessions on /metrics."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from protocol.frames import CloseCode, OpenOutcome
from server.live.hub.hub import Hub

#: Why a connection ended that the client closed.
_BY_CLIENT = "client"


class LiveMetrics(Collector):
    """Connections, queues and frames, and how sessions began and ended."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """What Prometheus sees."""
        hub = self._hub
        text = "Open connections, by transport: WebSockets of json and msgpack, event streams (sse), polls that wait"
        yield _by("sockets", text, "transport", {name: some.open for name, some in hub.traffic.items()})
        yield self._frames()
        yield GaugeMetricFamily("guildwire_users_online", "People with an open connection", value=hub.user_count)
        text = "Bytes that wait for all clients together"
        yield GaugeMetricFamily("guildwire_socket_queue_bytes", text, value=hub.queue_bytes)
        text = "Connections that found no place, by whose bound was reached"
        yield _total("connections_refused", text, "bound", hub.limiter.refused_total)
        opened = {outcome.value: hub.opened_total[outcome.value] for outcome in OpenOutcome}
        yield _total("sessions_opened", "Sessions, by how they began: fresh, resumed, reset", "outcome", opened)
        reasons = dict.fromkeys((_BY_CLIENT, *(code.reason for code in CloseCode)), 0)
        yield _total("sockets_closed", "Connections, by why they ended", "reason", {**reasons, **hub.closed_total})

    def _frames(self) -> Metric:
        text = "Frames of clients (in) and for them (out); over plain HTTP clients send none"
        frames = CounterMetricFamily("guildwire_frames", text, labels=["transport", "direction"])
        for transport, traffic in self._hub.traffic.items():
            frames.add_metric([transport, "in"], traffic.frames_in)
            frames.add_metric([transport, "out"], traffic.frames_out)
        return frames


def _total(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"guildwire_{name}", text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _by(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(f"guildwire_{name}", text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
