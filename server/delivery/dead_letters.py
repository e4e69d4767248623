"""Replays dead deliveries for admins."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import structlog

from protocol.delivery.channels import Channel
from protocol.delivery.procedures import ReplayDeliveries, ReplayDelivery
from protocol.delivery.terms import REPLAY_MAX
from protocol.delivery.views import DeliveryView, Replayed
from protocol.registry import Procedure, View
from server.edge.context import RequestContext
from storage.database import Pool
from storage.queries.delivery import replay, replay_all

log = structlog.get_logger(__name__)

Handler = Callable[[Any, RequestContext], Awaitable[View]]


class DeadLetters:
    """The procedures of deliveries.

    Args:
        now: the domain's clock.
        wake: wakes the workers of channels that have something to send.
    """

    def __init__(self, pool: Pool, now: Callable[[], datetime], wake: Callable[[Collection[Channel]], None]) -> None:
        self._pool = pool
        self._now = now
        self._wake = wake

    @property
    def procedures(self) -> Mapping[type[Procedure], Handler]:
        """The handlers, for the transports."""
        return {ReplayDelivery: self.replay, ReplayDeliveries: self.replay_all}

    async def replay(self, procedure: ReplayDelivery, context: RequestContext) -> DeliveryView:
        """Replay one delivery. Raises: NotFound."""
        delivery = await replay(self._pool, procedure.delivery_id, self._now())
        self._replayed(context, delivery.channel, 1)
        return delivery

    async def replay_all(self, procedure: ReplayDeliveries, context: RequestContext) -> Replayed:
        """Replay a channel's dead deliveries."""
        chosen = procedure.channel, procedure.reason, procedure.until
        count = await replay_all(self._pool, *chosen, self._now())
        self._replayed(context, procedure.channel, count)
        return Replayed(count=count, more=count == REPLAY_MAX)

    def _replayed(self, context: RequestContext, channel: Channel, count: int) -> None:
        assert context.principal is not None, "only admins are admitted"
        log.info("deliveries.replayed", channel=channel, count=count, by=str(context.principal.user_id))
        self._wake([channel])
