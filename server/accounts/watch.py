"""Watches what changes outside this process: revocations of other nodes, and the key files.

Both are looked for every few seconds. Looking is cheap (one index of the journal, one folder; nothing to read as a
rule) and needs nothing to be kept alive, so it is done instead of listening. Known revocations have no effect.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from actors.runtime.clock import Clock
from server.accounts.keys import SigningKeys
from server.accounts.limits import LOOK_BACK_S, LOOK_EVERY_S
from server.accounts.tokens import TokenService
from storage.database import Pool
from storage.queries.user import load_revocations
from storage.supervision import Supervised

log = structlog.get_logger()


class Watch:
    """Reads the journal and the keys every few seconds, and passes changes to the tokens.

    Args:
        load_keys: reads the keys as they are now. Raises: UnusableKey.
        every_s: how long another node's revocation may go unnoticed.
    """

    def __init__(
        self,
        pool: Pool,
        tokens: TokenService,
        clock: Clock,
        load_keys: Callable[[], SigningKeys],
        *,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._pool = pool
        self._tokens = tokens
        self._clock = clock
        self._load_keys = load_keys
        self._every_s = every_s
        self._looked_at: datetime = clock.now()
        self.task = Supervised("auth watch", self._watch)

    def start(self) -> None:
        """Begin to poll."""
        self.task.start()

    async def stop(self) -> None:
        """Stop polling."""
        await self.task.stop()

    async def look(self) -> None:
        """Load revocations since the last poll, with an overlap for clock skew and late commits."""
        now = self._clock.now()
        since = self._looked_at - timedelta(seconds=LOOK_BACK_S)
        self._tokens.restore(await load_revocations(self._pool, since))
        self._looked_at = now

    async def look_at_keys(self) -> None:
        """Use the present keys. Raises: UnusableKey; then the previous ones stay in use."""
        self._tokens.use(self._load_keys())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            for look in (self.look_at_keys, self.look):
                try:
                    await look()
                except Exception as error:
                    log.warning("auth.watch_failed", action="look_again", error=repr(error))
