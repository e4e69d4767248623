"""Commands to conversations."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from protocol.conversation.terms import MEMBERS_MAX, ConversationKind, Participant, Text
from protocol.conversation.views import ConversationReply, MessageReply
from protocol.errors import ConversationClosed, NotFound, PairBlocked, WrongState
from protocol.ids import BookingId, BusinessId, ConversationId, Kind, MessageId, UserId
from protocol.rates import per_minute
from protocol.registry import Command, Route, Wire, command
from protocol.roles import ANYONE, INTERNAL
from protocol.suggestion.terms import UsedSuggestion

# Commands, in the order of a conversation's life


@command("conversation.open", actor=Kind.CONVERSATION, by=INTERNAL)
class OpenConversation(Command, frozen=True, kw_only=True):
    """Open a conversation, or set the members of an existing one; former members lose access."""

    conversation_id: ConversationId
    kind: ConversationKind = ConversationKind.CUSTOMER_STAFF
    #: Of a conversation between customer and staff only; the same as ``conversation_id``.
    booking_id: BookingId | None = None
    business_id: BusinessId | None = None
    members: Annotated[tuple[Participant, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]


class BookingThread(Wire, frozen=True, kw_only=True):
    """The conversation of a booking, which has the booking's id."""

    booking_id: BookingId

    def to_command(self) -> "OpenBookingConversation":
        return OpenBookingConversation(conversation_id=ConversationId(self.booking_id))


@command(
    "conversation.open_for_booking",
    actor=Kind.CONVERSATION,
    by=ANYONE,
    routes=(
        Route("POST", "/conversations/", BookingThread),
        Route("POST", "/chat/conversations/", BookingThread),
    ),
    reply=ConversationReply,
    errors=(NotFound, WrongState, PairBlocked, ConversationClosed),
)
class OpenBookingConversation(Command, frozen=True, kw_only=True):
    """Open the conversation of a booking, as one of its parties; returns it if it is open already."""

    #: The booking's id.
    conversation_id: ConversationId


@command(
    "conversation.post",
    actor=Kind.CONVERSATION,
    by=ANYONE,
    routes=("POST /conversations/{conversation_id}/messages", "POST /chat/messages/"),
    reply=MessageReply,
    status=201,
    errors=(NotFound, ConversationClosed),
    rate=per_minute(120),
)
class PostMessage(Command, frozen=True, kw_only=True):
    """Post a message to the other members."""

    conversation_id: ConversationId
    text: Text
    #: The suggested reply that it was made from, edited or not; None: it was not.
    suggestion: UsedSuggestion | None = None


@command(
    "conversation.edit",
    actor=Kind.CONVERSATION,
    by=ANYONE,
    routes=("PATCH /conversations/{conversation_id}/messages/{message_id}",),
    reply=MessageReply,
    errors=(NotFound, ConversationClosed),
    rate=per_minute(60),
)
class EditMessage(Command, frozen=True, kw_only=True):
    """Edit my own message; it is marked as edited."""

    conversation_id: ConversationId
    message_id: MessageId
    text: Text


@command(
    "conversation.delete",
    actor=Kind.CONVERSATION,
    by=ANYONE,
    routes=("DELETE /conversations/{conversation_id}/messages/{message_id}",),
    reply=MessageReply,
    errors=(NotFound, ConversationClosed),
)
class DeleteMessage(Command, frozen=True, kw_only=True):
    """Delete my own message: its text is erased, and a deleted message remains."""

    conversation_id: ConversationId
    message_id: MessageId


@command(
    "conversation.mark_read",
    actor=Kind.CONVERSATION,
    by=ANYONE,
    routes=("POST /conversations/{conversation_id}/read",),
    errors=(NotFound,),
)
class MarkRead(Command, frozen=True, kw_only=True):
    """Mark all messages up to this one as read. The mark never moves back."""

    conversation_id: ConversationId
    message_id: MessageId


@command("conversation.replace_member", actor=Kind.CONVERSATION, by=INTERNAL)
class ReplaceMember(Command, frozen=True, kw_only=True):
    """Remove a member, such as a staff member who declined the booking, and possibly add another one."""

    conversation_id: ConversationId
    leaves: UserId
    joins: Participant | None = None


@command("conversation.hand_over", actor=Kind.CONVERSATION, by=INTERNAL)
class HandOverConversation(Command, frozen=True, kw_only=True):
    """A member of the business left it: they leave the conversation, and its managers join one that needs an answer."""

    conversation_id: ConversationId
    leaves: UserId
    managers: Annotated[tuple[Participant, ...], Meta(max_length=MEMBERS_MAX)]


@command("conversation.close", actor=Kind.CONVERSATION, by=INTERNAL)
class CloseConversation(Command, frozen=True, kw_only=True):
    """Make the conversation read-only 48 hours after the end of the job."""

    conversation_id: ConversationId
    ended_at: datetime


@command("conversation.keep_open", actor=Kind.CONVERSATION, by=INTERNAL)
class KeepConversationOpen(Command, frozen=True, kw_only=True):
    """Keep the conversation open, or reopen it, because of a dispute."""

    conversation_id: ConversationId
