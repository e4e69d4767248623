"""Sockets, event streams and long polls, as a part of the server."""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.registry import Query
from server.accounts.tokens import TokenService
from server.edge.config import LimitsConfig
from server.edge.cors import Cors
from server.edge.event_route import EVENTS_PATH, SOCKET_PATH
from server.edge.handlers import QueryHandler
from server.edge.hosts import origin_of
from server.edge.part import Context, Part
from server.live.connection.events_endpoint import EventsEndpoint
from server.live.connection.handshake import WebSocketEndpoint
from server.live.hub.hub import Hub
from server.live.limits import Limits
from server.live.metrics import LiveMetrics


@dataclass(frozen=True, kw_only=True)
class LivePart(Part):
    """The part, and its hub."""

    hub: Hub


def open_live(
    context: Context, config: LimitsConfig, tokens: TokenService, queries: Mapping[type[Query], QueryHandler]
) -> LivePart:
    """Open the hub, and close the sessions of tokens that are revoked.

    Args:
        queries: may be completed until the part is started.
    """
    node = context.node
    hub = Hub(
        pool=node.pool,
        verify=tokens.read,
        submit=node.runtime.submit,
        new_id=node.runtime.new_id,
        queries=queries,
        limiters=context.limiters,
        limits=Limits(
            connections_per_user_max=config.connections_per_user,
            connections_per_address_max=config.connections_per_address,
            connections_max=config.connections,
            drain_s=context.server.drain_s,
        ),
    )
    tokens.on_revoked, tokens.on_invalidated, tokens.on_retired = hub.revoke, hub.outdate, hub.outdate_all
    events = EventsEndpoint(hub, tokens.verify, context.limiters)
    origins = (*context.server.allowed_origins, origin_of(context.server.url))
    sockets = WebSocketEndpoint(hub, Cors(origins).allows)
    return LivePart(
        hub=hub,
        routes={("GET", SOCKET_PATH): sockets.handle, ("GET", EVENTS_PATH): events.handle},
        listeners=[hub.publish],
        metrics=[LiveMetrics(hub)],
        tasks=lambda: [hub.housekeeping],
        start=hub.start,
        drain=hub.drain,
        stop=hub.stop,
    )
