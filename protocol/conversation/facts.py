"""Facts of decisions about conversations."""

from datetime import datetime

from msgspec import Struct

from protocol.booking.terms import BookingStatus
from protocol.conversation.terms import Participant
from protocol.ids import BusinessId, ConversationId, UserId

# Facts


class BookingParties(Struct, frozen=True, kw_only=True):
    """The parties of a booking, loaded to open its conversation.

    They may be stale at commit: a booking that is declined meanwhile removes its staff member by ``ReplaceMember``,
    which is decided after this.
    """

    customer_id: UserId
    #: Who speaks for the business: the staff member, or the owner once the staff member has left.
    provider: Participant
    business_id: BusinessId
    status: BookingStatus
    #: None until the job is done.
    ended_at: datetime | None
    #: Whether the business has blocked the customer.
    blocked: bool


class WrittenMessage(Struct, frozen=True, kw_only=True):
    """A message of the conversation. Never stale: only commands of the conversation change it."""

    conversation_id: ConversationId
    sender_id: UserId
    text: str
    sent_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
