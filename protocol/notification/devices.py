"""Devices: telephones and browsers that push messages go to (SPEC §7).

Whoever has a device's token or subscription can write to it. So that stands in one row, which goes with the device,
and in no event, state, reply or log; those know it by a hash.
"""

from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field

from protocol.catalogue import Command, Query, View, command, query
from protocol.errors import NotFound, Unauthenticated
from protocol.events import Event, Row
from protocol.ids import DeviceId, Kind, SessionId, UserId
from protocol.notification.channels import Channel
from protocol.roles import ANYONE, INTERNAL, PUBLIC
from protocol.user import Confidential

#: Devices of one user; with one more, the one unused for longest goes.
DEVICES_MAX = 10
#: Characters of what a push service gives out.
TOKEN_MAX = 4096
ENDPOINT_MAX = 2048
_KEY_MAX = 128


class Platform(StrEnum):
    """Whose push service a device has."""

    #: Firebase Cloud Messaging: Android, and Apple's through it.
    FCM = "fcm"
    #: A browser's own, as RFC 8030 says.
    WEB = "web"

    @property
    def channel(self) -> Channel:
        """By which channel its messages go."""
        return Channel.PUSH if self is Platform.FCM else Channel.WEB_PUSH


class ForgetReason(StrEnum):
    """Why a device is not written to any more; a session's end takes its devices with it and needs none."""

    BY_USER = "by_user"
    #: The user registered more than are kept.
    DISPLACED = "displaced"
    #: Somebody else has signed in on it.
    MOVED = "moved"
    #: Its push service knows it no longer.
    GONE = "gone"


class PushKeys(Confidential, Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What messages to a browser are encrypted for (RFC 8291), in base64url."""

    #: A point on P-256, uncompressed: 65 bytes.
    p256dh: Annotated[str, Meta(max_length=_KEY_MAX)]
    #: 16 bytes.
    auth: Annotated[str, Meta(max_length=_KEY_MAX)]


class PushSubscription(Confidential, Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A browser's ``PushSubscription``, as its ``toJSON()`` gives it."""

    endpoint: Annotated[str, Meta(max_length=ENDPOINT_MAX, pattern=r"^[!-~]+$(?!\n)")]
    keys: PushKeys
    #: Milliseconds since 1970. Not looked at: a subscription that ended is found to be gone.
    expiration_time: float | None = field(name="expirationTime", default=None)


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


def address_hash(address: str) -> str:
    """What an address is known by outside of its row: half of its SHA-256."""
    return sha256(address.encode()).hexdigest()[:32]


# Events


class DeviceRegistered(Event, frozen=True, kw_only=True):
    """A device may be written to, or said again that it may. Goes to nobody's inbox."""

    device_id: DeviceId
    platform: Platform
    address_hash: str
    #: None: registered by something that is not signed in as people are.
    session_id: SessionId | None = None
    at: datetime


class DeviceForgotten(Event, frozen=True, kw_only=True):
    """A device is not written to any more."""

    device_id: DeviceId
    reason: ForgetReason


# Facts


class DeviceFacts(Struct, frozen=True, kw_only=True):
    """What registering a device needs to know. May be stale: the row itself has one holder in any case."""

    #: Who has the address at present, and as which device; None: nobody.
    holder: tuple[UserId, DeviceId] | None = None
    #: Whether messages may go to private addresses, and without TLS.
    private_endpoints: bool = False


# Views


class DeviceReply(View, frozen=True, kw_only=True):
    """Which device it is."""

    device_id: DeviceId


class DeviceView(View, frozen=True, kw_only=True):
    """One device that push messages go to."""

    id: DeviceId
    platform: Platform
    #: Whether it was registered in the session that asks.
    current: bool
    registered_at: datetime
    used_at: datetime


class DeviceList(View, frozen=True, kw_only=True):
    """My devices, the one used last first."""

    devices: tuple[DeviceView, ...]
    as_of: str


class VapidKey(View, frozen=True, kw_only=True):
    """What a browser needs to subscribe: ``applicationServerKey``."""

    #: A point on P-256, uncompressed, in base64url without padding.
    public_key: str


# Queries


@query("device.list", by=ANYONE, view=DeviceList, routes=("GET /devices/",))
class ListDevices(Query, frozen=True, kw_only=True):
    """Which devices push messages for me go to."""


@query("push.vapid_key", by=PUBLIC, view=VapidKey, routes=("GET /push/vapid-key",))
class GetVapidKey(Query, frozen=True, kw_only=True):
    """The key that browsers subscribe with. Where it is another than theirs, they subscribe anew."""


# Commands


@command(
    "device.register",
    actor=Kind.USER,
    by=ANYONE,
    reply=DeviceReply,
    routes=("POST /devices/",),
    errors=(Unauthenticated,),
)
class RegisterDevice(Confidential, Command, frozen=True, kw_only=True):
    """Let push messages go to this device for as long as I am signed in on it; again is harmless, and wanted.

    A device that somebody else has registered moves to me. With more than 10 the one unused for longest goes.
    """

    platform: Platform
    #: What FCM knows the app by on its device, an installation id or a registration token; for ``fcm``.
    token: Annotated[str, Meta(min_length=16, max_length=TOKEN_MAX, pattern=r"^[!-~]+$(?!\n)")] | None = None
    #: For ``web``.
    subscription: PushSubscription | None = None


@command(
    "device.remove",
    actor=Kind.USER,
    by=ANYONE,
    routes=("DELETE /devices/{device_id}/",),
    errors=(NotFound,),
)
class RemoveDevice(Command, frozen=True, kw_only=True):
    """Let no more push messages go to a device of mine."""

    device_id: DeviceId


@command("device.forget", actor=Kind.USER, by=INTERNAL)
class ForgetDevice(Command, frozen=True, kw_only=True):
    """A device is of no use any more; harmless if it is not known."""

    user_id: UserId
    device_id: DeviceId
    reason: ForgetReason
