"""At the moment of sending: what is not needed any more, not wanted any more, or must wait until its reader wakes."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from actors.rules.quiet import next_noisy
from protocol.ids import DeliveryId, UserId
from protocol.notification.channels import Channel
from protocol.notification.deliveries import Unless
from protocol.notification.reader import Reader
from server.outbound.adapters import Needless
from server.outbound.courier import Untried
from storage.database import Pool
from storage.deliveries import Leased
from storage.queries.heed import load_heed


async def not_now(
    pool: Pool, deliveries: Sequence[Leased], readers: Mapping[UserId, Reader], now: datetime
) -> dict[DeliveryId, Needless | Untried]:
    """Which of these are not to be sent now, and why."""
    found: dict[DeliveryId, Needless | Untried] = {}
    for one in deliveries:
        held = _held_up(one, readers[one.user_id], now) if one.user_id in readers else None
        if held is not None:
            found[one.id] = held
    return found | await _heeded(pool, deliveries)


def _held_up(one: Leased, reader: Reader, now: datetime) -> Needless | Untried | None:
    """What its reader's wishes of this moment say: they may have changed, or it may be late."""
    if one.critical or one.notification_id is None:
        return None
    wanted = reader.preferences.channels.get(one.template)
    if wanted is not None and (Channel.PUSH if one.channel is Channel.WEB_PUSH else one.channel) not in wanted:
        return Needless("not_wanted")
    if one.channel is Channel.EMAIL:
        return None
    noisy_at = next_noisy(now, reader.preferences)
    if noisy_at is None:
        return Needless("never_at_a_good_time")
    return Untried("quiet", (noisy_at - now).total_seconds()) if noisy_at > now else None


async def _heeded(pool: Pool, deliveries: Sequence[Leased]) -> dict[DeliveryId, Needless]:
    """Those whose reader got or saw what they tell of, as far as that makes them needless."""
    asked = {one.id: (one.user_id, one.notification_id) for one in deliveries if one.unless and one.notification_id}
    heeded = await load_heed(pool, list(set(asked.values()))) if asked else {}
    needless: dict[DeliveryId, Needless] = {}
    for one in deliveries:
        heed = heeded.get(asked[one.id]) if one.id in asked else None
        if heed is None:
            continue
        if heed.seen:
            needless[one.id] = Needless("seen")
        elif heed.delivered and one.unless is Unless.DELIVERED:
            needless[one.id] = Needless("delivered_live")
    return needless
