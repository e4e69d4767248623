"""Free slots: when a service can be booked, with whom, at which price, and why not (rules F-1, F-2).

The same rules and facts decide a booking; only the claim on the slot is missing here.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from actors.booking.creation import diary_of, slot_terms
from actors.rules.hours import Span
from actors.rules.pricing import price_snapshot
from actors.rules.slot_grid import SLOTS_MAX, SlotGrid
from actors.rules.slots import SlotReason, SlotTerms, StaffSchedule
from actors.rules.zones import first_instant
from protocol.booking.facts import BookingAsk, BookingFacts, StaffFacts
from protocol.errors import Invalid, NotFound
from protocol.ids import UserId, human_number
from protocol.instants import INSTANT_MAX, INSTANT_MIN, InstantError, OpenHours, parse_instant
from protocol.money import Money, major_number
from protocol.roles import Principal, Role
from protocol.service.terms import EXPLAINED_DAYS_MAX, SLOT_RANGE_DAYS_DEFAULT, SLOT_RANGE_DAYS_MAX
from protocol.service.views import Explanation, FindSlots, OwnHold, Slot, SlotsView, StaffSlots
from storage.database import Pool
from storage.queries.booking_facts import load_booking_facts
from storage.registry import Sources

#: The grid of start times, counted from each opening.
STEP = timedelta(minutes=15)
#: Start times of all staff members together in one view, and explanations in one view.
STARTS_MAX = 2_000
EXPLANATIONS_MAX = 1_000
#: The grid has at most one start in each minute.
_MINUTE = timedelta(minutes=1)
#: A local day has up to 25 hours when the clocks change.
_CLOCK_CHANGE = timedelta(hours=1)
_DATE_CHARS = len("2026-03-29")


class SlotFinder:
    """The handler of ``FindSlots``.

    Args:
        now: the domain's clock.
    """

    def __init__(self, sources: Sources, now: Callable[[], datetime]) -> None:
        self._sources = sources
        self._now = now

    async def __call__(self, pool: Pool, query: FindSlots, principal: Principal | None) -> SlotsView:
        """Raises: NotFound, Invalid."""
        offer = (await self._sources.offers.find([query.service_id])).get(query.service_id)
        if offer is None or not (offer.service.is_active and offer.business.is_active):
            raise NotFound(entity="service", id=str(query.service_id))
        now = self._now()
        range_ = _range(query, offer.business.zone, now)
        customer_id = principal.user_id if principal and principal.role is Role.CUSTOMER else None
        ask = BookingAsk(query.service_id, query.staff_id, customer_id, range_.from_at, range_.to_at, now)
        (facts,) = await load_booking_facts(self._sources, [ask])
        if isinstance(facts, NotFound):
            raise facts
        if query.staff_id is not None and not facts.staff:
            raise NotFound(entity="staff", id=str(query.staff_id))
        return show_slots(facts, range_, now, explain=query.explain)


def show_slots(facts: BookingFacts, range_: Span, now: datetime, *, explain: bool) -> SlotsView:
    """Compute the slots of a range; pure."""
    terms = slot_terms(facts)
    diaries = {staff.staff_id: diary_of(staff, facts) for staff in facts.staff}
    free, last_at = _free(terms, {} if facts.blocked else diaries, range_, now)
    ends_at = [last_at]
    explanations: list[Explanation] = []
    if explain:
        explanations, last_at = _explained(terms, diaries, range_, now, blocked=facts.blocked)
        ends_at.append(last_at)
    continues_at = min((end_at + _MINUTE for end_at in ends_at if end_at), default=None)
    return SlotsView(
        service_id=facts.service.id,
        business_id=facts.business.id,
        zone=facts.business.zone,
        currency=facts.service.currency,
        duration_minutes=facts.service.duration_minutes,
        step_minutes=STEP // timedelta(minutes=1),
        from_at=range_.from_at,
        to_at=range_.to_at,
        slots=tuple(_joined(free, terms.duration)),
        staff=tuple([_staff_slots(staff, facts, free.get(staff.staff_id, ())) for staff in facts.staff]),
        truncated=continues_at is not None,
        next_from=continues_at,
        explanations=tuple(explanations),
        own_holds=tuple(_own_holds(facts, range_)),
    )


def _own_holds(facts: BookingFacts, range_: Span) -> Iterable[OwnHold]:
    """Name the reader's own unpaid bookings, so that an app goes on to pay."""
    for hold in facts.unpaid:
        if not hold.expired and range_.overlaps(Span(hold.starts_at, hold.ends_at)):
            number = human_number(hold.booking_id)
            yield OwnHold(booking_id=hold.booking_id, number=number, start_at=hold.starts_at, end_at=hold.ends_at)


# The range


def _range(query: FindSlots, zone: str, now: datetime) -> Span:
    """Parse the requested range. Raises: Invalid."""
    from_at = now if query.from_ is None else _bound("from", query.from_, zone)
    days_max = EXPLAINED_DAYS_MAX if query.explain else SLOT_RANGE_DAYS_MAX
    if query.to is None:
        to_at = from_at + timedelta(days=min(SLOT_RANGE_DAYS_DEFAULT, days_max))
    else:
        to_at = _bound("to", query.to, zone, days_later=1)
    if not from_at < to_at:
        raise Invalid(to="not_after_from")
    if to_at > from_at + timedelta(days=days_max) + _CLOCK_CHANGE:
        raise Invalid(to="range_too_long")
    return Span(from_at, to_at)


def _bound(field: str, text: str, zone: str, days_later: int = 0) -> datetime:
    """Parse an instant, or a local date: its beginning, or that of a day ``days_later``. Raises: Invalid."""
    try:
        if len(text) != _DATE_CHARS:
            return parse_instant(text)
        day = date.fromisoformat(text)
    except InstantError as error:
        raise Invalid(**{field: error.code}) from error
    except ValueError as error:
        raise Invalid(**{field: "bad_format"}) from error
    if not INSTANT_MIN.date() < day < INSTANT_MAX.date() - timedelta(days=days_later):
        raise Invalid(**{field: "out_of_range"})
    return first_instant(datetime.combine(day + timedelta(days=days_later), time()), zone)


# Free starts


def _free(
    terms: SlotTerms, diaries: dict[UserId, StaffSchedule], range_: Span, now: datetime
) -> tuple[dict[UserId, list[datetime]], datetime | None]:
    """List each staff member's free starts, and the last of them if there may be more: then all end there."""
    if not diaries:
        return {}, None
    limit = max(1, min(SLOTS_MAX, STARTS_MAX // len(diaries)))
    grid = SlotGrid(_opening(diaries), terms, step=STEP, range_=range_, now=now)
    free = {staff_id: grid.free(schedule, limit) for staff_id, schedule in diaries.items()}
    full = [starts[-1] for starts in free.values() if len(starts) == limit]
    if not full:
        return free, None
    last_at = min(full)
    return {staff_id: starts[: bisect_right(starts, last_at)] for staff_id, starts in free.items()}, last_at


def _opening(diaries: dict[UserId, StaffSchedule]) -> OpenHours:
    """The opening hours of the business, which all its staff have."""
    return next(iter(diaries.values())).opening


def _joined(free: dict[UserId, list[datetime]], duration: timedelta) -> Iterable[Slot]:
    """Merge the starts of all staff members, earliest first."""
    staff_at: dict[datetime, list[UserId]] = {}
    for staff_id, starts in free.items():
        for start_at in starts:
            staff_at.setdefault(start_at, []).append(staff_id)
    return (
        Slot(start_at=start_at, end_at=start_at + duration, staff_ids=tuple(staff_at[start_at]))
        for start_at in sorted(staff_at)
    )


def _staff_slots(staff: StaffFacts, facts: BookingFacts, starts: Sequence[datetime]) -> StaffSlots:
    price = price_snapshot(
        Money(facts.service.price_minor, facts.service.currency),
        staff_is_owner=staff.is_owner,
        others_offering=facts.others_offering(staff.staff_id),
    )
    return StaffSlots(
        staff_id=staff.staff_id,
        is_owner=staff.is_owner,
        total_amount=major_number(price.total_minor, price.currency),
        total_amount_minor=price.total_minor,
        starts=tuple(starts),
    )


# Explanations


def _explained(
    terms: SlotTerms, diaries: dict[UserId, StaffSchedule], range_: Span, now: datetime, *, blocked: bool
) -> tuple[list[Explanation], datetime | None]:
    """Explain every start of the grid, and the range's first instant: why it cannot be booked.

    Returns the last start that is explained, too, if there are more.
    """
    if not diaries:
        return [], None
    opening = _opening(diaries)
    anything = SlotTerms(duration=STEP, buffer_after=timedelta())
    every = SlotGrid(opening, anything, step=STEP, range_=range_, now=range_.from_at)
    starts = sorted({range_.from_at, *every.free(StaffSchedule(opening=opening))})
    shown = starts[: max(1, EXPLANATIONS_MAX // len(diaries))]
    grid = SlotGrid(opening, terms, step=STEP, range_=range_, now=now)
    reasons = [grid.reasons(shown, schedule) for schedule in diaries.values()]
    explanations = [
        Explanation(start_at=start_at, staff_id=staff_id, reason="blocked" if blocked else _said(reason))
        for start_at, *found in zip(shown, *reasons, strict=True)
        for staff_id, reason in zip(diaries, found, strict=True)
    ]
    return explanations, shown[-1] if len(shown) < len(starts) else None


def _said(reason: SlotReason | None) -> Any:
    return reason and reason.value
