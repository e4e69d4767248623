"""Plans deliveries for new notifications, a round at a time, each round in a transaction of its own."""

from collections.abc import Callable, Collection
from datetime import datetime
from uuid import UUID

import structlog

from actors.rules.routing import Means, Plan, digest_delivery, plan
from protocol.delivery.channels import Channel
from protocol.delivery.terms import RoutableNotification
from protocol.notification.registry import BY_NAME
from protocol.notification.terms import Reader
from storage.database import Pool
from storage.deliveries import PLAN_MAX, planning
from storage.queries.recipient import load_readers

log = structlog.get_logger(__name__)


class DeliveryRouter:
    """Turns notifications into deliveries.

    Args:
        available: the channels that this installation has.
        now: the domain's clock.
        planned: hears of the channels that got something to send.
    """

    def __init__(
        self,
        pool: Pool,
        available: frozenset[Channel],
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        planned: Callable[[Collection[Channel]], None],
    ) -> None:
        self._pool = pool
        self._available = available
        self._now = now
        self._new_id = new_id
        self._planned = planned

    async def plan_all(self) -> None:
        """Plan deliveries for everything that is queued."""
        while await self._plan_some() == PLAN_MAX:
            pass

    async def _plan_some(self) -> int:
        async with planning(self._pool) as planned:
            now = self._now()
            readers = await load_readers(self._pool, list({item.user_id for item in planned.items}), now)
            means = Means(self._available, now, self._new_id)
            plans = [_plan(item, readers[item.user_id], means) for item in planned.items if item.user_id in readers]
            put_off = [plan.put_off for plan in plans if plan.put_off is not None]
            opened = await planned.put_off(put_off)
            deliveries = [delivery for plan in plans for delivery in plan.deliveries]
            deliveries += [digest_delivery(one, now) for one in put_off if one.delivery_id in opened]
            await planned.write(deliveries)
        self._planned({delivery.channel for delivery in deliveries})
        return len(planned.items)


def _plan(item: RoutableNotification, reader: Reader, means: Means) -> Plan:
    """Plan one notification; one that cannot be planned is in the list all the same, and holds up no other."""
    told = BY_NAME.get(item.type)
    if told is None:
        return Plan([])
    try:
        return plan(told.of(item.event), item, reader, means)
    except Exception as error:
        log.exception("planner.crashed", action="in_the_list_only", type=item.type, error=repr(error))
        return Plan([])
