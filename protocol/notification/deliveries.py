"""Deliveries: one message to one address over one channel, kept until it is known what became of it.

              lease                    the provider took it
    WAITING ────────▶ SENDING ─────────────────────────────▶ SENT
       ▲                │ │ │   not wanted any more, too late, nowhere to send it
       │  try later     │ │ └───────────────────────────────▶ SKIPPED
       └────────────────┘ └── refused, or tried too often ───▶ DEAD ── an admin replays it ──▶ WAITING

A lease that runs out (its server died) goes back to WAITING: nobody knows whether that attempt arrived, and it counts
as an unknown outcome. What was leased and never handed to the provider is put back without an attempt counted.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from protocol.events import Event, Row
from protocol.ids import DeliveryId, DeviceId, NotificationId, UserId
from protocol.notification.channels import Channel
from protocol.user import Confidential

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


class Unplanned(Struct, frozen=True, kw_only=True):
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


class PutOff(Struct, frozen=True, kw_only=True):
    """A notification that waits for its reader's digest."""

    user_id: UserId
    notification_id: NotificationId
    #: The digest's local day; each has one.
    day: date
    due_at: datetime
    #: The digest's delivery, if this is the first thing that is put off to that day.
    delivery_id: DeliveryId


class Delivery(Confidential, Row, frozen=True, kw_only=True):
    """One message on its way. Its id is the idempotency key where a provider takes one."""

    table: ClassVar[str] = "deliveries"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: DeliveryId
    user_id: UserId
    #: None: it tells of no notification, such as a code.
    notification_id: NotificationId | None = None
    #: Whose words it has: a type of notification, or a name of its own such as ``code.email``.
    template: str
    channel: Channel
    #: Which device, for push; None: the person's own address or number.
    device_id: DeviceId | None = None
    #: Where to, if it is not theirs yet: an address that is to be verified. Wiped when it is over.
    address: str | None = None
    #: What its text needs and nobody else keeps, such as a code. Wiped when it is over.
    secret: str | None = None
    #: It goes before others, and quiet hours and preferences do not hold it up.
    critical: bool = False
    due_at: datetime
    #: From then on it is not sent any more. None: late is better than never.
    expires_at: datetime | None = None
    unless: Unless | None = None
    state: DeliveryState = DeliveryState.WAITING
    #: Attempts begun.
    attempts: int = 0
    #: Those of them from before an admin had it sent again.
    earlier_attempts: int = 0
    #: Attempts that nobody knows the outcome of.
    unknown_outcomes: int = 0
    at: datetime
