"""Read the context of suggested replies: the last messages of a conversation and its booking, for a member."""

from datetime import datetime

import msgspec
from msgspec import Struct

from protocol.booking.terms import BookingStatus
from protocol.conversation.terms import roles_seen
from protocol.errors import NotFound
from protocol.ids import Kind, MessageId, UserId
from protocol.roles import Principal, Role
from protocol.suggestion.views import GetSuggestions
from storage.database import Pool

#: Characters of one message that are read.
MESSAGE_CHARS_MAX = 500

#: $1: the reader, $2: roles that they see conversations in, $3: the conversation, $4: messages, $5: characters of each.
SUGGESTION_CONTEXT = """
SELECT c.role, coalesce(p.language, '') AS language, b.title, b.status, b.starts_at, b.zone, m.said
  FROM conversation_members c
  JOIN conversations t ON t.id = c.conversation_id
  LEFT JOIN people p ON p.user_id = c.user_id
  LEFT JOIN bookings b ON b.id = t.booking_id
  LEFT JOIN LATERAL (
      SELECT coalesce(jsonb_agg(jsonb_build_object('id', l.id, 'sender_id', l.sender_id, 'role', r.role,
                                                   'text', left(l.text, $5)) ORDER BY l.id), '[]') AS said
        FROM (SELECT id, conversation_id, sender_id, text FROM messages
               WHERE conversation_id = t.id AND deleted_at IS NULL ORDER BY id DESC LIMIT $4) l
        LEFT JOIN conversation_members r ON r.conversation_id = l.conversation_id AND r.user_id = l.sender_id) m ON true
 WHERE c.conversation_id = $3 AND c.user_id = $1 AND c.role = ANY ($2::text[])
"""


class SaidMessage(Struct, frozen=True, kw_only=True):
    """One message of the context."""

    id: MessageId
    sender_id: UserId
    #: The sender's role in the conversation; None: not a member any more.
    role: Role | None
    text: str


class ThreadJob(Struct, frozen=True, kw_only=True):
    """The booking of a conversation."""

    title: str
    status: BookingStatus
    starts_at: datetime
    zone: str


class SuggestionContext(Struct, frozen=True, kw_only=True):
    """The part of a conversation that a reply has to fit."""

    #: The reader's language, a tag such as ``de-AT``; empty: unknown.
    language: str
    #: The reader's role in it.
    role: Role
    job: ThreadJob | None
    #: The last messages, oldest first, without deleted ones.
    said: list[SaidMessage]


_said = msgspec.json.Decoder(list[SaidMessage])


async def read_suggestion_context(
    pool: Pool, query: GetSuggestions, principal: Principal, messages_max: int
) -> SuggestionContext:
    """Read the context of one of the reader's conversations. Raises: NotFound."""
    thread, roles = query.conversation_id, sorted(roles_seen(principal))
    row = await pool.fetchrow(SUGGESTION_CONTEXT, principal.user_id, roles, thread, messages_max, MESSAGE_CHARS_MAX)
    if row is None:
        raise NotFound(entity=Kind.CONVERSATION.value, id=str(thread))
    job = row["title"] and ThreadJob(
        title=row["title"], status=BookingStatus(row["status"]), starts_at=row["starts_at"], zone=row["zone"]
    )
    return SuggestionContext(language=row["language"], role=Role(row["role"]), job=job, said=_said.decode(row["said"]))
