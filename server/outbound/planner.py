"""Plans deliveries for new notifications, a round at a time, each round in a transaction of its own."""

from collections.abc import Callable, Collection
from uuid import UUID

import structlog

from actors.rules.notifying import plan
from protocol.notification.catalogue import NOTIFICATIONS
from protocol.notification.channels import Channel
from protocol.notification.deliveries import Delivery
from storage.database import Pool
from storage.deliveries import PLAN_MAX, planning
from storage.queries.reader import load_readers

log = structlog.get_logger(__name__)

_BY_NAME = {told.name: told for told in NOTIFICATIONS}


class Planner:
    """Turns notifications into deliveries.

    Args:
        available: the channels that this installation has.
        planned: hears of the channels that got something to send.
    """

    def __init__(
        self,
        pool: Pool,
        available: frozenset[Channel],
        new_id: Callable[[], UUID],
        planned: Callable[[Collection[Channel]], None],
    ) -> None:
        self._pool = pool
        self._available = available
        self._new_id = new_id
        self._planned = planned

    async def plan_all(self) -> None:
        """Plan deliveries for everything that is queued."""
        while await self._plan_some() == PLAN_MAX:
            pass

    async def _plan_some(self) -> int:
        async with planning(self._pool) as planned:
            readers = await load_readers(self._pool, list({item.user_id for item in planned.items}))
            deliveries: list[Delivery] = []
            for item in planned.items:
                told, reader = _BY_NAME.get(item.type), readers.get(item.user_id)
                if told is not None and reader is not None:
                    deliveries += plan(told, item, reader, self._available, self._new_id)
            await planned.write(deliveries)
        self._planned({delivery.channel for delivery in deliveries})
        return len(planned.items)
