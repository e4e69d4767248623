"""What other nodes take away: sessions and rights, looked for in the journal that all nodes share.

Looking is cheap (one index, nothing to read as a rule) and needs nothing to be kept alive, so it is done instead of
listening. What this node took away itself is known already, and heard once.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from actors.runtime.clock import Clock
from server.auth.limits import LOOK_BACK_S, LOOK_EVERY_S
from server.auth.tokens import TokenService
from storage.database import Pool
from storage.queries.user import load_taken_away

log = structlog.get_logger()


class RevocationWatch:
    """Looks at the journal every few seconds, and tells the tokens.

    Args:
        every_s: how long another node's revocation may go unnoticed.
    """

    def __init__(self, pool: Pool, tokens: TokenService, clock: Clock, *, every_s: float = LOOK_EVERY_S) -> None:
        self._pool = pool
        self._tokens = tokens
        self._clock = clock
        self._every_s = every_s
        self._looked_at: datetime = clock.now()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="revocation watch")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Hear of what was taken away since the last look, and somewhat before: clocks and commits differ."""
        now = self._clock.now()
        since = self._looked_at - timedelta(seconds=LOOK_BACK_S)
        self._tokens.restore(await load_taken_away(self._pool, since))
        self._looked_at = now

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except Exception as error:
                log.warning("auth.watch_failed", action="look_again", error=repr(error))
