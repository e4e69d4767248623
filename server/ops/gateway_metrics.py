"""The gateway's figures on /metrics."""

from server.gateway.hub import Hub
from server.ops.metrics import Metrics


def watch_gateway(metrics: Metrics, hub: Hub) -> None:
    """Show sockets, queues, and how sessions began and ended."""
    metrics.gauge("sockets", "Open connections: WebSockets, event streams and polls that wait", lambda: hub.sockets)
    metrics.gauge("users_online", "People with an open connection", lambda: hub.users)
    metrics.gauge("socket_queue_bytes", "Bytes that wait for all clients together", lambda: hub.queue_bytes)
    refused = "Connections that found no place, by whose bound was reached"
    metrics.count("connections_refused", refused, lambda: hub.crowd.refused_total, "bound")
    opened, closed = "Sessions, by how they began: fresh, resumed, reset", "Connections, by why they ended"
    metrics.count("sessions_opened", opened, lambda: hub.opened_total, "outcome")
    metrics.count("sockets_closed", closed, lambda: hub.closed_total, "reason")
