"""A conversation: one thread between a few people.

Owns who is in it and as what, the order of its messages, how far each member has read, and when it becomes read-only.
The texts are rows of their own: neither state nor events hold a word. Tells its members of everything, sender included.

    (nothing) ──open──▶ OPEN ──48 h after the job's end──▶ READ-ONLY
                          ▲                                    │
                          └──────── a dispute, a new job ──────┘

There is no status to keep: the thread is read-only from ``closes_at`` on. Posting is the hottest path of the product:
it needs no facts, copies nothing, and but once a minute touches no read row save the message's own.
"""

from datetime import datetime, timedelta

from msgspec import Struct

from protocol.booking.terms import BookingStatus
from protocol.conversation.terms import ConversationKind
from protocol.ids import BusinessId, MessageId, UserId
from protocol.roles import Role

#: A thread moves up in its members' lists at most this often, so that most messages leave the members' rows alone.
ACTIVE_STEP = timedelta(minutes=1)


#: From when on a booking has a thread.
TALKING = frozenset({BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS, BookingStatus.COMPLETED})


class ConversationState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a conversation needs to remember; messages are counted, not kept."""

    kind: ConversationKind
    business_id: BusinessId | None = None
    members: dict[UserId, Role]
    #: Up to which message each has read; a member without a mark has read nothing.
    reads: dict[UserId, MessageId] = {}
    message_count: int = 0
    last_message_id: MessageId | None = None
    #: Where it stands in its members' lists.
    active_at: datetime
    created_at: datetime
    #: Read-only from then on; None: open.
    closes_at: datetime | None = None
