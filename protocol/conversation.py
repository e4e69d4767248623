"""Conversations: threads between people, their messages, and who has read how far (seed 003 §7, SPEC §7)."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from protocol.booking.terms import BookingStatus
from protocol.catalogue import PAGE_LIMIT_DEFAULT, Command, PageLimit, Query, Route, View, Wire, command, query
from protocol.errors import ConversationClosed, NotFound, PairBlocked, WrongState
from protocol.events import Event, Row
from protocol.ids import BookingId, BusinessId, ConversationId, Kind, MessageId, UserId
from protocol.rates import per_minute
from protocol.roles import ANYONE, INTERNAL, PROVIDERS, Principal, Role
from protocol.suggestions import UsedSuggestion

MEMBERS_MAX = 64
TEXT_CHARS_MAX = 4000
#: A job's thread becomes read-only so long after the job has ended (SPEC §7).
READ_ONLY_AFTER = timedelta(hours=48)
#: Unread messages are counted among the newest so many; a client shows "99+".
UNREAD_MAX = 100
#: Of the last message, a thread in a list shows so much.
PREVIEW_CHARS_MAX = 200

#: What is written, as typed. Counted in code points.
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS_MAX)]


class ConversationKind(StrEnum):
    """Who talks to whom in a thread."""

    #: Tied to a booking; its id is the booking's.
    CUSTOMER_STAFF = "customer_staff"
    CUSTOMER_BUSINESS = "customer_business"
    STAFF_OWNER = "staff_owner"
    ADMIN = "admin"


#: As what somebody can be in a thread of each kind. Whoever is in it as staff finds it when acting as staff, and so on.
ROLES_IN: dict[ConversationKind, frozenset[Role]] = {
    ConversationKind.CUSTOMER_STAFF: frozenset({Role.CUSTOMER, Role.STAFF}),
    ConversationKind.CUSTOMER_BUSINESS: frozenset({Role.CUSTOMER, Role.OWNER, Role.EMPLOYEE}),
    ConversationKind.STAFF_OWNER: frozenset({Role.STAFF, Role.OWNER, Role.EMPLOYEE}),
    ConversationKind.ADMIN: ANYONE,
}


def roles_seen(principal: Principal) -> frozenset[Role]:
    """As what somebody must be in a thread to see it now: the active role decides (seed 003 §7).

    An owner or employee who does jobs, but has no role of staff to switch to, sees the threads of those jobs as well.
    """
    if principal.role in PROVIDERS and Role.STAFF not in principal.roles:
        return frozenset({principal.role, Role.STAFF})
    return frozenset({principal.role})


class Participant(Struct, frozen=True, kw_only=True):
    """A member of a thread, and as what."""

    user_id: UserId
    role: Role


# Replies


class ConversationReply(View, frozen=True, kw_only=True):
    """Where the thread is."""

    conversation_id: ConversationId


class MessageReply(View, frozen=True, kw_only=True):
    """The message that was posted, changed or deleted."""

    message_id: MessageId
    #: When the server took it in.
    sent_at: datetime


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


# Read rows


class ConversationRow(Row, frozen=True, kw_only=True):
    """A thread. Messages leave it alone: what is latest is read from their own index."""

    table: ClassVar[str] = "conversations"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: ConversationId
    kind: ConversationKind
    booking_id: BookingId | None
    business_id: BusinessId | None
    #: Read-only from then on; None: open.
    closes_at: datetime | None
    created_at: datetime


class MemberRow(Row, frozen=True, kw_only=True):
    """Somebody's place in a thread, and the thread's place in their list."""

    table: ClassVar[str] = "conversation_members"
    key: ClassVar[tuple[str, ...]] = ("conversation_id", "user_id")

    conversation_id: ConversationId
    user_id: UserId
    role: Role
    #: What their list is in the order of.
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
    """How far somebody has read."""

    table: ClassVar[str] = "read_marks"
    key: ClassVar[tuple[str, ...]] = ("conversation_id", "user_id")

    conversation_id: ConversationId
    user_id: UserId
    message_id: MessageId
    read_at: datetime


# Events


class ConversationOpened(Event, frozen=True, kw_only=True):
    """People can talk."""

    kind: ConversationKind
    booking_id: BookingId | None = None
    business_id: BusinessId | None = None
    members: tuple[Participant, ...]
    at: datetime
    closes_at: datetime | None = None


class MessagePosted(Event, frozen=True, kw_only=True):
    """Somebody said something; the text is in the message's row."""

    content: ClassVar[type[Row] | None] = MessageRow
    content_id: ClassVar[str] = "message_id"

    message_id: MessageId
    sender_id: UserId
    #: Set when the thread moves up in its members' lists: with the first message, and then at most once a minute.
    active_at: datetime | None = None


class MessageEdited(Event, frozen=True, kw_only=True):
    """The sender changed it."""

    content: ClassVar[type[Row] | None] = MessageRow
    content_id: ClassVar[str] = "message_id"

    message_id: MessageId


class MessageDeleted(Event, frozen=True, kw_only=True):
    """The sender took it back."""

    message_id: MessageId
    #: Whether it counted as unread depends on whose it was.
    sender_id: UserId


class MessagesRead(Event, frozen=True, kw_only=True):
    """Somebody has read everything up to a message."""

    user_id: UserId
    message_id: MessageId


class ConversationMembersChanged(Event, frozen=True, kw_only=True):
    """Some lose the thread, others get it, with all that was said."""

    left: tuple[UserId, ...] = ()
    joined: tuple[Participant, ...] = ()


class ConversationClosingSet(Event, frozen=True, kw_only=True):
    """When the thread becomes read-only; None: it does not."""

    closes_at: datetime | None


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
    """Who is in a thread, as what, and how far they have read."""

    user_id: UserId
    name: str
    role: Role
    read_message_id: MessageId | None


class JobContext(View, frozen=True, kw_only=True):
    """The job that a thread is about: the strip above it (seed 003 §7)."""

    job_id: BookingId
    job_title: str
    job_time: datetime
    status: BookingStatus


class ConversationView(View, frozen=True, kw_only=True):
    """A thread as a member sees it."""

    id: ConversationId
    kind: ConversationKind
    #: As what the reader is in it.
    role: Role
    business_id: BusinessId | None
    #: None: not about a job.
    job_context: JobContext | None
    members: list[MemberView]
    #: With the first ``PREVIEW_CHARS_MAX`` characters of its text; None: nobody has said anything.
    last_message: MessageView | None
    #: Other people's messages behind the reader's mark, among the newest ``UNREAD_MAX``.
    unread_count: int
    #: Read-only from then on; None: open.
    closes_at: datetime | None
    created_at: datetime


class ConversationDetail(ConversationView, frozen=True, kw_only=True):
    """One thread."""

    as_of: str


class ConversationPage(View, frozen=True, kw_only=True):
    """A page of threads, the latest message first; on which page a thread is, is exact to the minute."""

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
    """The sender's threads in the active role."""

    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None


@query("conversation.get", by=ANYONE, view=ConversationDetail, routes=("GET /conversations/{conversation_id}/",))
class GetConversation(Query, frozen=True, kw_only=True):
    """One of the sender's threads."""

    conversation_id: ConversationId


@query(
    "conversation.messages",
    by=ANYONE,
    view=MessagePage,
    routes=("GET /conversations/{conversation_id}/messages", "GET /chat/messages/"),
)
class ListMessages(Query, frozen=True, kw_only=True):
    """What was said in a thread."""

    conversation_id: ConversationId
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None
