"""Facts for decisions about devices, loaded before the turn."""

from msgspec import Struct

from protocol.ids import DeviceId, UserId


class DeviceFacts(Struct, frozen=True, kw_only=True):
    """Facts for registering a device. May be stale: the row's key allows one holder in any case."""

    #: The user and device that hold the address now; None: it is free.
    holder: tuple[UserId, DeviceId] | None = None
    #: Whether endpoints may be private addresses and without TLS.
    private_endpoints: bool = False
