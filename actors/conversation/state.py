"""The state of a conversation, and how events change it."""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from protocol.booking.terms import BookingStatus
from protocol.conversation.events import (
    ConversationClosingSet,
    ConversationMembersChanged,
    ConversationOpened,
    MessageDeleted,
    MessageEdited,
    MessagePosted,
    MessagesRead,
)
from protocol.conversation.terms import ConversationKind
from protocol.events import Event
from protocol.ids import BusinessId, MessageId, UserId
from protocol.roles import Role

#: A conversation moves up in its members' lists at most this often, so that most messages do not write their rows.
ACTIVE_STEP = timedelta(minutes=1)


#: Statuses in which a booking's conversation can be opened.
OPENING_STATUSES = frozenset({BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS, BookingStatus.COMPLETED})


class ConversationState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of a conversation; messages are counted, and stored as rows."""

    kind: ConversationKind
    business_id: BusinessId | None = None
    members: dict[UserId, Role]
    #: The last message that each member has read; a member without a mark has read none.
    reads: dict[UserId, MessageId] = {}
    message_count: int = 0
    last_message_id: MessageId | None = None
    #: The sort key in its members' lists.
    active_at: datetime
    created_at: datetime
    #: Read-only from then on; None: open.
    closes_at: datetime | None = None


def after(state: ConversationState | None, event: Event) -> ConversationState:
    """The state after the event."""
    if isinstance(event, ConversationOpened):
        return ConversationState(
            kind=event.kind,
            business_id=event.business_id,
            members={member.user_id: member.role for member in event.members},
            active_at=event.at,
            created_at=event.at,
            closes_at=event.closes_at,
        )
    assert state is not None, f"{event.type} before conversation.opened"
    match event:
        case MessagePosted():
            return replace(
                state,
                message_count=state.message_count + 1,
                last_message_id=event.message_id,
                active_at=event.active_at or state.active_at,
            )
        case MessagesRead():
            return replace(state, reads={**state.reads, event.user_id: event.message_id})
        case ConversationMembersChanged():
            return _with_members(state, event)
        case ConversationClosingSet():
            return replace(state, closes_at=event.closes_at)
        case MessageEdited() | MessageDeleted():
            return state
    raise AssertionError(f"a conversation does not know {event.type}")


def _with_members(state: ConversationState, event: ConversationMembersChanged) -> ConversationState:
    members = {user_id: role for user_id, role in state.members.items() if user_id not in event.left}
    members.update({member.user_id: member.role for member in event.joined})
    reads = {user_id: mark for user_id, mark in state.reads.items() if user_id not in event.left}
    return replace(state, members=members, reads=reads)
