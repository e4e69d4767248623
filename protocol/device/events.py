"""Events of devices: what happened, in the past tense."""

from datetime import datetime

from protocol.device.terms import ForgetReason, Platform
from protocol.events import Event, event
from protocol.ids import DeviceId, SessionId


@event("device.registered")
class DeviceRegistered(Event, frozen=True, kw_only=True):
    """A device was registered, or registered again. Not written to an inbox."""

    device_id: DeviceId
    platform: Platform
    address_hash: str
    #: None: registered without a user session.
    session_id: SessionId | None = None
    at: datetime


@event("device.forgotten")
class DeviceForgotten(Event, frozen=True, kw_only=True):
    """A device receives no more messages."""

    device_id: DeviceId
    reason: ForgetReason
