"""Turns outbox entries into notifications soon after their commit, and takes up those that a crash left."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from actors.runtime.call import Published
from storage.database import UNWRITABLE
from storage.outbox import TAKE_MAX
from storage.supervision import Supervised

#: What nobody called for, such as a crash's rest, is looked for this often.
LOOK_EVERY_S = 30.0
#: The same after a round failed, as while the database is away.
AGAIN_AFTER_S = 2.0

log = structlog.get_logger(__name__)


class OutboxRelay:
    """Tells people, a round at a time; while one is under way, whatever comes is left to the next.

    Args:
        tell: turns at most ``TAKE_MAX`` outbox entries into notifications; returns how many it took.
        told: takes up what was told.
    """

    def __init__(self, tell: Callable[[], Awaitable[int]], told: Callable[[], Awaitable[object]]) -> None:
        self._tell = tell
        self._told = told
        self._called = asyncio.Event()
        self.task = Supervised("outbox relay", self._run)

    def start(self) -> None:
        """Begin, with what was left from before."""
        self._called.set()
        self.task.start()

    async def stop(self) -> None:
        """Stop; what is not told yet stays where it is."""
        await self.task.stop()

    def on_event(self, published: Published) -> None:
        """An event was committed: if people are to be told of it, call for a round."""
        event = published.emitted.event
        tell = event.tell
        if tell is not None and (tell.when is None or tell.when(event)):
            self._called.set()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), LOOK_EVERY_S)
            self._called.clear()
            try:
                await self._round()
            except Exception as error:
                about = {"error": repr(error), "exc_info": not isinstance(error, UNWRITABLE)}
                log.warning("announcer.postponed", action="look_again", **about)
                await asyncio.sleep(AGAIN_AFTER_S)
                self._called.set()

    async def _round(self) -> None:
        """Tell all that waits, and have it taken up."""
        while await self._tell() == TAKE_MAX:
            await self._told()
        await self._told()
