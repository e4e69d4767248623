"""At the moment of sending: what is not needed any more, not wanted any more, or must wait until its reader wakes."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from actors.rules.quiet_hours import next_noisy
from protocol.delivery.channels import Channel
from protocol.delivery.terms import Unless
from protocol.ids import DeliveryId, UserId
from protocol.notification.terms import Reader
from server.delivery.adapters import Suppressed
from server.delivery.worker import NotAttempted
from storage.database import Pool
from storage.deliveries import Leased
from storage.queries.suppression import load_heed


async def not_now(
    pool: Pool, deliveries: Sequence[Leased], readers: Mapping[UserId, Reader], now: datetime
) -> dict[DeliveryId, Suppressed | NotAttempted]:
    """Which of these are not to be sent now, and why."""
    found: dict[DeliveryId, Suppressed | NotAttempted] = {}
    for one in deliveries:
        held = _held_up(one, readers[one.user_id], now) if one.user_id in readers else None
        if held is not None:
            found[one.id] = held
    return found | await _heeded(pool, deliveries)


def _held_up(one: Leased, reader: Reader, now: datetime) -> Suppressed | NotAttempted | None:
    """What its reader's wishes of this moment say: they may have changed, or it may be late."""
    if one.critical or one.notification_id is None:
        return None
    wanted = reader.preferences.channels.get(one.template)
    if wanted is not None and (Channel.PUSH if one.channel is Channel.WEB_PUSH else one.channel) not in wanted:
        return Suppressed("not_wanted")
    if one.channel is Channel.EMAIL:
        return None
    noisy_at = next_noisy(now, reader.preferences)
    if noisy_at is None:
        return Suppressed("never_at_a_good_time")
    return NotAttempted("quiet", (noisy_at - now).total_seconds()) if noisy_at > now else None


async def _heeded(pool: Pool, deliveries: Sequence[Leased]) -> dict[DeliveryId, Suppressed]:
    """Those whose reader got or saw what they tell of, as far as that makes them needless."""
    asked = {one.id: (one.user_id, one.notification_id) for one in deliveries if one.unless and one.notification_id}
    heeded = await load_heed(pool, list(set(asked.values()))) if asked else {}
    needless: dict[DeliveryId, Suppressed] = {}
    for one in deliveries:
        heed = heeded.get(asked[one.id]) if one.id in asked else None
        if heed is None:
            continue
        if heed.seen:
            needless[one.id] = Suppressed("seen")
        elif heed.delivered and one.unless is Unless.DELIVERED:
            needless[one.id] = Suppressed("delivered_live")
    return needless
