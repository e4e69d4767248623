"""Rows of deliveries, written in the commit of the decision that causes them."""

from datetime import datetime
from typing import ClassVar

from protocol.confidential import Confidential
from protocol.delivery.channels import Channel
from protocol.delivery.terms import DeliveryState, Unless
from protocol.events import Row
from protocol.ids import DeliveryId, DeviceId, NotificationId, UserId


class Delivery(Confidential, Row, frozen=True, kw_only=True):
    """One message to be delivered. Its id is the idempotency key for a provider that takes one."""

    table: ClassVar[str] = "deliveries"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: DeliveryId
    user_id: UserId
    #: None: not from a notification, such as a code.
    notification_id: NotificationId | None = None
    #: A notification type, or a template such as ``code.email``.
    template: str
    channel: Channel
    #: The device, for push. None: the user's own address or number.
    device_id: DeviceId | None = None
    #: An address that is not the user's yet, because it is to be verified. Erased when the delivery is final.
    address: str | None = None
    #: What the text needs and is stored nowhere else, such as a code. Erased when the delivery is final.
    secret: str | None = None
    #: Sent before others, regardless of quiet hours and preferences.
    critical: bool = False
    due_at: datetime
    #: From then on it is not sent any more. None: sent however late.
    expires_at: datetime | None = None
    unless: Unless | None = None
    state: DeliveryState = DeliveryState.WAITING
    #: Attempts so far, the current one included.
    attempts: int = 0
    #: Attempts before the last replay by an admin.
    earlier_attempts: int = 0
    #: Attempts with an unknown outcome.
    unknown_outcomes: int = 0
    at: datetime
