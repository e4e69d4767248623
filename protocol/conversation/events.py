"""Events of conversations: what happened, in the past tense."""

from datetime import datetime

from protocol.conversation.rows import MessageRow
from protocol.conversation.terms import ConversationKind, Participant
from protocol.events import Event, event
from protocol.ids import BookingId, BusinessId, MessageId, UserId
from protocol.notification.types import Party, tell

# Events


@event("conversation.opened", refetch=("*",))
class ConversationOpened(Event, frozen=True, kw_only=True):
    """People can talk."""

    kind: ConversationKind
    booking_id: BookingId | None = None
    business_id: BusinessId | None = None
    members: tuple[Participant, ...]
    at: datetime
    closes_at: datetime | None = None


@event(
    "message.posted",
    public=False,
    tell=tell({Party.MEMBER}, when=lambda event: event.active_at is not None),
    content=(MessageRow, "message_id"),
)
class MessagePosted(Event, frozen=True, kw_only=True):
    """Somebody said something; the text is in the message's row."""

    message_id: MessageId
    sender_id: UserId
    #: Set when the thread moves up in its members' lists: with the first message, and then at most once a minute.
    active_at: datetime | None = None


@event("message.edited", public=False, content=(MessageRow, "message_id"))
class MessageEdited(Event, frozen=True, kw_only=True):
    """The sender changed it."""

    message_id: MessageId


@event("message.deleted", public=False)
class MessageDeleted(Event, frozen=True, kw_only=True):
    """The sender took it back."""

    message_id: MessageId
    #: Whether it counted as unread depends on whose it was.
    sender_id: UserId


@event("messages.read", public=False)
class MessagesRead(Event, frozen=True, kw_only=True):
    """Somebody has read everything up to a message."""

    user_id: UserId
    message_id: MessageId


@event(
    "conversation.members_changed",
    refetch=(
        "role",
        "members",
    ),
)
class ConversationMembersChanged(Event, frozen=True, kw_only=True):
    """Some lose the thread, others get it, with all that was said."""

    left: tuple[UserId, ...] = ()
    joined: tuple[Participant, ...] = ()


@event("conversation.closing_set")
class ConversationClosingSet(Event, frozen=True, kw_only=True):
    """When the thread becomes read-only; None: it does not."""

    closes_at: datetime | None
