"""Commands to devices."""

from typing import Annotated

from msgspec import Meta

from protocol.confidential import Confidential
from protocol.device.terms import TOKEN_MAX, ForgetReason, Platform, PushSubscription
from protocol.device.views import DeviceReply
from protocol.errors import NotFound, Unauthenticated
from protocol.ids import DeviceId, Kind, UserId
from protocol.registry import Command, command
from protocol.roles import ANYONE, INTERNAL

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
