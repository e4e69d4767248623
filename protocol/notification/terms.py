"""Terms of notifications: bounds, enums, small structs and refusals."""

from datetime import date
from enum import StrEnum

from msgspec import Struct

from protocol.confidential import Confidential
from protocol.delivery.channels import Channel
from protocol.ids import DeviceId, UserId
from protocol.preference.rows import NotificationPreferences

#: Notifications that one command may name.
READ_AT_ONCE_MAX = 100


#: Unread notifications are counted up to this number; a client shows "99+".
UNREAD_MAX = 100


class Wanted(StrEnum):
    """Which notifications to list."""

    ALL = "all"
    UNREAD = "unread"


class ReaderDevice(Struct, frozen=True):
    """One device that push messages go to."""

    device_id: DeviceId
    #: PUSH or WEB_PUSH.
    channel: Channel


class Reader(Confidential, Struct, frozen=True, kw_only=True):
    """One recipient: addresses, devices and preferences."""

    user_id: UserId
    name: str
    language: str
    email: str
    #: E.164; None: there is no verified number, or it has opted out.
    phone_number: str | None
    #: The number has opted out (STOP).
    opted_out: bool = False
    devices: tuple[ReaderDevice, ...] = ()
    preferences: NotificationPreferences
    #: The local day of the last digest that was sent or is being sent; None: none was.
    last_digest_day: date | None = None
