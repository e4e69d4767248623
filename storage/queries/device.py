"""Reads devices: the addresses of push messages, and who holds an address."""

from collections.abc import Sequence

from msgspec import Struct

from protocol.confidential import Confidential
from protocol.device.facts import DeviceFacts
from protocol.device.terms import Platform
from protocol.device.views import DeviceList, DeviceView, ListDevices
from protocol.ids import DeviceId, UserId
from protocol.roles import Principal
from storage.database import Pool
from storage.queries.page import AS_OF
from storage.registry import Sources, answers, loads


class DeviceAddress(Confidential, Struct, frozen=True, kw_only=True):
    """The push address of one device; the fields are those of ``DeviceRow``."""

    device_id: DeviceId
    address: str
    p256dh: str | None
    auth: str | None


@answers(ListDevices)
async def list_devices(pool: Pool, query: ListDevices, principal: Principal) -> DeviceList:
    """Return the caller's devices, the most recently used first."""
    rows = await pool.fetch(
        f"SELECT s.as_of, d.* FROM (SELECT {AS_OF}) s LEFT JOIN devices d ON d.user_id = $1"
        " ORDER BY d.used_at DESC, d.device_id",
        principal.user_id,
    )
    devices = tuple(
        DeviceView(
            id=row["device_id"],
            platform=Platform(row["platform"]),
            current=row["session_id"] is not None and row["session_id"] == principal.session_id,
            registered_at=row["registered_at"],
            used_at=row["used_at"],
        )
        for row in rows
        if row["device_id"] is not None
    )
    return DeviceList(devices=devices, as_of=rows[0]["as_of"])


@loads(DeviceFacts)
async def load_device_facts(sources: Sources, hashes: Sequence[str | None]) -> list[DeviceFacts]:
    """Read which device has each address now, in the order asked for; None asks for no address."""
    found = await find_holders(sources.pool, hashes)
    return [DeviceFacts(holder=holder, private_endpoints=sources.private_endpoints) for holder in found]


async def find_holders(pool: Pool, hashes: Sequence[str | None]) -> list[tuple[UserId, DeviceId] | None]:
    """Return who holds each address, and as which device, in order."""
    rows = await pool.fetch(
        "SELECT address_hash, user_id, device_id FROM devices WHERE address_hash = ANY($1::text[])",
        [one for one in hashes if one is not None],
    )
    found = {row["address_hash"]: (row["user_id"], row["device_id"]) for row in rows}
    return [None if one is None else found.get(one) for one in hashes]


async def load_addresses(pool: Pool, ids: Sequence[DeviceId]) -> dict[DeviceId, DeviceAddress]:
    """Return the addresses of devices; forgotten devices are left out."""
    rows = await pool.fetch(
        "SELECT device_id, address, p256dh, auth FROM devices WHERE device_id = ANY($1::uuid[])", list(ids)
    )
    return {row["device_id"]: DeviceAddress(**row) for row in rows}
