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
    """Open a thread, or bring one that is open to these members: whoever is not among them loses it."""

    conversation_id: ConversationId
    kind: ConversationKind = ConversationKind.CUSTOMER_STAFF
    #: Of a customer–staff thread only; the same as ``conversation_id``.
    booking_id: BookingId | None = None
    business_id: BusinessId | None = None
    members: Annotated[tuple[Participant, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]


class BookingThread(Wire, frozen=True, kw_only=True):
    """The thread of a booking has the booking's id."""

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
    """Open the thread of a booking, as one of its parties; opened before, that thread is the answer."""

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
    """Say something to the other members."""

    conversation_id: ConversationId
    text: Text
    #: The suggested reply that it came from, changed or not; None: it is all one's own.
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
    """Change one's own message; it is marked as edited."""

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
    """Take back one's own message: its text is gone, that there was one stays."""

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
    """Everything up to this message is read. A mark never moves back."""

    conversation_id: ConversationId
    message_id: MessageId


@command("conversation.replace_member", actor=Kind.CONVERSATION, by=INTERNAL)
class ReplaceMember(Command, frozen=True, kw_only=True):
    """Somebody loses the thread, as who declined its job does; somebody else may take their place."""

    conversation_id: ConversationId
    leaves: UserId
    joins: Participant | None = None


@command("conversation.close", actor=Kind.CONVERSATION, by=INTERNAL)
class CloseConversation(Command, frozen=True, kw_only=True):
    """The job has ended: 48 hours from then on the thread is read-only."""

    conversation_id: ConversationId
    ended_at: datetime


@command("conversation.keep_open", actor=Kind.CONVERSATION, by=INTERNAL)
class KeepConversationOpen(Command, frozen=True, kw_only=True):
    """A dispute: the thread does not become read-only, or is open again."""

    conversation_id: ConversationId
