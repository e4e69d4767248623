"""Looks up push addresses when messages are sent, so that messages hold no tokens or subscriptions."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from protocol.ids import DeviceId
from server.delivery.adapters import TryLater
from storage.database import OUTAGES
from storage.queries.device import DeviceAddress

FindDevices = Callable[[Sequence[DeviceId]], Awaitable[Mapping[DeviceId, DeviceAddress]]]


async def find_devices(find: FindDevices, ids: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceAddress] | TryLater:
    """Look up devices; TryLater while the database is down."""
    try:
        return await find(ids)
    except OUTAGES:
        return TryLater("database")


async def no_devices(ids: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceAddress]:
    """Find no devices, for checks of a provider that need none."""
    return {}
