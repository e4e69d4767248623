"""Queries of conversations and messages, and the loaders of their facts.

Each query is one statement, so that ``as_of`` and the data are of one snapshot. Only members see a conversation; for
others it is not found, like one that does not exist.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from protocol.booking.terms import BookingStatus
from protocol.conversation.facts import BookingParties, WrittenMessage
from protocol.conversation.terms import PREVIEW_CHARS_MAX, UNREAD_MAX, ConversationKind, Participant, roles_seen
from protocol.conversation.views import (
    ConversationDetail,
    ConversationPage,
    ConversationView,
    GetConversation,
    JobContext,
    ListConversations,
    ListMessages,
    MemberView,
    MessagePage,
    MessageView,
)
from protocol.errors import NotFound
from protocol.ids import BusinessId, ConversationId, Kind, MessageId, UserId
from protocol.instants import Instant
from protocol.roles import PROVIDERS, Principal, Role
from storage.database import Pool
from storage.queries.constants import constants
from storage.queries.page import AS_OF, Cursor
from storage.registry import Sources, answers, loads
from storage.rights import visible

#: The roles of members of a business, as SQL constants.
OF_BUSINESS = constants(PROVIDERS)

visible(
    Kind.CONVERSATION,
    f"JOIN conversation_members c ON c.conversation_id = w.id AND c.user_id = w.user_id"
    f" LEFT JOIN conversations t ON t.id = w.id"
    f" WHERE t.business_id IS NULL OR c.role NOT IN ({OF_BUSINESS}) OR EXISTS ("
    "SELECT FROM members m WHERE m.business_id = t.business_id AND m.user_id = w.user_id AND m.active"
    " AND (m.manager OR c.role = 'staff' OR t.kind <> 'customer_staff'))",
)

#: The condition that the reader ($3: the business they act for) takes part in the conversation ``o`` in the role of
#: ``c``, its member; as ``takes_part`` of ``protocol/conversation/terms.py``.
TAKES_PART = f"(c.role NOT IN ({OF_BUSINESS}) OR o.business_id IS NULL OR o.business_id = $3::uuid)"


def reader(principal: Principal) -> tuple[UserId, list[Role], BusinessId | None]:
    """The reader of conversations as the parameters $1, $2 and $3."""
    return principal.user_id, sorted(roles_seen(principal)), principal.business_id


_members = msgspec.json.Decoder(list[MemberView])
_threads = Cursor(tuple[Instant, UUID])
_messages = Cursor(tuple[UUID])

# Conversations. $1 is the reader, $2 the roles in which they see conversations now, $3 the business they act for.

#: A page of the reader's conversations after ($3, $4); each role is read from its own range of the index.
_LISTED = f"""
SELECT m.* FROM unnest($2::text[]) r(role) CROSS JOIN LATERAL (
    SELECT c.conversation_id, c.role, c.active_at
      FROM conversation_members c JOIN conversations o ON o.id = c.conversation_id
     WHERE c.user_id = $1 AND c.role = r.role AND {TAKES_PART} AND (c.active_at, c.conversation_id)
           < (coalesce($4, 'infinity'::timestamptz), coalesce($5, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
     ORDER BY c.active_at DESC, c.conversation_id DESC LIMIT $6) m
 ORDER BY m.active_at DESC, m.conversation_id DESC LIMIT $6
"""
_ONE = f"""
SELECT c.conversation_id, c.role, c.active_at
  FROM conversation_members c JOIN conversations o ON o.id = c.conversation_id
 WHERE c.conversation_id = $4 AND c.user_id = $1 AND c.role = ANY ($2::text[]) AND {TAKES_PART}
"""
_THREADS = f"""
WITH mine AS MATERIALIZED ({{mine}})
SELECT a.as_of, mine.role, mine.active_at, c.id, c.kind, c.business_id, c.closes_at, c.created_at,
       (SELECT v.version FROM actors v WHERE v.kind = 'conversation' AND v.id = c.id) AS version,
       b.id AS job_id, b.title AS job_title, b.starts_at AS job_time, b.status AS job_status,
       l.id AS message_id, l.sender_id, left(l.text, {PREVIEW_CHARS_MAX}) AS text, l.sent_at, l.edited_at, l.deleted_at,
       u.unread_count, w.members
  FROM (SELECT {AS_OF}) a
  LEFT JOIN (mine JOIN conversations c ON c.id = mine.conversation_id) ON true
  LEFT JOIN bookings b ON b.id = c.booking_id
  LEFT JOIN LATERAL (
      SELECT id, sender_id, text, sent_at, edited_at, deleted_at FROM messages
       WHERE conversation_id = c.id ORDER BY id DESC LIMIT 1) l ON true
  LEFT JOIN read_marks r ON r.conversation_id = c.id AND r.user_id = $1
  LEFT JOIN LATERAL (
      SELECT count(*) FILTER (WHERE n.sender_id <> $1 AND n.deleted_at IS NULL) AS unread_count FROM (
          SELECT sender_id, deleted_at FROM messages
           WHERE conversation_id = c.id AND id > coalesce(r.message_id, '00000000-0000-0000-0000-000000000000'::uuid)
           ORDER BY id DESC LIMIT {UNREAD_MAX}) n) u ON true
  LEFT JOIN LATERAL (
      SELECT jsonb_agg(jsonb_build_object('user_id', m.user_id, 'name', coalesce(p.name, ''), 'role', m.role,
                                          'read_message_id', k.message_id) ORDER BY m.role, m.user_id) AS members
        FROM conversation_members m
        LEFT JOIN people p ON p.user_id = m.user_id
        LEFT JOIN read_marks k ON k.conversation_id = m.conversation_id AND k.user_id = m.user_id
       WHERE m.conversation_id = c.id) w ON true
 ORDER BY mine.active_at DESC, mine.conversation_id DESC
"""
THREADS_LISTED = _THREADS.format(mine=_LISTED)
THREADS_ONE = _THREADS.format(mine=_ONE)


@answers(ListConversations)
async def list_conversations(pool: Pool, query: ListConversations, principal: Principal) -> ConversationPage:
    """Show a page of the reader's conversations in the active role. Raises: Invalid."""
    after_at, after_id = _threads.read(query.cursor) or (None, None)
    found = await pool.fetch(THREADS_LISTED, *reader(principal), after_at, after_id, query.limit + 1)
    threads = [row for row in found if row["id"] is not None]
    shown, next_cursor = _threads.page(threads, query.limit, lambda row: (row["active_at"], row["id"]))
    items = sorted([_view(row) for row in shown], key=_last_message_at, reverse=True)
    return ConversationPage(items=items, next_cursor=next_cursor, as_of=found[0]["as_of"])


@answers(GetConversation)
async def get_conversation(pool: Pool, query: GetConversation, principal: Principal) -> ConversationDetail:
    """Show one of the reader's conversations. Raises: NotFound."""
    (row,) = await pool.fetch(THREADS_ONE, *reader(principal), query.conversation_id)
    if row["id"] is None:
        raise _no_thread(query.conversation_id)
    return ConversationDetail(**msgspec.structs.asdict(_view(row)), as_of=row["as_of"])


def _view(row: asyncpg.Record) -> ConversationView:
    job = row["job_id"] and JobContext(
        job_id=row["job_id"],
        job_title=row["job_title"],
        job_time=row["job_time"],
        status=BookingStatus(row["job_status"]),
    )
    return ConversationView(
        id=row["id"],
        kind=ConversationKind(row["kind"]),
        role=Role(row["role"]),
        business_id=row["business_id"],
        job_context=job,
        members=_members.decode(row["members"]),
        last_message=row["message_id"] and _message(row, row["message_id"], row["id"]),
        unread_count=row["unread_count"],
        closes_at=row["closes_at"],
        created_at=row["created_at"],
        version=row["version"],
    )


def _last_message_at(view: ConversationView) -> datetime:
    return view.created_at if view.last_message is None else view.last_message.sent_at


# Messages

MESSAGES = f"""
SELECT {AS_OF}, m.*
  FROM conversation_members c JOIN conversations o ON o.id = c.conversation_id LEFT JOIN LATERAL (
      SELECT id, sender_id, text, sent_at, edited_at, deleted_at FROM messages
       WHERE conversation_id = c.conversation_id AND id < coalesce($5, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
       ORDER BY id DESC LIMIT $6) m ON true
 WHERE c.conversation_id = $4 AND c.user_id = $1 AND c.role = ANY ($2::text[]) AND {TAKES_PART}
 ORDER BY m.id DESC
"""


@answers(ListMessages)
async def list_messages(pool: Pool, query: ListMessages, principal: Principal) -> MessagePage:
    """Show a page of messages of one of the reader's conversations, newest first. Raises: NotFound, Invalid."""
    (before,) = _messages.read(query.cursor) or (None,)
    found = await pool.fetch(MESSAGES, *reader(principal), query.conversation_id, before, query.limit + 1)
    if not found:
        raise _no_thread(query.conversation_id)
    rows = [row for row in found if row["id"] is not None]
    shown, next_cursor = _messages.page(rows, query.limit, lambda row: (row["id"],))
    items = [_message(row, row["id"], query.conversation_id) for row in shown]
    return MessagePage(items=items, next_cursor=next_cursor, as_of=found[0]["as_of"])


def _message(row: asyncpg.Record, message_id: MessageId, conversation_id: ConversationId) -> MessageView:
    return MessageView(
        id=message_id,
        conversation_id=conversation_id,
        sender_id=row["sender_id"],
        text=row["text"],
        sent_at=row["sent_at"],
        edited_at=row["edited_at"],
        deleted_at=row["deleted_at"],
    )


def _no_thread(conversation_id: ConversationId) -> NotFound:
    return NotFound(entity=Kind.CONVERSATION.value, id=str(conversation_id))


# Facts

BOOKING_PARTIES = """
SELECT b.customer_id, b.business_id, b.status, b.actual_end_at, p.customer_id IS NOT NULL AS blocked,
       CASE WHEN b.staff_left_at IS NULL THEN b.staff_id ELSE o.owner_id END AS provider_id,
       CASE WHEN b.staff_left_at IS NULL THEN 'staff' ELSE 'owner' END AS provider_role
  FROM unnest($1::uuid[]) WITH ORDINALITY w(id, ord)
  LEFT JOIN bookings b ON b.id = w.id
  LEFT JOIN businesses o ON o.id = b.business_id
  LEFT JOIN blocked_pairs p ON p.business_id = b.business_id AND p.customer_id = b.customer_id
 ORDER BY w.ord
"""
WRITTEN_MESSAGES = """
SELECT m.conversation_id, m.sender_id, m.text, m.sent_at, m.edited_at, m.deleted_at
  FROM unnest($1::uuid[]) WITH ORDINALITY w(id, ord) LEFT JOIN messages m ON m.id = w.id
 ORDER BY w.ord
"""


@loads(BookingParties)
async def load_booking_parties(sources: Sources, booking_ids: Sequence[UUID]) -> list[BookingParties | NotFound]:
    """Read the parties of bookings, in order; a booking that does not exist is not found."""
    return [
        NotFound(entity=Kind.BOOKING.value, id=str(booking_id))
        if row["customer_id"] is None
        else BookingParties(
            customer_id=row["customer_id"],
            provider=Participant(user_id=row["provider_id"], role=Role(row["provider_role"])),
            business_id=row["business_id"],
            status=BookingStatus(row["status"]),
            ended_at=row["actual_end_at"],
            blocked=row["blocked"],
        )
        for booking_id, row in zip(booking_ids, await sources.pool.fetch(BOOKING_PARTIES, booking_ids), strict=True)
    ]


@loads(WrittenMessage)
async def load_written_messages(sources: Sources, message_ids: Sequence[UUID]) -> list[WrittenMessage | NotFound]:
    """Read messages, in order; one that does not exist is not found."""
    return [
        NotFound(entity="message", id=str(message_id)) if row["sender_id"] is None else WrittenMessage(**dict(row))
        for message_id, row in zip(message_ids, await sources.pool.fetch(WRITTEN_MESSAGES, message_ids), strict=True)
    ]
