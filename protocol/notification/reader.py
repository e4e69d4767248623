"""Who is to be reached, and how: what planning and composing know of a person."""

from datetime import date

from msgspec import Struct

from protocol.ids import DeviceId, UserId
from protocol.notification.channels import Channel
from protocol.notification.preferences import NotificationPreferences
from protocol.user import Confidential


class ReaderDevice(Struct, frozen=True):
    """One device that push messages go to."""

    device_id: DeviceId
    #: PUSH or WEB_PUSH.
    channel: Channel


class Reader(Confidential, Struct, frozen=True, kw_only=True):
    """One person, as far as reaching them goes."""

    user_id: UserId
    name: str
    language: str
    email: str
    #: E.164; None: there is none, or nobody has shown yet that it is theirs.
    phone_number: str | None
    #: The number said STOP; it is as if there were none.
    stopped: bool = False
    devices: tuple[ReaderDevice, ...] = ()
    preferences: NotificationPreferences
    #: The local day of the last digest that went out, or is going out; None: none has.
    last_digest_day: date | None = None
