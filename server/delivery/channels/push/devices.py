"""Where devices' messages go: looked up when they are sent, so that no message holds a token or a subscription."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from protocol.ids import DeviceId
from server.delivery.adapters import TryLater
from storage.database import OUTAGES
from storage.queries.device import DeviceAddress

FindDevices = Callable[[Sequence[DeviceId]], Awaitable[Mapping[DeviceId, DeviceAddress]]]


async def find_devices(find: FindDevices, ids: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceAddress] | TryLater:
    """Look devices up before anything is sent; while the database is away nothing is."""
    try:
        return await find(ids)
    except OUTAGES:
        return TryLater("database")


async def nowhere(ids: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceAddress]:
    """There are no devices, as for a doctor who only asks whether a provider can be reached."""
    return {}
