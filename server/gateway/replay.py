"""Reads users' inboxes for sessions: where they end, many users in one statement, and pages of events as frames."""

import asyncio
from collections.abc import Collection, Sequence

import structlog

from actors.runtime.lookups import Lookup
from protocol.errors import GuildwireError, Unavailable
from protocol.frames import Position
from protocol.ids import UserId
from server.gateway.codec import Codec
from server.gateway.limits import Limits
from server.gateway.rendering import render_entry
from server.gateway.stream import Page
from storage.database import Pool
from storage.inbox import load_positions, read_page

log = structlog.get_logger()

RETRY_AFTER_S = 1.0


class InboxLog:
    """The log of events, in the database."""

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._positions: Lookup[UserId, Position] = Lookup("positions", self.positions)
        self._pages = asyncio.Semaphore(limits.pages_at_once)

    async def positions(self, user_ids: Sequence[UserId]) -> list[Position]:
        """Where these users' inboxes end, in the order asked for."""
        return await load_positions(self._pool, user_ids)

    async def position(self, user_id: UserId) -> Position:
        """Where the user's inbox ends. Raises: Unavailable."""
        answer: asyncio.Future[Position] = asyncio.get_running_loop().create_future()

        def done(found: Position | GuildwireError) -> None:
            if answer.done():
                return
            if isinstance(found, GuildwireError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        self._positions.ask(user_id, done)
        return await answer

    async def page(self, user_id: UserId, after: int, codec: Codec, rows_max: int | None = None) -> Page:
        """The user's events behind a number, within the bounds of a page. Raises: Unavailable."""
        rows_max = min(rows_max or self._limits.page_rows, self._limits.page_rows)
        async with self._pages:
            try:
                entries = await read_page(self._pool, user_id, after, rows_max)
            except Exception as error:
                log.exception("gateway.page_failed", action="reconnect", user_id=str(user_id), error=repr(error))
                raise Unavailable(retry_after_s=RETRY_AFTER_S) from error
        rows = [(entry.seq, render_entry(entry, codec)) for entry in entries]
        fitting = self._fitting(rows)
        return Page(rows[:fitting], more=fitting < len(rows) or len(rows) == rows_max)

    def _fitting(self, rows: Collection[tuple[int, bytes]]) -> int:
        """How many of the rows a page may hold by their bytes; at least one."""
        room = self._limits.page_bytes_max
        for fitting, (_, frame) in enumerate(rows):
            room -= len(frame)
            if room < 0:
                return max(1, fitting)
        return len(rows)
