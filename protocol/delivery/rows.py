"""Read rows of deliveries, written in the commit of the decision that they follow from."""

from datetime import datetime
from typing import ClassVar

from protocol.confidential import Confidential
from protocol.delivery.channels import Channel
from protocol.delivery.terms import DeliveryState, Unless
from protocol.events import Row
from protocol.ids import DeliveryId, DeviceId, NotificationId, UserId


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
