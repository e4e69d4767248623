"""A thread's members talk, strangers do not, and what is said is nowhere but in its row (rules T-2, T-4)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.actor import Turn
from actors.conversation.actor import Conversation
from actors.conversation.state import ACTIVE_STEP
from actors.runtime.call import SYSTEM_PRINCIPAL
from actors.runtime.limits import STATE_BYTES_MAX
from protocol.booking.terms import BookingStatus
from protocol.conversation.commands import (
    CloseConversation,
    DeleteMessage,
    EditMessage,
    KeepConversationOpen,
    MarkRead,
    OpenBookingConversation,
    OpenConversation,
    PostMessage,
    ReplaceMember,
)
from protocol.conversation.events import (
    ConversationClosingSet,
    ConversationMembersChanged,
    ConversationOpened,
    MessageDeleted,
    MessageEdited,
    MessagePosted,
    MessagesRead,
)
from protocol.conversation.facts import BookingParties, WrittenMessage
from protocol.conversation.rows import ConversationMemberRow, ConversationRow, MessageRow, ReadMarkRow
from protocol.conversation.terms import MEMBERS_MAX, READ_ONLY_AFTER, ConversationKind, Participant, roles_seen
from protocol.conversation.views import ConversationReply, MessageReply
from protocol.effects import DropRow, PutRow
from protocol.errors import ConversationClosed, Invalid, NotFound, PairBlocked, Rejected, WrongState
from protocol.events import Event, Row
from protocol.ids import BookingId, BusinessId, ConversationId, MessageId, UserId
from protocol.roles import PROVIDERS, Principal, Role
from tests.support.actors import ACTOR_ID, Decided, counting_ids, decide, replay

NOW = datetime(2026, 6, 10, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BUSINESS = BusinessId(UUID(int=99))
THREAD = ConversationId(ACTOR_ID)
CUSTOMER, STAFF, SUBSTITUTE, STRANGER = (UserId(UUID(int=number)) for number in range(1, 5))


def acting(user_id: UserId, role: Role, *roles: Role) -> Principal:
    business_id = BUSINESS if role in PROVIDERS else None
    return Principal(user_id=user_id, role=role, roles=frozenset({role, *roles}), business_id=business_id)


customer = acting(CUSTOMER, Role.CUSTOMER)
staff = acting(STAFF, Role.STAFF)
substitute = acting(SUBSTITUTE, Role.STAFF)
stranger = acting(STRANGER, Role.CUSTOMER)

AS_CUSTOMER = Participant(user_id=CUSTOMER, role=Role.CUSTOMER)
AS_STAFF = Participant(user_id=STAFF, role=Role.STAFF)
AS_SUBSTITUTE = Participant(user_id=SUBSTITUTE, role=Role.STAFF)

OPENED = ConversationOpened(
    kind=ConversationKind.CUSTOMER_STAFF,
    booking_id=BookingId(ACTOR_ID),
    business_id=BUSINESS,
    members=(AS_CUSTOMER, AS_STAFF),
    at=NOW,
)
OPEN = OpenConversation(
    conversation_id=THREAD,
    booking_id=BookingId(ACTOR_ID),
    business_id=BUSINESS,
    members=(AS_CUSTOMER, AS_STAFF),
)
OPEN_FOR_BOOKING = OpenBookingConversation(conversation_id=THREAD)
CONFIRMED = BookingParties(
    customer_id=CUSTOMER,
    provider=AS_STAFF,
    business_id=BUSINESS,
    status=BookingStatus.CONFIRMED,
    ended_at=None,
    blocked=False,
)
HELLO = PostMessage(conversation_id=THREAD, text="Hello")


def message_id(number: int) -> MessageId:
    return MessageId(UUID(int=number))


def posted(number: int, sender_id: UserId = CUSTOMER) -> MessagePosted:
    return MessagePosted(message_id=message_id(number), sender_id=sender_id)


def written(sender_id: UserId = CUSTOMER, **changes: Any) -> WrittenMessage:
    message = WrittenMessage(
        conversation_id=THREAD, sender_id=sender_id, text="Helo", sent_at=NOW, edited_at=None, deleted_at=None
    )
    return msgspec.structs.replace(message, **changes)


def rows(decided: Decided, kind: type[Row]) -> list[Any]:
    return [effect.row for effect in decided.effects if isinstance(effect, PutRow) and isinstance(effect.row, kind)]


def dropped(decided: Decided) -> list[tuple[str, str]]:
    return [(effect.table, effect.key["user_id"]) for effect in decided.effects if isinstance(effect, DropRow)]


def audience(events: list[Event], command: Any, principal: Principal, facts: Any = None) -> list[tuple[UserId, ...]]:
    """The recipients of each event of the command."""
    actor = Conversation(ACTOR_ID, replay(Conversation, events), Turn(NOW, principal, counting_ids(NOW)))
    handler = Conversation.handlers[type(command)]
    handler.call(actor, command) if handler.facts is None else handler.call(actor, command, facts)
    return [emitted.audience for emitted in actor.emitted]


# Opening


def test_a_confirmed_booking_opens_its_thread_for_both_parties() -> None:
    decided = decide(Conversation, [], OPEN, SYSTEM_PRINCIPAL, NOW)

    assert decided.events == [OPENED]
    assert [(row.user_id, row.role) for row in rows(decided, ConversationMemberRow)] == [
        (CUSTOMER, Role.CUSTOMER),
        (STAFF, Role.STAFF),
    ]
    assert [row.booking_id for row in rows(decided, ConversationRow)] == [ACTOR_ID]


def test_a_thread_is_opened_once() -> None:
    again = decide(Conversation, [OPENED], OPEN, SYSTEM_PRINCIPAL, NOW)

    assert again == ([], [], ConversationReply(conversation_id=THREAD))


def test_a_booking_confirmed_again_brings_its_thread_to_the_new_staff_member() -> None:
    closing = ConversationClosingSet(closes_at=NOW)
    again = msgspec.structs.replace(OPEN, members=(AS_CUSTOMER, AS_SUBSTITUTE))

    decided = decide(Conversation, [OPENED, closing], again, SYSTEM_PRINCIPAL, NOW)

    assert decided.events == [
        ConversationMembersChanged(left=(STAFF,), joined=(AS_SUBSTITUTE,)),
        ConversationClosingSet(closes_at=None),
    ]


@pytest.mark.parametrize("party", [customer, staff])
def test_a_party_of_a_confirmed_booking_may_open_its_thread(party: Principal) -> None:
    decided = decide(Conversation, [], OPEN_FOR_BOOKING, party, NOW, CONFIRMED)

    assert decided.events == [OPENED]
    assert decided.reply == ConversationReply(conversation_id=THREAD)


@pytest.mark.parametrize("events", [[], [OPENED]])
@pytest.mark.parametrize("other", [stranger, substitute, acting(STAFF, Role.CUSTOMER, Role.STAFF)])
def test_a_conversation_is_not_found_unless_the_active_role_is_a_party(events: list[Event], other: Principal) -> None:
    decided = decide(Conversation, events, OPEN_FOR_BOOKING, other, NOW, CONFIRMED)

    assert isinstance(decided.reply, NotFound)


@pytest.mark.parametrize("status", [BookingStatus.PENDING, BookingStatus.DECLINED, BookingStatus.CANCELLED])
def test_a_booking_that_is_not_on_has_no_thread_to_open(status: BookingStatus) -> None:
    facts = msgspec.structs.replace(CONFIRMED, status=status)

    assert isinstance(decide(Conversation, [], OPEN_FOR_BOOKING, customer, NOW, facts).reply, WrongState)


def test_a_blocked_pair_opens_no_thread_but_keeps_the_one_it_has() -> None:
    facts = msgspec.structs.replace(CONFIRMED, blocked=True)

    assert isinstance(decide(Conversation, [], OPEN_FOR_BOOKING, customer, NOW, facts).reply, PairBlocked)
    assert isinstance(decide(Conversation, [OPENED], OPEN_FOR_BOOKING, customer, NOW, facts).reply, ConversationReply)


def test_a_thread_opened_after_the_job_still_closes_48_hours_after_its_end() -> None:
    facts = msgspec.structs.replace(CONFIRMED, status=BookingStatus.COMPLETED, ended_at=NOW)
    closes_at = NOW + READ_ONLY_AFTER

    late = decide(Conversation, [], OPEN_FOR_BOOKING, customer, closes_at - MINUTE, facts)
    too_late = decide(Conversation, [], OPEN_FOR_BOOKING, customer, closes_at, facts)

    assert [event.closes_at for event in late.events if isinstance(event, ConversationOpened)] == [closes_at]
    assert isinstance(too_late.reply, ConversationClosed)


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        (ConversationKind.CUSTOMER_STAFF, Role.ADMIN),
        (ConversationKind.CUSTOMER_BUSINESS, Role.STAFF),
        (ConversationKind.STAFF_OWNER, Role.CUSTOMER),
    ],
)
def test_members_have_roles_of_the_kind_of_conversation(kind: ConversationKind, role: Role) -> None:
    about = BookingId(ACTOR_ID) if kind is ConversationKind.CUSTOMER_STAFF else None
    member = Participant(user_id=CUSTOMER, role=role)
    command = OpenConversation(conversation_id=THREAD, kind=kind, booking_id=about, members=(member,))

    with pytest.raises(AssertionError, match="in a thread of kind"):
        decide(Conversation, [], command, SYSTEM_PRINCIPAL, NOW)


# Talking


def test_a_message_goes_to_all_members_and_its_sender() -> None:
    decided = decide(Conversation, [OPENED], HELLO, staff, NOW)

    (event,) = decided.events
    assert isinstance(event, MessagePosted)
    assert decided.reply == MessageReply(message_id=event.message_id, sent_at=NOW)
    assert rows(decided, MessageRow) == [
        MessageRow(id=event.message_id, conversation_id=THREAD, sender_id=STAFF, text="Hello", sent_at=NOW)
    ]
    assert audience([OPENED], HELLO, staff) == [(CUSTOMER, STAFF)]


def test_neither_event_nor_state_nor_reply_holds_the_text() -> None:
    decided = decide(Conversation, [OPENED], HELLO, customer, NOW)
    state = replay(Conversation, [OPENED, *decided.events])

    assert b"Hello" not in msgspec.json.encode([decided.events, state, decided.reply])


@pytest.mark.parametrize(
    "other",
    [stranger, substitute, acting(STAFF, Role.CUSTOMER, Role.STAFF), acting(CUSTOMER, Role.OWNER, Role.CUSTOMER)],
)
def test_only_members_in_the_active_role_post(other: Principal) -> None:
    assert isinstance(decide(Conversation, [OPENED], HELLO, other, NOW).reply, NotFound)


def test_a_thread_that_never_was_takes_no_message() -> None:
    assert isinstance(decide(Conversation, [], HELLO, customer, NOW).reply, NotFound)


@pytest.mark.parametrize("text", ["  \n\t", "\u200b\u200d", "\u202e", "\u00a0\u3000"])
def test_a_message_has_something_to_see(text: str) -> None:
    refused = decide(Conversation, [OPENED], PostMessage(conversation_id=THREAD, text=text), customer, NOW).reply

    assert isinstance(refused, Invalid)
    assert refused.fields == {"text": "blank"}


@pytest.mark.parametrize("text", ["a\x00b", "a\x1b[0m", "a\x7f", "a\x85", "\ud800a"])
def test_a_message_has_no_control_characters(text: str) -> None:
    refused = decide(Conversation, [OPENED], PostMessage(conversation_id=THREAD, text=text), customer, NOW).reply

    assert isinstance(refused, Invalid)
    assert refused.fields == {"text": "control_character"}


@pytest.mark.parametrize("text", [" a\n\tb ", "👩🏽‍🔧", "مرحبا \u200fabc", "e\u0301", "\u202eabc\u202c"])
def test_a_message_is_kept_as_it_was_typed(text: str) -> None:
    decided = decide(Conversation, [OPENED], PostMessage(conversation_id=THREAD, text=text), customer, NOW)

    assert [row.text for row in rows(decided, MessageRow)] == [text]


@pytest.mark.parametrize("text", ["", "a" * 4001])
def test_a_message_is_1_to_4000_characters_long(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"conversation_id": str(THREAD), "text": text}, PostMessage)


def test_ids_are_in_the_order_of_the_messages_within_one_millisecond() -> None:
    events: list[Event] = [OPENED]
    for _ in range(3):
        events += decide(Conversation, events, HELLO, customer, NOW).events

    ids = [event.message_id for event in events if isinstance(event, MessagePosted)]
    assert ids == sorted(set(ids))


def test_a_message_moves_its_thread_up_at_most_once_a_minute() -> None:
    moves = []
    events: list[Event] = [OPENED]
    for at in (NOW, NOW + ACTIVE_STEP - timedelta(seconds=1), NOW + ACTIVE_STEP, NOW + ACTIVE_STEP):
        decided = decide(Conversation, events, HELLO, customer, at)
        events += decided.events
        moves.append([row.active_at for row in rows(decided, ConversationMemberRow)])

    assert moves == [[NOW] * 2, [], [NOW + ACTIVE_STEP] * 2, []]


# Second thoughts


def test_an_edited_message_says_so() -> None:
    command = EditMessage(conversation_id=THREAD, message_id=message_id(7), text="Hello")

    decided = decide(Conversation, [OPENED, posted(7)], command, customer, NOW + MINUTE, written())

    assert decided.events == [MessageEdited(message_id=message_id(7))]
    (row,) = rows(decided, MessageRow)
    assert (row.text, row.sent_at, row.edited_at) == ("Hello", NOW, NOW + MINUTE)


def test_an_edit_leaves_something_to_see() -> None:
    command = EditMessage(conversation_id=THREAD, message_id=message_id(7), text=" \n")

    refused = decide(Conversation, [OPENED, posted(7)], command, customer, NOW, written()).reply

    assert isinstance(refused, Invalid)
    assert refused.fields == {"text": "blank"}


def test_an_edit_that_changes_nothing_leaves_no_trace() -> None:
    command = EditMessage(conversation_id=THREAD, message_id=message_id(7), text="Helo")

    decided = decide(Conversation, [OPENED, posted(7)], command, customer, NOW, written())

    assert decided.events == []
    assert decided.effects == []


def test_a_deleted_message_leaves_its_place_without_its_text() -> None:
    command = DeleteMessage(conversation_id=THREAD, message_id=message_id(7))

    decided = decide(Conversation, [OPENED, posted(7)], command, customer, NOW + MINUTE, written())

    assert decided.events == [MessageDeleted(message_id=message_id(7), sender_id=CUSTOMER)]
    (row,) = rows(decided, MessageRow)
    assert (row.text, row.sender_id, row.deleted_at) == ("", CUSTOMER, NOW + MINUTE)


@pytest.mark.parametrize(
    "fact",
    [
        written(sender_id=STAFF),
        written(deleted_at=NOW),
        written(conversation_id=ConversationId(UUID(int=5))),
    ],
    ids=["another's", "deleted", "of another thread"],
)
@pytest.mark.parametrize(
    "command",
    [
        EditMessage(conversation_id=THREAD, message_id=message_id(7), text="Hello"),
        DeleteMessage(conversation_id=THREAD, message_id=message_id(7)),
    ],
)
def test_only_ones_own_message_can_be_changed_and_only_while_it_is_there(command: Any, fact: WrittenMessage) -> None:
    decided = decide(Conversation, [OPENED, posted(7)], command, customer, NOW, fact)

    assert isinstance(decided.reply, NotFound)


# Reading


def test_a_read_mark_moves_forward_and_everybody_hears_of_it() -> None:
    command = MarkRead(conversation_id=THREAD, message_id=message_id(7))
    events: list[Event] = [OPENED, posted(7)]

    decided = decide(Conversation, events, command, staff, NOW)

    assert decided.events == [MessagesRead(user_id=STAFF, message_id=message_id(7))]
    assert rows(decided, ReadMarkRow) == [
        ReadMarkRow(conversation_id=THREAD, user_id=STAFF, message_id=message_id(7), read_at=NOW)
    ]
    assert audience(events, command, staff) == [(CUSTOMER, STAFF)]


@pytest.mark.parametrize("number", [6, 7])
def test_a_read_mark_never_moves_back(number: int) -> None:
    events: list[Event] = [OPENED, posted(6), posted(7), MessagesRead(user_id=STAFF, message_id=message_id(7))]
    command = MarkRead(conversation_id=THREAD, message_id=message_id(number))

    assert decide(Conversation, events, command, staff, NOW) == ([], [], None)


@pytest.mark.parametrize("events", [[OPENED], [OPENED, posted(6)]])
def test_a_message_that_does_not_exist_cannot_be_read(events: list[Event]) -> None:
    command = MarkRead(conversation_id=THREAD, message_id=message_id(7))

    assert isinstance(decide(Conversation, events, command, staff, NOW).reply, NotFound)


# Changes of its booking


def test_a_staff_member_who_declined_leaves_the_conversation() -> None:
    command = ReplaceMember(conversation_id=THREAD, leaves=STAFF, joins=AS_SUBSTITUTE)
    read = MessagesRead(user_id=STAFF, message_id=message_id(7))
    events: list[Event] = [OPENED, posted(7), read]

    decided = decide(Conversation, events, command, SYSTEM_PRINCIPAL, NOW)

    assert decided.events == [ConversationMembersChanged(left=(STAFF,), joined=(AS_SUBSTITUTE,))]
    assert dropped(decided) == [(ConversationMemberRow.table, str(STAFF)), (ReadMarkRow.table, str(STAFF))]
    assert audience(events, command, SYSTEM_PRINCIPAL) == [(CUSTOMER, STAFF, SUBSTITUTE)]
    after = [*events, *decided.events]
    assert isinstance(decide(Conversation, after, HELLO, staff, NOW).reply, NotFound)
    assert isinstance(decide(Conversation, after, HELLO, substitute, NOW).reply, MessageReply)


def test_removing_a_member_twice_changes_nothing() -> None:
    command = ReplaceMember(conversation_id=THREAD, leaves=SUBSTITUTE)

    assert decide(Conversation, [OPENED], command, SYSTEM_PRINCIPAL, NOW) == ([], [], None)


CHANGES = [
    (HELLO, None),
    (EditMessage(conversation_id=THREAD, message_id=message_id(7), text="Hello"), written()),
    (DeleteMessage(conversation_id=THREAD, message_id=message_id(7)), written()),
]


@pytest.mark.parametrize(("command", "facts"), CHANGES)
def test_a_thread_is_read_only_48_hours_after_its_job(command: Any, facts: Any) -> None:
    close = CloseConversation(conversation_id=THREAD, ended_at=NOW)
    events: list[Event] = [OPENED, posted(7)]
    events += decide(Conversation, events, close, SYSTEM_PRINCIPAL, NOW).events
    closes_at = NOW + timedelta(hours=48)

    before = decide(Conversation, events, command, customer, closes_at - timedelta(microseconds=1), facts)
    then = decide(Conversation, events, command, customer, closes_at, facts)

    assert isinstance(before.reply, MessageReply)
    assert isinstance(then.reply, ConversationClosed)


def test_a_read_only_thread_can_still_be_read() -> None:
    events: list[Event] = [OPENED, posted(7), ConversationClosingSet(closes_at=NOW)]
    command = MarkRead(conversation_id=THREAD, message_id=message_id(7))

    assert decide(Conversation, events, command, staff, NOW + MINUTE).reply is None


def test_a_dispute_keeps_the_thread_open() -> None:
    events: list[Event] = [OPENED, ConversationClosingSet(closes_at=NOW)]

    decided = decide(Conversation, events, KeepConversationOpen(conversation_id=THREAD), SYSTEM_PRINCIPAL, NOW)

    assert decided.events == [ConversationClosingSet(closes_at=None)]
    assert [row.closes_at for row in rows(decided, ConversationRow)] == [None]
    assert isinstance(decide(Conversation, [*events, *decided.events], HELLO, customer, NOW).reply, MessageReply)


# Bounds and roles


def test_a_full_thread_fits_into_the_state() -> None:
    members = tuple([Participant(user_id=UserId(UUID(int=n)), role=Role.OWNER) for n in range(MEMBERS_MAX)])
    opened = ConversationOpened(kind=ConversationKind.ADMIN, members=members, at=NOW)
    reads = [MessagesRead(user_id=member.user_id, message_id=message_id(7)) for member in members]

    state = replay(Conversation, [opened, posted(7), *reads])

    assert len(msgspec.json.encode(state)) < STATE_BYTES_MAX


@pytest.mark.parametrize(
    ("principal", "seen"),
    [
        (acting(STAFF, Role.CUSTOMER, Role.STAFF), {Role.CUSTOMER}),
        (acting(STAFF, Role.OWNER, Role.STAFF), {Role.OWNER}),
        (acting(STAFF, Role.OWNER), {Role.OWNER, Role.STAFF}),
        (acting(STAFF, Role.ADMIN), {Role.ADMIN}),
    ],
    ids=["customer", "owner who switches to staff", "owner who is staff at once", "admin"],
)
def test_the_active_role_decides_which_threads_are_seen(principal: Principal, seen: set[Role]) -> None:
    assert roles_seen(principal) == seen


# Any order of commands

PEOPLE = st.sampled_from([customer, staff, substitute, stranger, acting(STAFF, Role.CUSTOMER, Role.STAFF)])
MEMBERS = st.sampled_from([AS_CUSTOMER, AS_STAFF, AS_SUBSTITUTE])
WHICH = st.integers(0, 5)


def steps() -> st.SearchStrategy[Any]:
    """One step: who does what; messages are named by how long ago they were posted."""
    return st.one_of(
        st.tuples(st.just("post"), PEOPLE),
        st.tuples(st.sampled_from(["edit", "delete", "read"]), PEOPLE, WHICH),
        st.tuples(st.just("replace"), MEMBERS, st.none() | MEMBERS),
        st.tuples(st.just("open"), st.lists(MEMBERS, min_size=1, max_size=3, unique=True)),
        st.tuples(st.just("close"), st.sampled_from([0, 1, 47, 48, 49])),
        st.tuples(st.just("keep_open")),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 59, 60, 3600, 48 * 3600])),
    )


class Story:
    """The events of a conversation so far, and what others can see of it."""

    def __init__(self) -> None:
        self.now = NOW
        self.events: list[Event] = [OPENED]
        self.messages: dict[MessageId, WrittenMessage] = {}
        self.members = {CUSTOMER: Role.CUSTOMER, STAFF: Role.STAFF}
        self.closes_at: datetime | None = None
        self.marks: dict[UserId, MessageId] = {}

    def take(self, what: str, *args: Any) -> None:
        getattr(self, f"_{what}")(*args)

    def _post(self, who: Principal) -> None:
        decided = self._decide(HELLO, who)
        may = self.members.get(who.user_id) is who.role
        if may and (self.closes_at is None or self.now < self.closes_at):
            (event,) = decided.events
            assert isinstance(event, MessagePosted)
            assert all(event.message_id > earlier for earlier in self.messages)
            self._keep(decided)
        else:
            assert isinstance(decided.reply, ConversationClosed if may else NotFound)

    def _edit(self, who: Principal, ago: int) -> None:
        self._change(EditMessage(conversation_id=THREAD, message_id=self._message(ago), text="Bye"), who)

    def _delete(self, who: Principal, ago: int) -> None:
        self._change(DeleteMessage(conversation_id=THREAD, message_id=self._message(ago)), who)

    def _change(self, command: Any, who: Principal) -> None:
        before = self.messages.get(command.message_id)
        if before is None:
            return
        decided = self._decide(command, who, before)
        if decided.events:
            assert before.sender_id == who.user_id
            assert before.deleted_at is None
            self._keep(decided)

    def _read(self, who: Principal, ago: int) -> None:
        before = self.marks.get(who.user_id)
        for event in self._decide(MarkRead(conversation_id=THREAD, message_id=self._message(ago)), who).events:
            assert isinstance(event, MessagesRead)
            assert before is None or event.message_id > before
            assert event.message_id in self.messages
            assert who.user_id in self.members
            self.marks[who.user_id] = event.message_id

    def _replace(self, leaves: Participant, joins: Participant | None) -> None:
        self._decide(ReplaceMember(conversation_id=THREAD, leaves=leaves.user_id, joins=joins), SYSTEM_PRINCIPAL)
        if self.members.pop(leaves.user_id, None) is not None:
            self.marks.pop(leaves.user_id, None)
        if joins is not None:
            self.members[joins.user_id] = joins.role

    def _open(self, members: list[Participant]) -> None:
        self._decide(msgspec.structs.replace(OPEN, members=tuple(members)), SYSTEM_PRINCIPAL)
        self.members = {member.user_id: member.role for member in members}
        self.closes_at = None
        self.marks = {user_id: mark for user_id, mark in self.marks.items() if user_id in self.members}

    def _close(self, hours_ago: int) -> None:
        ended_at = self.now - timedelta(hours=hours_ago)
        self._decide(CloseConversation(conversation_id=THREAD, ended_at=ended_at), SYSTEM_PRINCIPAL)
        self.closes_at = ended_at + READ_ONLY_AFTER

    def _keep_open(self) -> None:
        self._decide(KeepConversationOpen(conversation_id=THREAD), SYSTEM_PRINCIPAL)
        self.closes_at = None

    def _wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def _decide(self, command: Any, who: Principal, facts: Any = None) -> Decided:
        """Decide on the replayed state; ``decide`` itself compares the live state with the replayed one."""
        decided = decide(Conversation, self.events, command, who, self.now, facts)
        assert who is SYSTEM_PRINCIPAL or who.user_id in self.members or isinstance(decided.reply, Rejected)
        self.events += decided.events
        return decided

    def _keep(self, decided: Decided) -> None:
        for row in rows(decided, MessageRow):
            told = {name: getattr(row, name) for name in WrittenMessage.__struct_fields__}
            self.messages[row.id] = WrittenMessage(**told)

    def _message(self, ago: int) -> MessageId:
        """The nth message from the end; an unknown id if there are fewer."""
        ids = sorted(self.messages)
        return ids[-1 - ago] if ago < len(ids) else message_id(2**128 - 1)


@given(st.lists(steps(), max_size=25))
@settings(deadline=None)
def test_in_any_order_of_commands_only_members_speak_and_marks_only_grow(taken: list[Any]) -> None:
    story = Story()
    for step in taken:
        story.take(*step)

    state = replay(Conversation, story.events)
    assert state.members == story.members
    assert state.reads == story.marks
    assert state.closes_at == story.closes_at
    assert state.message_count == len(story.messages)
