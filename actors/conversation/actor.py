"""A conversation: one thread between a few users.

Owns its members and their roles, the order of its messages, the read marks, and when it becomes read-only.
Texts are rows of their own; neither state nor events contain them. All events go to all members, the sender included.

    (nothing) ──open──▶ OPEN ──48 h after the job's end──▶ READ-ONLY
                          ▲                                    │
                          └──────── a dispute, a new job ──────┘

There is no status: the thread is read-only from ``closes_at`` on. Posting is the most frequent command of the product:
it needs no facts and writes only the row of the message; the members' rows are written at most once a minute.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from actors.actor import Actor, actor, handles
from actors.conversation.state import ACTIVE_STEP, OPENING_STATUSES, ConversationState, after
from actors.rules.replies import reply_digest
from actors.rules.texts import text_problem
from protocol.conversation.commands import (
    CloseConversation,
    DeleteMessage,
    EditMessage,
    HandOverConversation,
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
from protocol.conversation.terms import (
    MEMBERS_MAX,
    READ_ONLY_AFTER,
    ROLES_IN,
    ConversationKind,
    Participant,
    takes_part,
)
from protocol.conversation.views import ConversationPublic, ConversationReply, MessageReply
from protocol.errors import ConversationClosed, Invalid, NotFound, PairBlocked, WrongState
from protocol.ids import BookingId, BusinessId, ConversationId, Kind, MessageId, UserId
from protocol.notification.types import Party
from protocol.roles import Role
from protocol.suggestion.rows import SuggestionUseRow
from protocol.suggestion.terms import UsedSuggestion


def _booking_id(conversation: Actor[ConversationState], cmd: OpenBookingConversation) -> UUID:
    return conversation.actor_id


def _message_id(conversation: Actor[ConversationState], cmd: EditMessage | DeleteMessage) -> MessageId:
    return cmd.message_id


@actor(Kind.CONVERSATION)
class Conversation(Actor[ConversationState]):
    """One conversation."""

    state_type: ClassVar[type[Struct]] = ConversationState

    # Opening

    @handles(OpenConversation)
    def open(self, cmd: OpenConversation) -> ConversationReply:
        """Open the conversation, or change an existing one to these members."""
        of_booking = cmd.kind is ConversationKind.CUSTOMER_STAFF
        assert cmd.booking_id == (BookingId(self.actor_id) if of_booking else None), f"booking {cmd.booking_id}"
        if not self.exists:
            self._open(cmd.kind, cmd.business_id, cmd.members, closes_at=None)
            return self._reply()
        assert cmd.kind is self.state.kind, f"{self.actor_id} is {self.state.kind}, not {cmd.kind}"
        wanted = {member.user_id: member.role for member in cmd.members}
        left = tuple([user_id for user_id in self.state.members if user_id not in wanted])
        joined = tuple([member for member in cmd.members if self.state.members.get(member.user_id) is not member.role])
        self._change_members(left, joined)
        self._set_closing(None)
        return self._reply()

    @handles(OpenBookingConversation, facts=BookingParties, asks=_booking_id)
    def open_for_booking(self, cmd: OpenBookingConversation, facts: BookingParties) -> ConversationReply:
        """Open a booking's conversation for one of its parties.

        Raises: NotFound, WrongState, PairBlocked, ConversationClosed.
        """
        if self.exists:
            self._require_member()
            return self._reply()
        members = (Participant(user_id=facts.customer_id, role=Role.CUSTOMER), facts.provider)
        mine = self.principal
        if not any(
            member.user_id == mine.user_id and takes_part(mine, member.role, facts.business_id) for member in members
        ):
            raise NotFound(entity="booking", id=str(self.actor_id))
        if facts.status not in OPENING_STATUSES:
            raise WrongState(status=facts.status.value)
        if facts.blocked:
            raise PairBlocked()
        closes_at = None if facts.ended_at is None else facts.ended_at + READ_ONLY_AFTER
        if closes_at is not None and self.now >= closes_at:
            raise ConversationClosed(closes_at=closes_at)
        self._open(ConversationKind.CUSTOMER_STAFF, facts.business_id, members, closes_at)
        return self._reply()

    # Messages

    @handles(PostMessage)
    def post(self, cmd: PostMessage) -> MessageReply:
        """Post a message. Raises: NotFound, ConversationClosed, Invalid."""
        self._require_writable()
        _require_text(cmd.text)
        state, now, sender_id = self.state, self.now, self.principal.user_id
        message_id = self._next_message_id()
        row = MessageRow(id=message_id, conversation_id=self._id, sender_id=sender_id, text=cmd.text, sent_at=now)
        moves = state.last_message_id is None or now - state.active_at >= ACTIVE_STEP
        self.emit(
            MessagePosted(message_id=message_id, sender_id=sender_id, active_at=now if moves else None), content=row
        )
        if moves:
            self._put_members()
        if cmd.suggestion is not None:
            self._put_use(cmd.suggestion, row)
        return MessageReply(message_id=message_id, sent_at=now)

    @handles(EditMessage, facts=WrittenMessage, asks=_message_id)
    def edit(self, cmd: EditMessage, facts: WrittenMessage) -> MessageReply:
        """Edit one's own message. Raises: NotFound, ConversationClosed, Invalid."""
        self._require_own(cmd.message_id, facts)
        _require_text(cmd.text)
        if cmd.text != facts.text:
            row = _row(cmd.message_id, replace(facts, text=cmd.text, edited_at=self.now))
            self.emit(MessageEdited(message_id=cmd.message_id), content=row)
        return MessageReply(message_id=cmd.message_id, sent_at=facts.sent_at)

    @handles(DeleteMessage, facts=WrittenMessage, asks=_message_id)
    def delete(self, cmd: DeleteMessage, facts: WrittenMessage) -> MessageReply:
        """Delete one's own message. Raises: NotFound, ConversationClosed."""
        self._require_own(cmd.message_id, facts)
        self.emit(MessageDeleted(message_id=cmd.message_id, sender_id=self.principal.user_id))
        self.put(_row(cmd.message_id, replace(facts, text="", deleted_at=self.now)))
        return MessageReply(message_id=cmd.message_id, sent_at=facts.sent_at)

    @handles(MarkRead)
    def mark_read(self, cmd: MarkRead) -> None:
        """Move the sender's read mark forward; it never moves back. Raises: NotFound."""
        self._require_member()
        last = self.state.last_message_id
        if last is None or cmd.message_id > last:
            raise NotFound(entity="message", id=str(cmd.message_id))
        user_id = self.principal.user_id
        mark = self.state.reads.get(user_id)
        if mark is not None and cmd.message_id <= mark:
            return
        self.emit(MessagesRead(user_id=user_id, message_id=cmd.message_id))
        self.put(ReadMarkRow(conversation_id=self._id, user_id=user_id, message_id=cmd.message_id, read_at=self.now))

    # Changes of its booking

    @handles(ReplaceMember)
    def replace_member(self, cmd: ReplaceMember) -> None:
        """Remove a member, and possibly add another one. Raises: NotFound."""
        left = (cmd.leaves,) if cmd.leaves in self.state.members else ()
        self._change_members(left, () if cmd.joins is None else (cmd.joins,))

    @handles(HandOverConversation)
    def hand_over(self, cmd: HandOverConversation) -> None:
        """Remove a member who left the business; while the thread with a customer is open, its managers join.

        Raises: NotFound.
        """
        state = self.state
        role = state.members.get(cmd.leaves)
        if role is None or role is Role.CUSTOMER:
            return
        managers: tuple[Participant, ...] = ()
        if state.kind is ConversationKind.CUSTOMER_STAFF and (state.closes_at is None or self.now < state.closes_at):
            room = MEMBERS_MAX - len(state.members) + 1
            managers = tuple([one for one in cmd.managers if one.user_id not in state.members][:room])
        self._change_members((cmd.leaves,), managers)

    @handles(CloseConversation)
    def close(self, cmd: CloseConversation) -> None:
        """Become read-only 48 hours after the job's end. Raises: NotFound."""
        self._set_closing(cmd.ended_at + READ_ONLY_AFTER)

    @handles(KeepConversationOpen)
    def keep_open(self, cmd: KeepConversationOpen) -> None:
        """Stay open, or reopen. Raises: NotFound."""
        self._set_closing(None)

    # Guards

    def _require_member(self) -> None:
        """Raises: NotFound for non-members, and for members who act in another role or business (rule T-2)."""
        role = self.state.members.get(self.principal.user_id)
        if role is None or not takes_part(self.principal, role, self.state.business_id):
            raise NotFound(entity=self.kind.value, id=str(self.actor_id))

    def _require_writable(self) -> None:
        """Raises: NotFound, ConversationClosed."""
        self._require_member()
        closes_at = self.state.closes_at
        if closes_at is not None and self.now >= closes_at:
            raise ConversationClosed(closes_at=closes_at)

    def _require_own(self, message_id: MessageId, written: WrittenMessage) -> None:
        """Require a message of this conversation that the sender wrote and did not delete.

        Raises: NotFound, ConversationClosed.
        """
        self._require_writable()
        own = written.conversation_id == self._id and written.sender_id == self.principal.user_id
        if not own or written.deleted_at is not None:
            raise NotFound(entity="message", id=str(message_id))

    # Shared by several handlers

    def _open(
        self,
        kind: ConversationKind,
        business_id: BusinessId | None,
        members: tuple[Participant, ...],
        closes_at: datetime | None,
    ) -> None:
        assert len(members) <= MEMBERS_MAX, f"{len(members)} members"
        booking_id = BookingId(self.actor_id) if kind is ConversationKind.CUSTOMER_STAFF else None
        self._require_roles(kind, members)
        self.emit(
            ConversationOpened(
                kind=kind,
                booking_id=booking_id,
                business_id=business_id,
                members=members,
                at=self.now,
                closes_at=closes_at,
            )
        )
        self._put_conversation()
        self._put_members()

    def _change_members(self, left: tuple[UserId, ...], joined: tuple[Participant, ...]) -> None:
        """Change the members. The event also goes to those who leave; new members see the earlier messages."""
        if not (left or joined):
            return
        self._require_roles(self.state.kind, joined)
        recipients = dict.fromkeys([*self.state.members, *[member.user_id for member in joined]])
        self.emit(ConversationMembersChanged(left=left, joined=joined), to=recipients)
        assert len(self.state.members) <= MEMBERS_MAX, f"{len(self.state.members)} members"
        for user_id in left:
            self.drop(ConversationMemberRow.table, conversation_id=self.actor_id, user_id=user_id)
            self.drop(ReadMarkRow.table, conversation_id=self.actor_id, user_id=user_id)
        self._put_members()

    def _require_roles(self, kind: ConversationKind, members: Iterable[Participant]) -> None:
        for member in members:
            assert member.role in ROLES_IN[kind], f"{member.role} in a thread of kind {kind}"

    def _set_closing(self, closes_at: datetime | None) -> None:
        if closes_at != self.state.closes_at:
            self.emit(ConversationClosingSet(closes_at=closes_at))
            self._put_conversation()

    def _next_message_id(self) -> MessageId:
        """A new id greater than the last one, so that ids keep the order of messages even within one millisecond."""
        message_id = self.new_id()
        last = self.state.last_message_id
        if last is not None and message_id.int <= last.int:
            message_id = UUID(int=last.int + 1)
        return MessageId(message_id)

    # Rows and replies

    @property
    def _id(self) -> ConversationId:
        return ConversationId(self.actor_id)

    def _reply(self) -> ConversationReply:
        return ConversationReply(conversation_id=self._id)

    def _put_conversation(self) -> None:
        state = self.state
        self.put(
            ConversationRow(
                id=self._id,
                kind=state.kind,
                booking_id=BookingId(self.actor_id) if state.kind is ConversationKind.CUSTOMER_STAFF else None,
                business_id=state.business_id,
                closes_at=state.closes_at,
                created_at=state.created_at,
            )
        )

    def _put_members(self) -> None:
        for user_id, role in self.state.members.items():
            self.put(
                ConversationMemberRow(
                    conversation_id=self._id, user_id=user_id, role=role, active_at=self.state.active_at
                )
            )

    def _put_use(self, used: UsedSuggestion, message: MessageRow) -> None:
        self.put(
            SuggestionUseRow(
                message_id=message.id,
                conversation_id=self._id,
                user_id=message.sender_id,
                suggestion_id=used.id,
                reply_index=used.index,
                digest=reply_digest(message.text),
            )
        )

    @staticmethod
    def public(actor_id: UUID, state: ConversationState) -> ConversationPublic:
        return ConversationPublic(
            kind=state.kind, business_id=state.business_id, closes_at=state.closes_at, created_at=state.created_at
        )

    def audience(self) -> Iterable[UserId]:
        return self.state.members

    def parties(self) -> Mapping[Party, Iterable[UserId]]:
        return {Party.MEMBER: self.state.members}

    evolve = staticmethod(after)


def _row(message_id: MessageId, written: WrittenMessage) -> MessageRow:
    return MessageRow(
        id=message_id,
        conversation_id=written.conversation_id,
        sender_id=written.sender_id,
        text=written.text,
        sent_at=written.sent_at,
        edited_at=written.edited_at,
        deleted_at=written.deleted_at,
    )


def _require_text(text: str) -> None:
    """Refuse texts that are blank or contain control characters. Raises: Invalid."""
    if problem := text_problem(text):
        raise Invalid(text=problem)
