"""How events change a conversation as a client shows it: its view, and the count of what is unread in it."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import asdict, replace

from protocol.conversation.events import (
    ConversationClosingSet,
    ConversationMembersChanged,
    ConversationOpened,
    MessageDeleted,
    MessageEdited,
    MessagePosted,
    MessagesRead,
)
from protocol.conversation.rows import MessageRow
from protocol.conversation.terms import PREVIEW_CHARS_MAX, UNREAD_MAX, Participant
from protocol.conversation.views import ConversationView, JobContext, MemberView, MessageView
from protocol.events import Event
from protocol.ids import ConversationId, MessageId, UserId
from protocol.roles import Role

NO_MESSAGE = MessageId(UUID(int=0))


class _Seen(NamedTuple):
    """A message that came by."""

    id: MessageId
    #: Not the reader's own, and still there.
    counts: bool


@dataclass(slots=True)
class Thread:
    """One conversation of the reader.

    The view says how many messages are unread, not which: those up to ``counted_to`` are known by that number alone.
    Of the ones behind it, the newest are known each. ``unread_count`` is exact as long as no more than ``UNREAD_MAX``
    messages lie behind the reader's mark when the view is fetched; a mark that is set between messages that were
    there before makes the view ``outdated``.
    """

    view: ConversationView
    reader_id: UserId
    #: The position up to which the view holds what happened.
    as_of: int
    #: Only a new view can tell.
    outdated: bool = False
    counted_to: MessageId = NO_MESSAGE
    _seen: deque[_Seen] = field(default_factory=lambda: deque(maxlen=UNREAD_MAX))

    def __post_init__(self) -> None:
        if self.view.last_message is not None:
            self.counted_to = self.view.last_message.id

    def take(
        self, event: Event, content: MessageRow | None, at: datetime, names: Mapping[UserId, str], seq: int
    ) -> None:
        """Let the event have happened; its text comes beside it."""
        self.as_of = seq
        match event:
            case MessagePosted():
                self._posted(event, content)
            case MessageEdited():
                self._edited(event, content)
            case MessageDeleted():
                self._deleted(event, at)
            case MessagesRead():
                self._read(event)
            case ConversationMembersChanged():
                self._members_changed(event, names)
            case ConversationClosingSet():
                self.view = replace(self.view, closes_at=event.closes_at)
            case _:
                raise AssertionError(f"a conversation does not know {event.type}")

    def job_now(self, job: JobContext) -> None:
        """The job that it is about has changed."""
        self.view = replace(self.view, job_context=job)

    def _posted(self, event: MessagePosted, content: MessageRow | None) -> None:
        if content is None:
            self.outdated = True  # erased since: what is last now is not in the event
            return
        counts = event.sender_id != self.reader_id and content.deleted_at is None
        self._seen.append(_Seen(event.message_id, counts))
        self.view = replace(self.view, last_message=_shown(content))
        self._count(counts)

    def _edited(self, event: MessageEdited, content: MessageRow | None) -> None:
        last = self.view.last_message
        if last is not None and last.id == event.message_id and content is not None:
            self.view = replace(self.view, last_message=_shown(content))

    def _deleted(self, event: MessageDeleted, at: datetime) -> None:
        last = self.view.last_message
        if last is not None and last.id == event.message_id:
            self.view = replace(self.view, last_message=replace(last, text="", deleted_at=at))
        is_unread = event.sender_id != self.reader_id and event.message_id > self._mark
        for place, one in enumerate(tuple(self._seen)):
            if one.id == event.message_id:
                is_unread = is_unread and one.counts
                self._seen[place] = one._replace(counts=False)
        self._count(-is_unread)

    def _read(self, event: MessagesRead) -> None:
        members = [
            replace(member, read_message_id=event.message_id) if member.user_id == event.user_id else member
            for member in self.view.members
        ]
        self.view = replace(self.view, members=members)
        if event.user_id == self.reader_id:
            self.outdated = self.outdated or not self._knows_unread
            self._count(0)

    def _members_changed(self, event: ConversationMembersChanged, names: Mapping[UserId, str]) -> None:
        joined = {one.user_id: one for one in event.joined}
        stay = [one for one in self.view.members if one.user_id not in event.left]
        marks = {one.user_id: one.read_message_id for one in stay}
        members = [one for one in stay if one.user_id not in joined]
        members += [member_view(one, names, marks.get(one.user_id)) for one in joined.values()]
        role = next((one.role for one in members if one.user_id == self.reader_id), self.view.role)
        self.view = replace(self.view, role=role, members=in_order(members))

    @property
    def _mark(self) -> MessageId:
        """Up to which message the reader has read."""
        marks = (one.read_message_id for one in self.view.members if one.user_id == self.reader_id)
        return next(marks, None) or NO_MESSAGE

    @property
    def _knows_unread(self) -> bool:
        """Whether every message that can be unread is known by itself."""
        return self._mark >= self.counted_to or len(self._seen) == UNREAD_MAX

    def _count(self, change: int) -> None:
        """Count anew what is unread, or where that is not known by itself, go on from the count before."""
        if self._knows_unread:
            mark = self._mark
            unread = sum(one.counts and one.id > mark for one in self._seen)
        else:
            unread = min(UNREAD_MAX, max(0, self.view.unread_count + change))
        self.view = replace(self.view, unread_count=unread)


def new_thread(
    conversation_id: ConversationId,
    event: ConversationOpened,
    *,
    role: Role,
    job: JobContext | None,
    names: Mapping[UserId, str],
) -> ConversationView:
    """A conversation that was just opened; names that nobody knows stay empty."""
    return ConversationView(
        id=conversation_id,
        kind=event.kind,
        role=role,
        business_id=event.business_id,
        job_context=job,
        members=in_order([member_view(member, names, None) for member in event.members]),
        last_message=None,
        unread_count=0,
        closes_at=event.closes_at,
        created_at=event.at,
    )


def member_view(member: Participant, names: Mapping[UserId, str], mark: MessageId | None) -> MemberView:
    """A member; events never say how somebody is called."""
    return MemberView(
        user_id=member.user_id, name=names.get(member.user_id, ""), role=member.role, read_message_id=mark
    )


def in_order(members: list[MemberView]) -> list[MemberView]:
    """As the server lists them."""
    return sorted(members, key=lambda member: (member.role.value, member.user_id))


def _shown(row: MessageRow) -> MessageView:
    return MessageView(**{**asdict(row), "text": row.text[:PREVIEW_CHARS_MAX]})
