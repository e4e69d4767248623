"""Views of conversations, and the queries that return them."""

from datetime import datetime

from protocol.booking.terms import BookingStatus
from protocol.conversation.terms import ConversationKind
from protocol.ids import BookingId, BusinessId, ConversationId, MessageId, UserId
from protocol.registry import PAGE_LIMIT_DEFAULT, PageLimit, Query, View, query
from protocol.roles import ANYONE, Role

# Replies


class ConversationReply(View, frozen=True, kw_only=True):
    """The reply to a command that opens a conversation."""

    conversation_id: ConversationId


class MessageReply(View, frozen=True, kw_only=True):
    """The reply to a command that posts, edits or deletes a message."""

    message_id: MessageId
    #: When the server decided the message.
    sent_at: datetime


# Views


class MessageView(View, frozen=True, kw_only=True):
    """One message."""

    id: MessageId
    conversation_id: ConversationId
    sender_id: UserId
    #: Empty once deleted.
    text: str
    sent_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None


class MemberView(View, frozen=True, kw_only=True):
    """A member of a conversation, with their role and the last message that they have read."""

    user_id: UserId
    name: str
    role: Role
    read_message_id: MessageId | None


class JobContext(View, frozen=True, kw_only=True):
    """The booking of a conversation, shown above it (rule T-3)."""

    job_id: BookingId
    job_title: str
    job_time: datetime
    status: BookingStatus


class ConversationPublic(View, frozen=True, kw_only=True):
    """The fields of a conversation's view that are the same for all its members, and that events may carry."""

    kind: ConversationKind
    business_id: BusinessId | None
    #: Read-only from then on; None: open.
    closes_at: datetime | None
    created_at: datetime


class ConversationView(View, frozen=True, kw_only=True):
    """A conversation as a member sees it."""

    id: ConversationId
    kind: ConversationKind
    #: The reader's role in it.
    role: Role
    business_id: BusinessId | None
    #: None: it has no booking.
    job_context: JobContext | None
    members: list[MemberView]
    #: With the first ``PREVIEW_CHARS_MAX`` characters of its text; None: there is no message.
    last_message: MessageView | None
    #: Messages of other members after the reader's mark, among the newest ``UNREAD_MAX``.
    unread_count: int
    #: Read-only from then on; None: open.
    closes_at: datetime | None
    created_at: datetime
    #: Increases by one with each event of the conversation.
    version: int


class ConversationDetail(ConversationView, frozen=True, kw_only=True):
    """One conversation."""

    as_of: str


class ConversationPage(View, frozen=True, kw_only=True):
    """A page of conversations, the latest message first. Pages are ordered by the minute of the last message."""

    items: list[ConversationView]
    #: None: this was the last page.
    next_cursor: str | None
    as_of: str


class MessagePage(View, frozen=True, kw_only=True):
    """A page of messages, newest first."""

    items: list[MessageView]
    #: None: this was the last page.
    next_cursor: str | None
    as_of: str


# Queries


@query(
    "conversation.list",
    by=ANYONE,
    view=ConversationPage,
    routes=("GET /conversations/", "GET /chat/conversations/"),
)
class ListConversations(Query, frozen=True, kw_only=True):
    """The sender's conversations in the active role."""

    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None


@query("conversation.get", by=ANYONE, view=ConversationDetail, routes=("GET /conversations/{conversation_id}/",))
class GetConversation(Query, frozen=True, kw_only=True):
    """One of the sender's conversations."""

    conversation_id: ConversationId


@query(
    "conversation.messages",
    by=ANYONE,
    view=MessagePage,
    routes=("GET /conversations/{conversation_id}/messages", "GET /chat/messages/"),
)
class ListMessages(Query, frozen=True, kw_only=True):
    """The messages of a conversation, newest first."""

    conversation_id: ConversationId
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None
