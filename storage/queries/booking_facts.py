"""The facts of booking decisions, many at a time: the catalogue from memory, the staff's time always fresh."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from time import monotonic
from typing import NamedTuple, Protocol

import asyncpg
import msgspec

from protocol.booking.facts import RATING_PRIOR, BookingFacts, BusinessFacts, BusySpan, ServiceFacts, StaffFacts
from protocol.errors import NotFound
from protocol.ids import BusinessId, Kind, Ref, ServiceId, UserId
from protocol.instants import OpenHours
from storage.columns import array_text
from storage.database import Pool

#: How long another node's change of the catalogue may go unnoticed.
CATALOGUE_TTL_S = 5.0
#: Services kept in memory; the ones read longest ago go first.
SERVICES_KEPT_MAX = 10_000
#: Different opening hours kept decoded.
HOURS_KEPT_MAX = 4_096


class BookingAsk(NamedTuple):
    """One question: who could do this service for this customer, and what else they have to do then."""

    service_id: ServiceId
    #: None: anybody who offers it.
    staff_id: UserId | None
    #: None: nobody in particular, so nobody is blocked.
    customer_id: UserId | None
    #: Between which starts; the service's duration and buffers are added here.
    around_from: datetime
    around_to: datetime
    now: datetime


class Worker(msgspec.Struct, frozen=True):
    """A member who offers a service, without their time."""

    staff_id: UserId
    is_owner: bool
    working: OpenHours | None


class Offer(msgspec.Struct, frozen=True):
    """A service, whose it is, and who does it."""

    service: ServiceFacts
    business: BusinessFacts
    workers: tuple[Worker, ...]
    offering: tuple[UserId, ...]


class Happened(Protocol):
    """What the runtime publishes; only the actor that it came from matters here."""

    to: Ref


class Catalogue:
    """Offers in memory, forgotten when their business changes, and after a short time in any case."""

    def __init__(self, pool: Pool, now_s: Callable[[], float] = monotonic) -> None:
        self._pool = pool
        self._now_s = now_s
        self._kept: OrderedDict[ServiceId, tuple[float, Offer]] = OrderedDict()
        self._of_business: dict[BusinessId, set[ServiceId]] = {}
        #: Counts the changes heard of, so that what was read before one is not kept after it.
        self._changes = 0

    def on_event(self, published: Happened) -> None:
        """Forget what a committed event of a business made untrue."""
        if published.to.kind is Kind.BUSINESS:
            self._changes += 1
            for service_id in self._of_business.pop(BusinessId(published.to.id), ()):
                self._kept.pop(service_id, None)

    async def offers(self, service_ids: Iterable[ServiceId]) -> dict[ServiceId, Offer]:
        """Give the offers of those services that exist; one statement for all that are not in memory."""
        oldest_s = self._now_s() - CATALOGUE_TTL_S
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
_workers = msgspec.json.Decoder(tuple[Worker, ...])
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
    """Decode opening hours as the tables have them; equal ones are one object."""
    return _hours.decode(text)


#: One call for a whole round (migrations/0006_booking.sql).
_FRESH = (
    "SELECT * FROM busy_now($1::text::uuid[], $2::text::timestamptz[], $3::text::timestamptz[], $4::text::uuid[],"
    " $5::text::uuid[])"
)
_BUSY, _RUNNING = 0, 1


async def booking_facts(pool: Pool, catalogue: Catalogue, asks: Sequence[BookingAsk]) -> list[BookingFacts | NotFound]:
    """Answer a whole round of questions, in order, with one statement (and one more for services not in memory)."""
    offers = await catalogue.offers([ask.service_id for ask in asks])
    spans: dict[_Span, int] = {}
    plans = [_plan(ask, offers.get(ask.service_id), spans) for ask in asks]
    known = [plan for plan in plans if isinstance(plan, _Plan)]
    if known:
        await _fill(pool, known, spans)
    return [plan.facts() if isinstance(plan, _Plan) else plan for plan in plans]


class _Span(NamedTuple):
    """Whose time is looked at, and between when; the same span is looked up once a round."""

    staff_id: UserId
    from_at: datetime
    to_at: datetime


class _Plan(msgspec.Struct):
    """One question on its way to its answer."""

    ask: BookingAsk
    offer: Offer
    workers: tuple[Worker, ...]
    #: The index of each worker's span.
    spans: list[int]
    busy: dict[int, list[BusySpan]] = {}
    running: dict[UserId, datetime] = {}
    blocked: bool = False

    def facts(self) -> BookingFacts:
        return BookingFacts(
            service=self.offer.service,
            business=self.offer.business,
            staff=tuple([self._staff(worker, span) for worker, span in zip(self.workers, self.spans, strict=True)]),
            offering=self.offer.offering,
            blocked=self.blocked,
        )

    def _staff(self, worker: Worker, span: int) -> StaffFacts:
        estimated_end_at = self.running.get(worker.staff_id)
        return StaffFacts(
            staff_id=worker.staff_id,
            is_owner=worker.is_owner,
            rating=RATING_PRIOR,
            working=worker.working,
            busy=tuple(self.busy.get(span, ())),
            overrunning=estimated_end_at is not None and estimated_end_at < self.ask.now,
        )


def _plan(ask: BookingAsk, offer: Offer | None, spans: dict[_Span, int]) -> _Plan | NotFound:
    if offer is None:
        return NotFound(entity="service", id=str(ask.service_id))
    service = offer.service
    from_at = ask.around_from - timedelta(minutes=service.buffer_before_minutes)
    to_at = ask.around_to + timedelta(minutes=service.duration_minutes + service.buffer_after_minutes)
    workers = offer.workers
    if ask.staff_id is not None:
        workers = tuple([worker for worker in workers if worker.staff_id == ask.staff_id])
    wanted = [spans.setdefault(_Span(worker.staff_id, from_at, to_at), len(spans)) for worker in workers]
    return _Plan(ask, offer, workers, wanted)


async def _fill(pool: Pool, plans: Sequence[_Plan], spans: dict[_Span, int]) -> None:
    """Look up what changes by the minute, for all plans at once."""
    rows = await pool.fetch(
        _FRESH,
        array_text([span.staff_id for span in spans]),
        array_text([span.from_at for span in spans]),
        array_text([span.to_at for span in spans]),
        array_text([plan.offer.business.id for plan in plans]),
        array_text([plan.ask.customer_id for plan in plans]),
    )
    busy: dict[int, list[BusySpan]] = {}
    running: dict[UserId, datetime] = {}
    for what, idx, staff_id, subject_id, held_from_at, held_to_at, starts_at, ends_at in rows:
        if what == _BUSY:
            job = _job(held_from_at, held_to_at, starts_at, ends_at)
            busy.setdefault(idx - 1, []).append(BusySpan(subject_id, held_from_at, held_to_at, *job))
        elif what == _RUNNING:
            running[staff_id] = ends_at
        else:
            plans[idx - 1].blocked = True
    for taken in busy.values():
        taken.sort(key=lambda span: span.held_from_at)
    for plan in plans:
        plan.busy, plan.running = busy, running


def _job(
    held_from_at: datetime, held_to_at: datetime, starts_at: datetime | None, ends_at: datetime | None
) -> tuple[datetime, datetime]:
    """The job inside a held slot; a slot held for another time of the booking (a move in the making) is all job."""
    if starts_at is None or ends_at is None or starts_at < held_from_at or ends_at > held_to_at:
        return held_from_at, held_to_at
    return starts_at, ends_at
