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


@command(
    "device.register",
    actor=Kind.USER,
    by=ANYONE,
    reply=DeviceReply,
    routes=("POST /devices/",),
    errors=(Unauthenticated,),
)
class RegisterDevice(Confidential, Command, frozen=True, kw_only=True):
    """Send push messages to this device while I am signed in on it; apps register at every start.

    A device that another user has registered becomes mine. Above 10 devices the least recently used one is removed.
    """

    platform: Platform
    #: FCM's installation id or registration token; for ``fcm``.
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
    """Stop push messages to one of my devices."""

    device_id: DeviceId


@command("device.forget", actor=Kind.USER, by=INTERNAL)
class ForgetDevice(Command, frozen=True, kw_only=True):
    """Forget a device that receives no messages any more; an unknown device is ignored."""

    user_id: UserId
    device_id: DeviceId
    reason: ForgetReason
