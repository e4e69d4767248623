"""The snapshot: open bookings and conversations, and the reader's position, from one database snapshot."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from protocol.booking.terms import Phase
from protocol.booking.views import BookingView, ListBookings
from protocol.conversation.views import ConversationView, ListConversations
from protocol.registry import PAGE_LIMIT_MAX
from protocol.roles import Principal, Role
from protocol.snapshot import SNAPSHOT_BOOKINGS_MAX, SNAPSHOT_CONVERSATIONS_MAX, GetSnapshot, Snapshot
from storage.database import Pool
from storage.inbox import position
from storage.queries.booking import list_bookings
from storage.queries.conversation import list_conversations
from storage.registry import answers


@answers(GetSnapshot)
async def get_snapshot(pool: Pool, query: GetSnapshot, principal: Principal) -> Snapshot:
    """Read open bookings and conversations page by page, in one repeatable-read transaction."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        reader = cast(Pool, connection)  # one connection reads like a pool
        as_of = await position(reader, principal.user_id)
        bookings: list[BookingView] = []
        conversations: list[ConversationView] = []
        truncated = False
        if principal.role is not Role.ADMIN:
            for phase in (Phase.ONGOING, Phase.UPCOMING):
                truncated |= await _gather(bookings, SNAPSHOT_BOOKINGS_MAX, _bookings(reader, principal, phase))
        truncated |= await _gather(conversations, SNAPSHOT_CONVERSATIONS_MAX, _conversations(reader, principal))
    return Snapshot(as_of=as_of, bookings=bookings, conversations=conversations, truncated=truncated)


Pages = Callable[[str | None], Awaitable[Any]]


def _bookings(pool: Pool, principal: Principal, phase: Phase) -> Pages:
    return lambda cursor: list_bookings(
        pool, ListBookings(status=phase.value, limit=PAGE_LIMIT_MAX, cursor=cursor), principal
    )


def _conversations(pool: Pool, principal: Principal) -> Pages:
    return lambda cursor: list_conversations(pool, ListConversations(limit=PAGE_LIMIT_MAX, cursor=cursor), principal)


async def _gather(into: list[Any], most: int, page_at: Pages) -> bool:
    """Read pages up to ``most`` items; returns whether there were more."""
    cursor: str | None = None
    while len(into) < most:
        page = await page_at(cursor)
        into.extend(page.items[: most - len(into)])
        cursor = page.next_cursor
        if cursor is None:
            return False
    return True
