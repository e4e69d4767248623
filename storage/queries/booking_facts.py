"""The facts of booking decisions, many at a time: offers from memory, the staff's time always fresh."""

from asyncio import gather
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from protocol.booking.facts import (
    RATING_PRIOR,
    BookingAsk,
    BookingFacts,
    BusySpan,
    LateBooking,
    LateBookingAsk,
    StaffFacts,
    UnpaidHold,
)
from protocol.booking.terms import EXPIRED_WITHIN, PAYMENT_WINDOW
from protocol.errors import NotFound
from protocol.ids import UserId
from protocol.wallet.terms import WalletAccount, accounts_of
from storage.columns import array_text
from storage.database import Pool
from storage.offers import Offer, OfferStaff
from storage.registry import Sources, loads

#: One call for a whole round (migrations/0006_booking.sql).
_FRESH = (
    "SELECT * FROM busy_now($1::text::uuid[], $2::text::timestamptz[], $3::text::timestamptz[], $4::text::uuid[],"
    " $5::text::uuid[])"
)
_BUSY, _RUNNING = 0, 1
#: Open unpaid holds have a key for their place; those that expired lately count at the same business.
_UNPAID = """
SELECT w.idx, place, b.id, b.business_id, b.starts_at, b.ends_at, b.created_at
  FROM unnest($1::text::uuid[]) WITH ORDINALITY w(customer_id, idx)
 CROSS JOIN generate_series(0, $4::int - 1) place
  JOIN unique_keys k ON k.scope = 'unpaid_hold' AND k.key = w.customer_id || '/' || place
  JOIN bookings b ON b.id = k.owner
 UNION ALL
SELECT w.idx, NULL, b.id, b.business_id, b.starts_at, b.ends_at, b.created_at
  FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::timestamptz[])
       WITH ORDINALITY w(customer_id, business_id, after_at, idx)
  JOIN bookings b ON b.customer_id = w.customer_id AND b.business_id = w.business_id AND b.created_at > w.after_at
                 AND b.status = 'EXPIRED' AND b.payment_status = 'UNPAID'
"""
#: What has expired within a day was made within a day and the time for paying.
_MADE_WITHIN = EXPIRED_WITHIN + PAYMENT_WINDOW


@loads(BookingFacts)
async def load_booking_facts(sources: Sources, asks: Sequence[BookingAsk]) -> list[BookingFacts | NotFound]:
    """Answer a whole round of questions, in order, with one statement (and one more for services not in memory)."""
    offers = await sources.offers.find([ask.service_id for ask in asks])
    spans: dict[_Span, int] = {}
    plans = [_plan(ask, offers.get(ask.service_id), spans) for ask in asks]
    known = [plan for plan in plans if isinstance(plan, _Plan)]
    if known:
        await gather(
            _fill(sources.pool, known, spans), _fill_unpaid(sources, known), _fill_wallets(sources.pool, known)
        )
    return [plan.facts() if isinstance(plan, _Plan) else plan for plan in plans]


@loads(LateBooking)
async def load_late_bookings(sources: Sources, asks: Sequence[LateBookingAsk]) -> list[LateBooking]:
    """Look up for bookings that have expired what a new one at their time would look at."""
    expired = [ask.expired for ask in asks if ask.expired is not None]
    found = iter(await load_booking_facts(sources, expired) if expired else ())
    facts = [None if ask.expired is None else next(found) for ask in asks]
    return [LateBooking(facts=one if isinstance(one, BookingFacts) else None) for one in facts]


class _Span(NamedTuple):
    """Whose time is looked at, and between when; the same span is looked up once a round."""

    staff_id: UserId
    from_at: datetime
    to_at: datetime


class _Plan(msgspec.Struct):
    """One question on its way to its answer."""

    ask: BookingAsk
    offer: Offer
    workers: tuple[OfferStaff, ...]
    #: The index of each worker's span.
    spans: list[int]
    busy: dict[int, list[BusySpan]] = {}
    running: dict[UserId, datetime] = {}
    blocked: bool = False
    unpaid: list[UnpaidHold] = []
    unpaid_holds_max: int = 0
    wallet_minor: int = 0

    def facts(self) -> BookingFacts:
        return BookingFacts(
            service=self.offer.service,
            business=self.offer.business,
            staff=tuple([self._staff(worker, span) for worker, span in zip(self.workers, self.spans, strict=True)]),
            offering=self.offer.offering,
            blocked=self.blocked,
            unpaid=tuple(self.unpaid),
            unpaid_holds_max=self.unpaid_holds_max,
            wallet_minor=self.wallet_minor,
        )

    def _staff(self, worker: OfferStaff, span: int) -> StaffFacts:
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


async def _fill_unpaid(sources: Sources, plans: Sequence[_Plan]) -> None:
    """Look up the unpaid holds of the customers, if they are bounded."""
    wanted = [plan for plan in plans if plan.ask.customer_id is not None]
    if not sources.unpaid_holds_max or not wanted:
        return
    rows = await sources.pool.fetch(
        _UNPAID,
        array_text([plan.ask.customer_id for plan in wanted]),
        array_text([plan.offer.business.id for plan in wanted]),
        array_text([plan.ask.now - _MADE_WITHIN for plan in wanted]),
        sources.unpaid_holds_max,
    )
    for plan in wanted:
        plan.unpaid_holds_max = sources.unpaid_holds_max
    for idx, place, booking_id, business_id, starts_at, ends_at, created_at in rows:
        wanted[idx - 1].unpaid.append(
            UnpaidHold(
                booking_id=booking_id,
                business_id=business_id,
                starts_at=starts_at,
                ends_at=ends_at,
                created_at=created_at,
                place=place,
            )
        )


async def _fill_wallets(pool: Pool, plans: Sequence[_Plan]) -> None:
    """Look up the balances of those who pay from their wallet."""
    payers = [
        (accounts_of(WalletAccount.CUSTOMER, plan.ask.customer_id) + plan.offer.service.currency, plan)
        for plan in plans
        if plan.ask.from_wallet and plan.ask.customer_id is not None
    ]
    if not payers:
        return
    accounts = [account for account, _ in payers]
    rows = await pool.fetch("SELECT account, balance_minor FROM balances WHERE account = ANY ($1)", accounts)
    balances: dict[str, int] = {row["account"]: row["balance_minor"] for row in rows}
    for account, plan in payers:
        plan.wallet_minor = balances.get(account, 0)


def _job(
    held_from_at: datetime, held_to_at: datetime, starts_at: datetime | None, ends_at: datetime | None
) -> tuple[datetime, datetime]:
    """The job inside a held slot; a slot held for another time of the booking (a move in the making) is all job."""
    if starts_at is None or ends_at is None or starts_at < held_from_at or ends_at > held_to_at:
        return held_from_at, held_to_at
    return starts_at, ends_at
