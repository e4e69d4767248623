"""Reads users' inboxes for sessions: where they end, and pages of events as frames; many users in one statement."""

import asyncio
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeVar

from actors.runtime.lookups import Lookup
from protocol.errors import GuildwireError
from protocol.frames import Position
from protocol.ids import UserId
from server.live.connection.codec import Codec
from server.live.hub.rendering import render_entry
from server.live.limits import Limits
from server.live.session.stream import Page
from storage.database import Pool
from storage.inbox import Behind, Entry, load_positions, read_pages


class Found(NamedTuple):
    """A stretch of somebody's log."""

    entries: list[Entry]
    #: Whether there may be more behind it.
    more: bool


Q = TypeVar("Q")
A = TypeVar("A")


class InboxLog:
    """The log of events, in the database."""

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._positions: Lookup[UserId, Position] = Lookup("positions", self.positions)
        self._pages: Lookup[Behind, Found] = Lookup("pages", self._read, limits.pages_together)

    async def positions(self, user_ids: Sequence[UserId]) -> list[Position]:
        """Where these users' inboxes end, in the order asked for."""
        return await load_positions(self._pool, user_ids)

    async def position(self, user_id: UserId) -> Position:
        """Where the user's inbox ends. Raises: Unavailable."""
        return await _ask(self._positions, user_id)

    async def page(self, user_id: UserId, after: int, codec: Codec, rows_max: int | None = None) -> Page:
        """The user's events behind a number, within the bounds of a page. Raises: Unavailable."""
        rows_max = min(rows_max or self._limits.page_rows, self._limits.page_rows)
        found = await _ask(self._pages, Behind(user_id, after, rows_max))
        rows = [(entry.seq, render_entry(entry, codec)) for entry in found.entries]
        fitting = self._fitting(rows)
        return Page(rows[:fitting], more=fitting < len(rows) or found.more)

    async def _read(self, wanted: Sequence[Behind]) -> list[Found]:
        """Read the pages of one round. They share its rows: the more there are, the shorter each of them is."""
        share = max(1, self._limits.page_rows_together // len(wanted))
        wanted = [want._replace(rows_max=min(want.rows_max, share)) for want in wanted]
        pages = await read_pages(self._pool, wanted)
        return [Found(page, len(page) == want.rows_max) for want, page in zip(wanted, pages, strict=True)]

    def _fitting(self, rows: Collection[tuple[int, bytes]]) -> int:
        """How many of the rows a page may hold by their bytes; at least one."""
        room = self._limits.page_bytes_max
        for fitting, (_, frame) in enumerate(rows):
            room -= len(frame)
            if room < 0:
                return max(1, fitting)
        return len(rows)


async def _ask(lookup: Lookup[Q, A], question: Q) -> A:
    """Put a question and wait for its answer. Raises: Unavailable."""
    answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()

    def done(found: A | GuildwireError) -> None:
        if answer.done():
            return
        if isinstance(found, GuildwireError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    lookup.ask(question, done)
    return await answer
