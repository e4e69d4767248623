"""Read rows of conversations, written in the commit of their decision."""

from datetime import datetime
from typing import ClassVar

from protocol.conversation.terms import ConversationKind
from protocol.events import Row
from protocol.ids import BookingId, BusinessId, ConversationId, MessageId, UserId
from protocol.roles import Role

# Read rows


class ConversationRow(Row, frozen=True, kw_only=True):
    """A conversation. Messages do not change it: the last one is found by the index of messages."""

    table: ClassVar[str] = "conversations"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: ConversationId
    kind: ConversationKind
    booking_id: BookingId | None
    business_id: BusinessId | None
    #: Read-only from then on; None: open.
    closes_at: datetime | None
    created_at: datetime


class ConversationMemberRow(Row, frozen=True, kw_only=True):
    """A member of a conversation, and its position in their list."""

    table: ClassVar[str] = "conversation_members"
    key: ClassVar[tuple[str, ...]] = ("conversation_id", "user_id")

    conversation_id: ConversationId
    user_id: UserId
    role: Role
    #: The sort key of the member's list.
    active_at: datetime


class MessageRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """A message with its text, which can be erased."""

    table: ClassVar[str] = "messages"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: MessageId
    conversation_id: ConversationId
    sender_id: UserId
    #: Empty once deleted.
    text: str
    sent_at: datetime
    edited_at: datetime | None = None
    deleted_at: datetime | None = None


class ReadMarkRow(Row, frozen=True, kw_only=True):
    """The last message that a member has read."""

    table: ClassVar[str] = "read_marks"
    key: ClassVar[tuple[str, ...]] = ("conversation_id", "user_id")

    conversation_id: ConversationId
    user_id: UserId
    message_id: MessageId
    read_at: datetime
