"""Terms of deliveries: bounds, enums, small structs and refusals."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.events import Event
from protocol.ids import DeliveryId, NotificationId, UserId

#: Dead deliveries that one call replays.
REPLAY_MAX = 1_000


REASON_MAX = 64


#: A code such as ``http_503``.
Reason = Annotated[str, Meta(min_length=1, max_length=REASON_MAX, pattern=r"^[ -~]+$(?!\n)")]


#: Attempts after which a delivery is dead, unless configured otherwise; with the waits between, some hours.
ATTEMPTS_MAX = 20


#: The template of the e-mail that lists deferred notifications.
DIGEST = "digest"


class DeliveryState(StrEnum):
    """The state of a delivery. SENT, SKIPPED and DEAD are final, but an admin can replay a DEAD one."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    DEAD = "dead"


class Unless(StrEnum):
    """What suppresses a delivery that is not sent yet."""

    #: One of the reader's devices acknowledged the event as delivered.
    DELIVERED = "delivered"
    #: The reader saw the event or read the notification.
    SEEN = "seen"


class RoutableNotification(Struct, frozen=True, kw_only=True):
    """A notification that has no deliveries yet."""

    user_id: UserId
    notification_id: NotificationId
    type: str
    #: None: this server does not know the event type.
    event: Event | None
    #: When the event happened.
    at: datetime
    #: When its booking begins; None: it is not about a booking.
    starts_at: datetime | None


class Deferred(Struct, frozen=True, kw_only=True):
    """A notification deferred to its reader's digest."""

    user_id: UserId
    notification_id: NotificationId
    #: The digest's day in the reader's zone; there is one digest a day.
    day: date
    due_at: datetime
    #: The digest's delivery, if this is the first item deferred to that day.
    delivery_id: DeliveryId
