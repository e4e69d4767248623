"""Views of devices, and the queries that return them."""

from datetime import datetime

from protocol.device.terms import Platform
from protocol.ids import DeviceId
from protocol.registry import Query, View, query
from protocol.roles import ANYONE, PUBLIC

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
