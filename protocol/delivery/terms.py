"""Terms of deliveries: bounds, enums, small structs and refusals."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.events import Event
from protocol.ids import DeliveryId, NotificationId, UserId

#: Dead deliveries that one call has sent again.
REPLAY_MAX = 1_000


REASON_MAX = 64


#: A code such as ``http_503``.
Reason = Annotated[str, Meta(min_length=1, max_length=REASON_MAX, pattern=r"^[ -~]+$(?!\n)")]


#: After so many attempts a delivery is dead, unless configured otherwise; with the waits between, that is some hours.
ATTEMPTS_MAX = 20


#: The template of the letter that lists what was put off.
DIGEST = "digest"


class DeliveryState(StrEnum):
    """What became of a delivery; SENT, SKIPPED and DEAD are final unless an admin replays it."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    DEAD = "dead"


class Unless(StrEnum):
    """What makes a delivery needless before it is due."""

    #: A device of theirs got the event live.
    DELIVERED = "delivered"
    #: They saw the event, or read the notification.
    SEEN = "seen"


class RoutableNotification(Struct, frozen=True, kw_only=True):
    """A notification that nobody has planned deliveries for yet."""

    user_id: UserId
    notification_id: NotificationId
    type: str
    #: What happened; None: this server knows no such event.
    event: Event | None
    #: When its event happened.
    at: datetime
    #: When the booking that it is about begins; None: it is about none.
    starts_at: datetime | None


class Deferred(Struct, frozen=True, kw_only=True):
    """A notification that waits for its reader's digest."""

    user_id: UserId
    notification_id: NotificationId
    #: The digest's local day; each has one.
    day: date
    due_at: datetime
    #: The digest's delivery, if this is the first thing that is put off to that day.
    delivery_id: DeliveryId
