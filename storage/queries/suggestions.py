"""Reading what a reply has to fit: the last messages of a thread and its job, for a member of it."""

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

#: Of one message, so much says what it is about.
MESSAGE_CHARS_MAX = 500

#: $1: the reader, $2: as what they must be in the thread to see it, $3: the thread, $4: messages, $5: letters of each.
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
    """One message, as far as a reply has to fit it."""

    id: MessageId
    sender_id: UserId
    #: As what the sender is in the thread; None: not in it any more.
    role: Role | None
    text: str


class ThreadJob(Struct, frozen=True, kw_only=True):
    """The job that a thread is about."""

    title: str
    status: BookingStatus
    starts_at: datetime
    zone: str


class SuggestionContext(Struct, frozen=True, kw_only=True):
    """A thread, as far as a reply has to fit it."""

    #: The reader's: a tag such as ``de-AT``.
    language: str
    #: As what the reader is in it.
    role: Role
    job: ThreadJob | None
    #: The last messages, oldest first; none that were taken back.
    said: list[SaidMessage]


_said = msgspec.json.Decoder(list[SaidMessage])


async def read_suggestion_context(
    pool: Pool, query: GetSuggestions, principal: Principal, messages_max: int
) -> SuggestionContext:
    """Read the end of one of the reader's threads. Raises: NotFound."""
    thread, roles = query.conversation_id, sorted(roles_seen(principal))
    row = await pool.fetchrow(SUGGESTION_CONTEXT, principal.user_id, roles, thread, messages_max, MESSAGE_CHARS_MAX)
    if row is None:
        raise NotFound(entity=Kind.CONVERSATION.value, id=str(thread))
    job = row["title"] and ThreadJob(
        title=row["title"], status=BookingStatus(row["status"]), starts_at=row["starts_at"], zone=row["zone"]
    )
    return SuggestionContext(language=row["language"], role=Role(row["role"]), job=job, said=_said.decode(row["said"]))
