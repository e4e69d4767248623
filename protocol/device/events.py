"""Events of devices: what happened, in the past tense."""

from datetime import datetime

from protocol.device.terms import ForgetReason, Platform
from protocol.events import Event, event
from protocol.ids import DeviceId, SessionId

# Events


@event("device.registered")
class DeviceRegistered(Event, frozen=True, kw_only=True):
    """A device may be written to, or said again that it may. Goes to nobody's inbox."""

    device_id: DeviceId
    platform: Platform
    address_hash: str
    #: None: registered by something that is not signed in as people are.
    session_id: SessionId | None = None
    at: datetime


@event("device.forgotten")
class DeviceForgotten(Event, frozen=True, kw_only=True):
    """A device is not written to any more."""

    device_id: DeviceId
    reason: ForgetReason
