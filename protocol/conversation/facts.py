"""Facts that decisions about conversations are made on, loaded before the turn."""

from datetime import datetime

from msgspec import Struct

from protocol.booking.terms import BookingStatus
from protocol.ids import BusinessId, ConversationId, UserId

# Facts


class BookingParties(Struct, frozen=True, kw_only=True):
    """Whose booking it is, before its thread is opened.

    May be stale by commit time: a booking that is declined meanwhile takes its staff member out by ``ReplaceMember``,
    which is decided after this.
    """

    customer_id: UserId
    staff_id: UserId
    business_id: BusinessId
    status: BookingStatus
    #: None until the job is done.
    ended_at: datetime | None
    #: Whether business and customer do not deal with each other any more.
    blocked: bool


class WrittenMessage(Struct, frozen=True, kw_only=True):
    """A message of the thread as it is. Never stale: only the thread's own commands change it."""

    conversation_id: ConversationId
    sender_id: UserId
    text: str
    sent_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
