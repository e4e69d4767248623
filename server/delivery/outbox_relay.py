"""The outbox relay: fans out outbox entries into notifications soon after their commit, and after a crash."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from actors.runtime.call import Published
from storage.database import UNWRITABLE
from storage.outbox import TAKE_MAX
from storage.supervision import Supervised

#: How often the outbox is polled without a wake-up, for entries that a crash left behind.
POLL_EVERY_S = 30.0
#: The wait after a failed round, such as while the database is down.
RETRY_AFTER_S = 2.0

log = structlog.get_logger(__name__)


class OutboxRelay:
    """Runs one round at a time; what arrives during a round is left to the next one.

    Args:
        fan_out: turns at most ``TAKE_MAX`` outbox entries into notifications; returns how many it took.
        route: routes the new notifications.
    """

    def __init__(self, fan_out: Callable[[], Awaitable[int]], route: Callable[[], Awaitable[object]]) -> None:
        self._fan_out = fan_out
        self._route = route
        self._woken = asyncio.Event()
        self.task = Supervised("outbox relay", self._run)

    def start(self) -> None:
        """Start, beginning with entries from before."""
        self._woken.set()
        self.task.start()

    async def stop(self) -> None:
        """Stop; remaining entries stay in the outbox."""
        await self.task.stop()

    def on_event(self, published: Published) -> None:
        """Wake the relay if a committed event has a notification type."""
        event = published.emitted.event
        notification_type = event.tell
        if notification_type is not None and (notification_type.when is None or notification_type.when(event)):
            self._woken.set()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_EVERY_S)
            self._woken.clear()
            try:
                await self._round()
            except Exception as error:
                about = {"error": repr(error), "exc_info": not isinstance(error, UNWRITABLE)}
                log.warning("outbox.postponed", action="retry", **about)
                await asyncio.sleep(RETRY_AFTER_S)
                self._woken.set()

    async def _round(self) -> None:
        """Fan out everything that waits, and route it."""
        while await self._fan_out() == TAKE_MAX:
            await self._route()
        await self._route()
