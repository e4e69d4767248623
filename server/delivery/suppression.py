"""Suppression: which leased deliveries are not sent now, decided right before sending."""

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
from storage.queries.suppression import load_receipts


async def suppressed(
    pool: Pool, deliveries: Sequence[Leased], readers: Mapping[UserId, Reader], now: datetime
) -> dict[DeliveryId, Suppressed | NotAttempted]:
    """Return the deliveries that must not be sent now, each with its reason."""
    found: dict[DeliveryId, Suppressed | NotAttempted] = {}
    for one in deliveries:
        outcome = _by_preferences(one, readers[one.user_id], now) if one.user_id in readers else None
        if outcome is not None:
            found[one.id] = outcome
    return found | await _by_receipts(pool, deliveries)


def _by_preferences(one: Leased, reader: Reader, now: datetime) -> Suppressed | NotAttempted | None:
    """Check the reader's preferences again: they may have changed since routing, or quiet hours have begun."""
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


async def _by_receipts(pool: Pool, deliveries: Sequence[Leased]) -> dict[DeliveryId, Suppressed]:
    """Suppress deliveries whose event the reader already received or saw, as their ``unless`` says."""
    asked = {one.id: (one.user_id, one.notification_id) for one in deliveries if one.unless and one.notification_id}
    receipts = await load_receipts(pool, list(set(asked.values()))) if asked else {}
    found: dict[DeliveryId, Suppressed] = {}
    for one in deliveries:
        receipt = receipts.get(asked[one.id]) if one.id in asked else None
        if receipt is None:
            continue
        if receipt.seen:
            found[one.id] = Suppressed("seen")
        elif receipt.delivered and one.unless is Unless.DELIVERED:
            found[one.id] = Suppressed("delivered_live")
    return found
