"""The gateway's figures on /metrics."""

from server.gateway.hub import Hub
from server.ops.metrics import Metrics


def watch_gateway(metrics: Metrics, hub: Hub) -> None:
    """Show sockets, queues, and how sessions began and ended."""
    metrics.gauge("sockets", "Open connections: WebSockets, event streams and polls that wait", lambda: hub.sockets)
    metrics.gauge("users_online", "People with an open connection", lambda: hub.users)
    metrics.gauge("socket_queue_bytes", "Bytes that wait for all clients together", lambda: hub.queue_bytes)
    opened, closed = "Sessions, by how they began: fresh, resumed, reset", "Connections, by why they ended"
    metrics.count("sessions_opened", opened, lambda: hub.opened_total, "outcome")
    metrics.count("sockets_closed", closed, lambda: hub.closed_total, "reason")
