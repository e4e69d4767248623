"""Facts that decisions about devices are made on, loaded before the turn."""

from msgspec import Struct

from protocol.ids import DeviceId, UserId

# Facts


class DeviceFacts(Struct, frozen=True, kw_only=True):
    """What registering a device needs to know. May be stale: the row itself has one holder in any case."""

    #: Who has the address at present, and as which device; None: nobody.
    holder: tuple[UserId, DeviceId] | None = None
    #: Whether messages may go to private addresses, and without TLS.
    private_endpoints: bool = False
