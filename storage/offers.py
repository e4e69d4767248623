"""The cache of offers: each service with its business and its staff, as booking decisions and slots need them."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from time import monotonic
from typing import Protocol

import asyncpg
import msgspec

from protocol.booking.facts import BusinessFacts, ServiceFacts
from protocol.ids import BusinessId, Kind, Ref, ServiceId, UserId
from protocol.instants import OpenHours
from storage.database import Pool

#: How long an offer that another node has changed may be stale.
OFFER_TTL_S = 5.0
#: Services in the cache; past this the ones read longest ago are evicted.
SERVICES_KEPT_MAX = 10_000
#: Decoded opening hours in the cache.
HOURS_KEPT_MAX = 4_096


class OfferStaff(msgspec.Struct, frozen=True):
    """A staff member who does a service, without their bookings."""

    staff_id: UserId
    is_owner: bool
    working: OpenHours | None


class Offer(msgspec.Struct, frozen=True):
    """A service, its business and its staff."""

    service: ServiceFacts
    business: BusinessFacts
    workers: tuple[OfferStaff, ...]
    offering: tuple[UserId, ...]


class CommittedEvent(Protocol):
    """A committed event as the runtime publishes it; only its actor is used here."""

    to: Ref


class OfferCache:
    """Offers in memory, invalidated when their business changes, and after ``OFFER_TTL_S`` in any case."""

    def __init__(self, pool: Pool, now_s: Callable[[], float] = monotonic) -> None:
        self._pool = pool
        self._now_s = now_s
        self._kept: OrderedDict[ServiceId, tuple[float, Offer]] = OrderedDict()
        self._of_business: dict[BusinessId, set[ServiceId]] = {}
        #: Counts the changes seen, so that offers read before a change are not cached after it.
        self._changes = 0

    def on_event(self, published: CommittedEvent) -> None:
        """Invalidate the offers of a business that has a new event."""
        if published.to.kind is Kind.BUSINESS:
            self._changes += 1
            for service_id in self._of_business.pop(BusinessId(published.to.id), ()):
                self._kept.pop(service_id, None)

    async def find(self, service_ids: Iterable[ServiceId]) -> dict[ServiceId, Offer]:
        """Return the offers of those services that exist; one statement reads all that are not in memory."""
        oldest_s = self._now_s() - OFFER_TTL_S
        found: dict[ServiceId, Offer] = {}
        missing: list[ServiceId] = []
        for service_id in set(service_ids):
            kept = self._kept.get(service_id)
            if kept is not None and kept[0] > oldest_s:
                found[service_id] = kept[1]
            else:
                missing.append(service_id)
        if missing:
            changes = self._changes
            read = await load_offers(self._pool, missing)
            if changes == self._changes:
                self._keep(read)
            found.update((offer.service.id, offer) for offer in read)
        return found

    def _keep(self, offers: Iterable[Offer]) -> None:
        now_s = self._now_s()
        for offer in offers:
            self._kept[offer.service.id] = (now_s, offer)
            self._kept.move_to_end(offer.service.id)
            self._of_business.setdefault(offer.business.id, set()).add(offer.service.id)
        while len(self._kept) > SERVICES_KEPT_MAX:
            service_id, (_, offer) = self._kept.popitem(last=False)
            of_business = self._of_business[offer.business.id]
            of_business.discard(service_id)
            if not of_business:
                del self._of_business[offer.business.id]


_OFFERS = """
SELECT s.id, s.business_id, s.title, s.price_minor, s.currency, s.duration_minutes, s.buffer_before_minutes,
       s.buffer_after_minutes, s.is_active, b.owner_id, b.zone, b.hours, b.lead_time_minutes, b.auto_approve,
       b.commission_bp, b.is_active AS business_is_active,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('staff_id', m.user_id, 'is_owner', m.user_id = b.owner_id,
                                                     'working', m.working) ORDER BY m.joined_at, m.user_id), '[]')
          FROM service_staff o JOIN members m ON m.business_id = s.business_id AND m.user_id = o.staff_id
         WHERE o.service_id = s.id AND m.active AND m.serves) AS workers
  FROM services s JOIN businesses b ON b.id = s.business_id
 WHERE s.id = ANY ($1)
"""
_workers = msgspec.json.Decoder(tuple[OfferStaff, ...])
_hours = msgspec.json.Decoder(OpenHours)


async def load_offers(pool: Pool, service_ids: Sequence[ServiceId]) -> list[Offer]:
    """Read offers from the tables, in no order; services that do not exist are left out."""
    return [_offer(row) for row in await pool.fetch(_OFFERS, service_ids)]


def _offer(row: asyncpg.Record) -> Offer:
    workers = _workers.decode(row["workers"])
    service = ServiceFacts(
        id=row["id"],
        business_id=row["business_id"],
        title=row["title"],
        price_minor=row["price_minor"],
        currency=row["currency"],
        duration_minutes=row["duration_minutes"],
        buffer_before_minutes=row["buffer_before_minutes"],
        buffer_after_minutes=row["buffer_after_minutes"],
        is_active=row["is_active"],
    )
    business = BusinessFacts(
        id=row["business_id"],
        owner_id=row["owner_id"],
        zone=row["zone"],
        hours=decode_hours(row["hours"]),
        lead_time_minutes=row["lead_time_minutes"],
        auto_approve=row["auto_approve"],
        commission_bp=row["commission_bp"],
        is_active=row["business_is_active"],
    )
    return Offer(service, business, workers, tuple(worker.staff_id for worker in workers))


@lru_cache(maxsize=HOURS_KEPT_MAX)
def decode_hours(text: str) -> OpenHours:
    """Decode opening hours from their column; equal ones are one object."""
    return _hours.decode(text)
