"""Routes new notifications: creates their deliveries, a round at a time, each round in its own transaction."""

from collections.abc import Callable, Collection
from datetime import datetime
from uuid import UUID

import structlog

from actors.rules.routing import Routed, RoutingContext, digest_delivery, route
from protocol.delivery.channels import Channel
from protocol.delivery.terms import RoutableNotification
from protocol.notification.registry import BY_NAME
from protocol.notification.terms import Reader
from storage.database import Pool
from storage.deliveries import ROUTE_MAX, routing_round
from storage.queries.recipient import load_readers

log = structlog.get_logger(__name__)


class DeliveryRouter:
    """Creates the deliveries of queued notifications.

    Args:
        available: the channels that this installation has.
        now: the domain's clock.
        routed: receives the channels that got a delivery.
    """

    def __init__(
        self,
        pool: Pool,
        available: frozenset[Channel],
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        routed: Callable[[Collection[Channel]], None],
    ) -> None:
        self._pool = pool
        self._available = available
        self._now = now
        self._new_id = new_id
        self._routed = routed

    async def route_all(self) -> None:
        """Route everything that is queued."""
        while await self._route_round() == ROUTE_MAX:
            pass

    async def _route_round(self) -> int:
        """Route at most ``ROUTE_MAX`` notifications; returns how many it took."""
        async with routing_round(self._pool) as batch:
            now = self._now()
            readers = await load_readers(self._pool, list({item.user_id for item in batch.items}), now)
            context = RoutingContext(self._available, now, self._new_id)
            routed = [_route(item, readers[item.user_id], context) for item in batch.items if item.user_id in readers]
            deferred = [one.deferred for one in routed if one.deferred is not None]
            opened = await batch.defer(deferred)
            deliveries = [delivery for one in routed for delivery in one.deliveries]
            deliveries += [digest_delivery(one, now) for one in deferred if one.delivery_id in opened]
            await batch.write(deliveries)
        self._routed({delivery.channel for delivery in deliveries})
        return len(batch.items)


def _route(item: RoutableNotification, reader: Reader, context: RoutingContext) -> Routed:
    """Route one notification; one that fails stays in the list only and does not block the others."""
    notification_type = BY_NAME.get(item.type)
    if notification_type is None:
        return Routed([])
    try:
        return route(notification_type.for_event(item.event), item, reader, context)
    except Exception as error:
        log.exception("router.crashed", action="in_the_list_only", type=item.type, error=repr(error))
        return Routed([])
