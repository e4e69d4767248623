"""Reads users' inboxes for sessions: their last numbers, and pages of events as frames; many users in one statement."""

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
from storage.inbox import InboxEntry, InboxRange, load_positions, read_pages


class Entries(NamedTuple):
    """A page of a user's log."""

    entries: list[InboxEntry]
    #: Whether the log may go on after it.
    more: bool


Q = TypeVar("Q")
A = TypeVar("A")


class InboxLog:
    """The log of events, in the database."""

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._positions: Lookup[UserId, Position] = Lookup("positions", self.positions)
        self._pages: Lookup[InboxRange, Entries] = Lookup("pages", self._read, limits.pages_together)

    async def positions(self, user_ids: Sequence[UserId]) -> list[Position]:
        """The last positions of these users' inboxes, in the same order."""
        return await load_positions(self._pool, user_ids)

    async def position(self, user_id: UserId) -> Position:
        """The last position of the user's inbox. Raises: Unavailable."""
        return await _ask(self._positions, user_id)

    async def page(self, user_id: UserId, after: int, codec: Codec, rows_max: int | None = None) -> Page:
        """A page of the user's events after a number. Raises: Unavailable."""
        rows_max = min(rows_max or self._limits.page_rows, self._limits.page_rows)
        found = await _ask(self._pages, InboxRange(user_id, after, rows_max))
        rows = [(entry.seq, render_entry(entry, codec)) for entry in found.entries]
        fitting = self._fitting(rows)
        return Page(rows[:fitting], more=fitting < len(rows) or found.more)

    async def _read(self, requests: Sequence[InboxRange]) -> list[Entries]:
        """Read the pages of one batch, which share its rows: the more pages, the shorter each of them."""
        share = max(1, self._limits.page_rows_together // len(requests))
        requests = [request._replace(rows_max=min(request.rows_max, share)) for request in requests]
        pages = await read_pages(self._pool, requests)
        return [Entries(page, len(page) == request.rows_max) for request, page in zip(requests, pages, strict=True)]

    def _fitting(self, rows: Collection[tuple[int, bytes]]) -> int:
        """How many of the rows fit in the bytes of a page; at least one."""
        room = self._limits.page_bytes_max
        for fitting, (_, frame) in enumerate(rows):
            room -= len(frame)
            if room < 0:
                return max(1, fitting)
        return len(rows)


async def _ask(lookup: Lookup[Q, A], question: Q) -> A:
    """Ask, and wait for the answer. Raises: Unavailable."""
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
