"""Read the context of suggested replies: the last messages of a conversation and its booking, for a member."""

from datetime import datetime

import msgspec
from msgspec import Struct

from protocol.booking.terms import BookingStatus
from protocol.errors import NotFound
from protocol.ids import Kind, MessageId, UserId
from protocol.roles import Principal, Role
from protocol.suggestion.views import GetSuggestions
from storage.database import Pool
from storage.queries.conversation import TAKES_PART, reader

#: Characters of one message that are read.
MESSAGE_CHARS_MAX = 500

#: $1 to $3: the reader, $4: the conversation, $5: messages, $6: characters of each.
SUGGESTION_CONTEXT = f"""
SELECT c.role, coalesce(p.language, '') AS language, b.title, b.status, b.starts_at, b.zone, m.said
  FROM conversation_members c
  JOIN conversations o ON o.id = c.conversation_id
  LEFT JOIN people p ON p.user_id = c.user_id
  LEFT JOIN bookings b ON b.id = o.booking_id
  LEFT JOIN LATERAL (
      SELECT coalesce(jsonb_agg(jsonb_build_object('id', l.id, 'sender_id', l.sender_id, 'role', r.role,
                                                   'text', left(l.text, $6)) ORDER BY l.id), '[]') AS said
        FROM (SELECT id, conversation_id, sender_id, text FROM messages
               WHERE conversation_id = o.id AND deleted_at IS NULL ORDER BY id DESC LIMIT $5) l
        LEFT JOIN conversation_members r ON r.conversation_id = l.conversation_id AND r.user_id = l.sender_id) m ON true
 WHERE c.conversation_id = $4 AND c.user_id = $1 AND c.role = ANY ($2::text[]) AND {TAKES_PART}
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
    thread = query.conversation_id
    row = await pool.fetchrow(SUGGESTION_CONTEXT, *reader(principal), thread, messages_max, MESSAGE_CHARS_MAX)
    if row is None:
        raise NotFound(entity=Kind.CONVERSATION.value, id=str(thread))
    job = row["title"] and ThreadJob(
        title=row["title"], status=BookingStatus(row["status"]), starts_at=row["starts_at"], zone=row["zone"]
    )
    return SuggestionContext(language=row["language"], role=Role(row["role"]), job=job, said=_said.decode(row["said"]))
