"""Rows of devices, written in the commit of the decision that causes them."""

from datetime import datetime
from typing import ClassVar

from protocol.confidential import Confidential
from protocol.device.terms import Platform
from protocol.events import Row
from protocol.ids import DeviceId, SessionId, UserId


class DeviceRow(Confidential, Row, frozen=True, kw_only=True):
    """The push address of one device; it belongs to the user who registered it last."""

    table: ClassVar[str] = "devices"
    key: ClassVar[tuple[str, ...]] = ("address_hash",)

    address_hash: str
    #: Identifies this address for this user; with another user the address has another id.
    device_id: DeviceId
    user_id: UserId
    session_id: SessionId | None
    platform: Platform
    #: FCM's token, or a subscription's endpoint.
    address: str
    #: A subscription's keys.
    p256dh: str | None
    auth: str | None
    registered_at: datetime
    #: When it was last registered; apps do so at every start.
    used_at: datetime
