"""Read rows of devices, written in the commit of the decision that they follow from."""

from datetime import datetime
from typing import ClassVar

from protocol.confidential import Confidential
from protocol.device.terms import Platform
from protocol.events import Row
from protocol.ids import DeviceId, SessionId, UserId


class DeviceRow(Confidential, Row, frozen=True, kw_only=True):
    """Where one device's messages go. Whoever registers an address last has it."""

    table: ClassVar[str] = "devices"
    key: ClassVar[tuple[str, ...]] = ("address_hash",)

    address_hash: str
    #: Of this address in this user's hands; the same address has another one elsewhere.
    device_id: DeviceId
    user_id: UserId
    session_id: SessionId | None
    platform: Platform
    #: FCM's token, or the endpoint of a subscription.
    address: str
    #: Of a subscription.
    p256dh: str | None
    auth: str | None
    registered_at: datetime
    #: When it was last registered; its app does so whenever it starts.
    used_at: datetime
