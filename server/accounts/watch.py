"""Polls for changes from outside this process: revocations committed by other nodes, and the key files.

A poll is cheap (one index of the journal, one folder; as a rule there is nothing to read) and needs no connection to
be kept alive, so it is preferred to LISTEN. A revocation that is loaded twice has no further effect.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from actors.runtime.clock import Clock
from server.accounts.keys import SigningKeys
from server.accounts.limits import POLL_EVERY_S, POLL_OVERLAP_S
from server.accounts.tokens import TokenService
from storage.database import Pool
from storage.queries.user import load_revocations
from storage.supervision import Supervised

log = structlog.get_logger()


class Watch:
    """Reads the journal and the key files every few seconds and updates the token service.

    Args:
        load_keys: reads the key files. Raises: UnusableKey.
        every_s: the interval, and so how long another node's revocation may go unnoticed.
    """

    def __init__(
        self,
        pool: Pool,
        tokens: TokenService,
        clock: Clock,
        load_keys: Callable[[], SigningKeys],
        *,
        every_s: float = POLL_EVERY_S,
    ) -> None:
        self._pool = pool
        self._tokens = tokens
        self._clock = clock
        self._load_keys = load_keys
        self._every_s = every_s
        self._polled_at: datetime = clock.now()
        self.task = Supervised("auth watch", self._watch)

    def start(self) -> None:
        """Start polling."""
        self.task.start()

    async def stop(self) -> None:
        """Stop polling."""
        await self.task.stop()

    async def poll_revocations(self) -> None:
        """Load revocations since the last poll, with an overlap for clock skew and slow commits."""
        now = self._clock.now()
        since = self._polled_at - timedelta(seconds=POLL_OVERLAP_S)
        self._tokens.restore(await load_revocations(self._pool, since))
        self._polled_at = now

    async def poll_keys(self) -> None:
        """Load the key files. Raises: UnusableKey; the previous keys then stay in use."""
        self._tokens.use(self._load_keys())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            for poll in (self.poll_keys, self.poll_revocations):
                try:
                    await poll()
                except Exception as error:
                    log.warning("auth.watch_failed", action="look_again", error=repr(error))
