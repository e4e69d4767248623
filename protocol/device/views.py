"""Views of devices, and the queries that return them."""

from datetime import datetime

from protocol.device.terms import Platform
from protocol.ids import DeviceId
from protocol.registry import Query, View, query
from protocol.roles import ANYONE, PUBLIC


class DeviceReply(View, frozen=True, kw_only=True):
    """The registered device."""

    device_id: DeviceId


class DeviceView(View, frozen=True, kw_only=True):
    """One device that receives push messages."""

    id: DeviceId
    platform: Platform
    #: Whether it was registered in the caller's session.
    current: bool
    registered_at: datetime
    used_at: datetime


class DeviceList(View, frozen=True, kw_only=True):
    """My devices, the most recently used first."""

    devices: tuple[DeviceView, ...]
    as_of: str


class VapidKey(View, frozen=True, kw_only=True):
    """The ``applicationServerKey`` that a browser subscribes with."""

    #: An uncompressed point on P-256, in base64url without padding.
    public_key: str


@query("device.list", by=ANYONE, view=DeviceList, routes=("GET /devices/",))
class ListDevices(Query, frozen=True, kw_only=True):
    """The devices that receive my push messages."""


@query("push.vapid_key", by=PUBLIC, view=VapidKey, routes=("GET /push/vapid-key",))
class GetVapidKey(Query, frozen=True, kw_only=True):
    """The key that browsers subscribe with. A browser that subscribed with another key subscribes again."""
