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
    """A conversation was opened."""

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
    """A message was posted; its text is in its row."""

    message_id: MessageId
    sender_id: UserId
    #: Set if the conversation moves up in its members' lists: with the first message, then at most once a minute.
    active_at: datetime | None = None


@event("message.edited", public=False, content=(MessageRow, "message_id"))
class MessageEdited(Event, frozen=True, kw_only=True):
    """The sender edited a message."""

    message_id: MessageId


@event("message.deleted", public=False)
class MessageDeleted(Event, frozen=True, kw_only=True):
    """The sender deleted a message."""

    message_id: MessageId
    #: Clients need it to know whether the message counted as unread.
    sender_id: UserId


@event("messages.read", public=False)
class MessagesRead(Event, frozen=True, kw_only=True):
    """A member has read all messages up to one."""

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
    """Members left or joined; new members see the earlier messages."""

    left: tuple[UserId, ...] = ()
    joined: tuple[Participant, ...] = ()


@event("conversation.closing_set")
class ConversationClosingSet(Event, frozen=True, kw_only=True):
    """The time at which the conversation becomes read-only was set; None: it stays open."""

    closes_at: datetime | None
