"""Reads notifications, and what rendering them needs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from protocol.errors import NotFound
from protocol.events import EVENTS, Event
from protocol.ids import BookingId, ConversationId, Kind, NotificationId, Ref, UserId
from protocol.instants import Instant, zone_names
from protocol.notice.rows import Notice
from protocol.notification.facts import UnreadAsk, UnreadNotifications
from protocol.notification.terms import UNREAD_MAX, Wanted
from protocol.notification.views import ListNotifications
from protocol.preference.terms import ZONE_DEFAULT
from protocol.roles import Principal
from storage.database import Pool
from storage.queries.page import AS_OF, Cursor
from storage.registry import Sources, loads
from storage.rights import may_see, who_may_see


class NotificationRecord(Struct, frozen=True, kw_only=True):
    """One stored notification."""

    user_id: UserId
    id: NotificationId
    type: str
    #: What it is about.
    entity: Ref
    #: None: this server does not know the event type, or the reader may not see the event any more.
    event: Event | None
    read: bool
    at: datetime


class NotificationRecordPage(Struct, frozen=True, kw_only=True):
    """A page of notifications, and their reader's language and zone."""

    items: list[NotificationRecord]
    unread_count: int
    next_cursor: str | None
    language: str
    zone: str
    as_of: str


class BookingSummary(Struct, frozen=True, kw_only=True):
    """The fields of a booking that notifications about it, or about its conversation, may use."""

    title: str
    number: str
    zone: str
    starts_at: datetime
    customer_id: UserId
    staff_id: UserId
    total_amount_minor: int
    currency: str


_cursor = Cursor(tuple[Instant, UUID])

#: Whether notification n is read; m is its reader's mark.
READ = """(n.at <= coalesce(m.read_until, '-infinity') OR EXISTS (
           SELECT FROM notification_reads r WHERE r.user_id = n.user_id AND r.notification_id = n.id))"""


def _unread(user_id: str) -> str:
    """Count a user's unread notifications, 100 at most, without scanning those from before their mark."""
    return f"""(SELECT count(*) FROM (
            SELECT FROM notifications n
             WHERE n.user_id = {user_id} AND n.at > coalesce(
                     (SELECT m.read_until FROM notification_marks m WHERE m.user_id = {user_id}), '-infinity')
               AND NOT EXISTS (
                     SELECT FROM notification_reads r WHERE r.user_id = n.user_id AND r.notification_id = n.id)
             LIMIT {UNREAD_MAX}) u)"""


_PAGE = f"""
SELECT n.id, n.type, n.kind, n.entity_id, n.event::text AS event, n.at, {READ} AS read
  FROM notifications n LEFT JOIN notification_marks m ON m.user_id = n.user_id
 WHERE n.user_id = $1 AND ($2::timestamptz IS NULL OR (n.at, n.id) < ($2, $3)) AND ($4 OR NOT {READ})
 ORDER BY n.at DESC, n.id DESC LIMIT $5
"""
_BY_KEY = f"""
SELECT n.user_id, n.id, n.type, n.kind, n.entity_id, n.event::text AS event, n.at, {READ} AS read
  FROM unnest($1::uuid[], $2::uuid[]) w(user_id, id)
  JOIN notifications n ON n.user_id = w.user_id AND n.id = w.id
  LEFT JOIN notification_marks m ON m.user_id = n.user_id
"""
_STILL_UNREAD = f"""
SELECT n.user_id, n.id FROM unnest($1::uuid[], $2::uuid[]) w(user_id, id)
  JOIN notifications n ON n.user_id = w.user_id AND n.id = w.id
  LEFT JOIN notification_marks m ON m.user_id = n.user_id
 WHERE NOT {READ}
"""
_UNREAD = f"SELECT w.user_id, {_unread('w.user_id')} AS unread FROM unnest($1::uuid[]) w(user_id)"
_COUNTS = f"""
SELECT {AS_OF}, coalesce((SELECT language FROM people WHERE user_id = $1), 'en') AS language,
       coalesce((SELECT zone FROM notification_preferences WHERE user_id = $1), '{ZONE_DEFAULT}') AS zone,
       {_unread("$1")} AS unread
"""


async def read_notifications(pool: Pool, query: ListNotifications, principal: Principal) -> NotificationRecordPage:
    """Read a page of the caller's notifications. Raises: Invalid."""
    after = _cursor.read(query.cursor)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        counts = await connection.fetchrow(_COUNTS, principal.user_id)
        assert counts is not None
        found = await connection.fetch(
            _PAGE, principal.user_id, *(after or (None, None)), query.show is Wanted.ALL, query.limit + 1
        )
    rows, next_cursor = _cursor.page(found, query.limit, lambda row: (row["at"], row["id"]))
    refs = [Ref(Kind(row["kind"]), row["entity_id"]) for row in rows]
    visible = await may_see(pool, principal.user_id, set(refs))
    items = [_record(principal.user_id, row, ref in visible) for row, ref in zip(rows, refs, strict=True)]
    return NotificationRecordPage(
        items=items,
        unread_count=counts["unread"],
        next_cursor=next_cursor,
        language=counts["language"],
        zone=counts["zone"] if counts["zone"] in zone_names() else ZONE_DEFAULT,
        as_of=counts["as_of"],
    )


async def load_notifications(
    pool: Pool, keys: Sequence[tuple[UserId, NotificationId]]
) -> dict[tuple[UserId, NotificationId], NotificationRecord]:
    """Read notifications of many readers; an event that its reader may not see any more is left out."""
    rows = await pool.fetch(_BY_KEY, [user_id for user_id, _ in keys], [id for _, id in keys])
    refs = [(row["user_id"], Ref(Kind(row["kind"]), row["entity_id"])) for row in rows]
    visible = await who_may_see(pool, set(refs))
    return {
        (row["user_id"], row["id"]): _record(row["user_id"], row, pair in visible)
        for row, pair in zip(rows, refs, strict=True)
    }


async def count_unread(pool: Pool, ids: Sequence[UserId]) -> dict[UserId, int]:
    """Count the unread notifications of each user, 100 at most."""
    rows = await pool.fetch(_UNREAD, list(ids))
    return {row["user_id"]: row["unread"] for row in rows}


def _record(user_id: UserId, row: Any, visible: bool) -> NotificationRecord:
    return NotificationRecord(
        user_id=user_id,
        id=row["id"],
        type=row["type"],
        entity=Ref(Kind(row["kind"]), row["entity_id"]),
        event=read_event(row["type"], row["event"]) if visible else None,
        read=row["read"],
        at=row["at"],
    )


def read_event(name: str, data: str) -> Event | None:
    """Decode a notification's event; None if this server does not know its type or shape."""
    declared = EVENTS.get(name)
    try:
        return None if declared is None else msgspec.json.decode(data, type=declared)
    except msgspec.ValidationError:
        return None


async def load_bookings(pool: Pool, ids: Sequence[UUID]) -> dict[BookingId | ConversationId, BookingSummary]:
    """Read bookings by id; a conversation has the id of its booking."""
    rows = await pool.fetch(
        "SELECT id, title, number, zone, starts_at, customer_id, staff_id, total_amount_minor, currency"
        " FROM bookings WHERE id = ANY($1::uuid[])",
        list(ids),
    )
    return {row["id"]: BookingSummary(**{name: row[name] for name in BookingSummary.__struct_fields__}) for row in rows}


@loads(UnreadNotifications)
async def load_unread(sources: Sources, asks: Sequence[UnreadAsk]) -> list[UnreadNotifications]:
    """Return for each ask which of its notifications the user has and has not read, in order."""
    pairs = {(user_id, id) for user_id, ids in asks for id in ids}
    rows = await sources.pool.fetch(_STILL_UNREAD, *map(list, zip(*pairs, strict=True))) if pairs else []
    unread = {(row["user_id"], row["id"]) for row in rows}
    return [UnreadNotifications(frozenset(id for id in ids if (user_id, id) in unread)) for user_id, ids in asks]


async def load_notices(pool: Pool, ids: Sequence[UUID]) -> list[Notice | NotFound]:
    """Read notices, in order; an erased one is NotFound."""
    rows = await pool.fetch("SELECT * FROM notices WHERE id = ANY($1::uuid[])", list(ids))
    found = {row["id"]: Notice(**row) for row in rows}
    return [found.get(id) or NotFound(entity="notice", id=str(id)) for id in ids]


@loads(Notice)
async def load_notice_facts(sources: Sources, asks: Sequence[UUID]) -> list[Notice | NotFound]:
    """Load the notices to be delivered, in order."""
    return await load_notices(sources.pool, asks)
