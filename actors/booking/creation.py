"""Placing a new booking: when the customer means it to start, who does it, and what it costs."""

from datetime import UTC, date, datetime, time, timedelta

from actors.actor import Actor
from actors.booking import unpaid
from actors.booking.state import BookingState
from actors.rules.hours import Span
from actors.rules.pricing import price_snapshot
from actors.rules.slots import BusyTime, SlotReason, SlotTerms, StaffSchedule, busy_for, unavailable_reason
from actors.rules.zones import LocalTimeError, to_instant, to_local
from protocol.booking.commands import CreateBooking, RecordPayment
from protocol.booking.events import BookingCreated
from protocol.booking.facts import (
    BookingAsk,
    BookingFacts,
    BusySpan,
    LateBooking,
    LateBookingAsk,
    StaffFacts,
)
from protocol.booking.terms import BookingStatus
from protocol.errors import (
    InsufficientFunds,
    Invalid,
    NoStaffFree,
    NotFound,
    PairBlocked,
    Rejected,
    SlotTaken,
    SlotUnavailable,
    TermsChanged,
)
from protocol.ids import BookingId, UserId, human_number
from protocol.instants import InstantError, to_utc
from protocol.money import Money, MoneyError, PriceSnapshot, from_major, major_number
from protocol.payment.terms import PaymentMethod

#: How long the provider may take to answer, unless it starts before.
APPROVAL_WINDOW = timedelta(hours=24)
#: Reasons that hold for every staff member alike.
_NOBODY_HELPS = frozenset({SlotReason.LEAD_TIME, SlotReason.TOO_FAR_AHEAD, SlotReason.HOURS})


#: A local date is somewhere within this of the same date in UTC.
_ZONE_SPREAD = timedelta(hours=26)


def booking_ask(booking: Actor[BookingState], cmd: CreateBooking) -> BookingAsk:
    """What the decision has to know: the service, who could do it, and their time around the asked start."""
    from_at, to_at = _around(cmd, booking.now)
    from_wallet = cmd.payment_method is PaymentMethod.WALLET
    return BookingAsk(cmd.service_id, cmd.staff_id, booking.principal.user_id, from_at, to_at, booking.now, from_wallet)


def _around(cmd: CreateBooking, now: datetime) -> tuple[datetime, datetime]:
    """Between which instants the asked start lies; what is no time at all is refused later, by name."""
    if cmd.start_at is not None:
        try:
            start_at = to_utc(cmd.start_at)
        except InstantError:
            return now, now
        return start_at, start_at
    try:
        day_at = datetime.fromisoformat(cmd.scheduled_date or "").replace(tzinfo=UTC)
        return day_at - _ZONE_SPREAD, day_at + timedelta(days=1) + _ZONE_SPREAD
    except (ValueError, OverflowError):
        return now, now


def placed(
    cmd: CreateBooking, facts: BookingFacts, booking_id: BookingId, customer_id: UserId, now: datetime
) -> BookingCreated:
    """Find the start, the staff member and the price that the booking has from now on.

    Raises: Invalid, NotFound, PairBlocked, SlotTaken, SlotUnavailable, NoStaffFree, OwnBooking, LimitReached,
        TermsChanged, InsufficientFunds.
    """
    require_offered(facts)
    if (cmd.user_lat is None) != (cmd.user_long is None):
        raise Invalid(**{"user_lat" if cmd.user_lat is None else "user_long": "missing"})
    service, business = facts.service, facts.business
    terms = slot_terms(facts)
    starts_at = asked_start(cmd, business.zone)
    held, job = busy_for(starts_at, terms)
    unpaid.require_no_own(facts, job)
    staff = choose_staff(facts, terms, starts_at, now, asked_for=cmd.staff_id)
    price = price_snapshot(
        Money(service.price_minor, service.currency),
        staff_is_owner=staff.is_owner,
        others_offering=facts.others_offering(staff.staff_id),
    )
    _require_expected(cmd, price, job, staff)
    place = None
    if cmd.payment_method is PaymentMethod.WALLET:
        if facts.wallet_minor < price.total_minor:
            raise InsufficientFunds(balance_minor=facts.wallet_minor, currency=price.currency)
    elif price.total_minor:
        place = unpaid.free_place(facts, now)
    return BookingCreated(
        number=human_number(booking_id),
        customer_id=customer_id,
        business_id=business.id,
        owner_id=business.owner_id,
        staff_id=staff.staff_id,
        service_id=service.id,
        title=service.title,
        starts_at=job.from_at,
        ends_at=job.to_at,
        busy_from=held.from_at,
        busy_until=held.to_at,
        local_start=to_local(job.from_at, business.zone).replace(tzinfo=None),
        zone=business.zone,
        price=price,
        commission_bp=business.commission_bp,
        payment_method=cmd.payment_method,
        hold_id=booking_id,
        approve_by=min(now + APPROVAL_WINDOW, starts_at - terms.lead_time),
        created_at=now,
        approved=business.auto_approve,
        unpaid_place=place,
    )


def _require_expected(cmd: CreateBooking, price: PriceSnapshot, job: Span, staff: StaffFacts) -> None:
    """The terms are those that the customer saw (rule B-32). Raises: Invalid, TermsChanged."""
    try:
        amount_minor = None
        if cmd.expected_amount is not None:
            amount_minor = from_major(cmd.expected_amount, price.currency).amount_minor
    except MoneyError as error:
        raise Invalid(expected_amount=error.code) from error
    try:
        end_at = None if cmd.expected_end_at is None else to_utc(cmd.expected_end_at)
    except InstantError as error:
        raise Invalid(expected_end_at=error.code) from error
    if amount_minor in (None, price.total_minor) and end_at in (None, job.to_at):
        return
    raise TermsChanged(
        total_amount=major_number(price.total_minor, price.currency),
        total_amount_minor=price.total_minor,
        currency=price.currency,
        start_at=job.from_at,
        end_at=job.to_at,
        staff_id=staff.staff_id,
    )


def require_offered(facts: BookingFacts) -> None:
    """The customer may book the service. Raises: NotFound, PairBlocked."""
    if not (facts.service.is_active and facts.business.is_active):
        raise NotFound(entity="service", id=str(facts.service.id))
    if facts.blocked:
        raise PairBlocked()


def late_ask(booking: Actor[BookingState], cmd: RecordPayment) -> LateBookingAsk:
    """What a late payment has to know: nothing unless the booking has expired."""
    state = booking.state
    if state.status is not BookingStatus.EXPIRED:
        return LateBookingAsk(None)
    who = (state.service_id, state.staff_id, state.customer_id)
    return LateBookingAsk(BookingAsk(*who, state.starts_at, state.starts_at, booking.now))


def revivable(state: BookingState, late: LateBooking, now: datetime) -> bool:
    """Whether every rule of a new booking but the lead time holds for an expired one, as it was booked (rule B-5)."""
    if late.facts is None or state.starts_at <= now:
        return False
    terms = SlotTerms(
        duration=state.ends_at - state.starts_at,
        buffer_before=state.starts_at - state.busy_from,
        buffer_after=state.busy_until - state.ends_at,
    )
    try:
        require_offered(late.facts)
        choose_staff(late.facts, terms, state.starts_at, now, asked_for=state.staff_id)
    except Rejected:
        return False
    return True


def slot_terms(facts: BookingFacts) -> SlotTerms:
    """What the service and its business ask of a slot."""
    service = facts.service
    return SlotTerms(
        duration=timedelta(minutes=service.duration_minutes),
        buffer_before=timedelta(minutes=service.buffer_before_minutes),
        buffer_after=timedelta(minutes=service.buffer_after_minutes),
        lead_time=timedelta(minutes=facts.business.lead_time_minutes),
    )


def diary_of(staff: StaffFacts, facts: BookingFacts) -> StaffSchedule:
    """What a staff member's time is already given to."""
    return StaffSchedule(
        opening=facts.business.hours,
        working=staff.working,
        busy=[_busy(span) for span in staff.busy],
        overrunning=staff.overrunning,
    )


def asked_start(cmd: CreateBooking, zone: str) -> datetime:
    """The start that the customer means. Raises: Invalid."""
    if cmd.start_at is not None:
        try:
            return to_utc(cmd.start_at)
        except InstantError as error:
            raise Invalid(start_at=error.code) from error
    day, clock = cmd.scheduled_date, cmd.scheduled_time
    if day is None and clock is None:
        raise Invalid(start_at="missing")
    if day is None:
        raise Invalid(scheduled_date="missing")
    if clock is None:
        raise Invalid(scheduled_time="missing")
    return _local_start(day, clock, zone)


def _local_start(day: str, clock: str, zone: str) -> datetime:
    """The instant at which the business's wall clock shows that. Raises: Invalid."""
    try:
        on = date.fromisoformat(day)
    except ValueError as error:
        raise Invalid(scheduled_date="bad_format") from error
    try:
        return to_instant(datetime.combine(on, time.fromisoformat(clock)), zone)
    except (LocalTimeError, InstantError) as error:
        raise Invalid(scheduled_time=error.code) from error
    except ValueError as error:
        raise Invalid(scheduled_time="bad_format") from error


def choose_staff(
    facts: BookingFacts, terms: SlotTerms, starts_at: datetime, now: datetime, *, asked_for: UserId | None
) -> StaffFacts:
    """The staff member asked for, or the best-rated free one; of equals the owner, who costs more, comes last.

    Raises: NoStaffFree, SlotTaken, SlotUnavailable.
    """
    why = SlotReason.STAFF_OFF
    for staff in sorted(facts.staff, key=lambda member: (-member.rating, member.is_owner, member.staff_id)):
        reason = unavailable_reason(starts_at, terms, diary_of(staff, facts), now)
        if reason is None:
            return staff
        why = reason
    if asked_for is None and why not in _NOBODY_HELPS:
        raise NoStaffFree()
    if why in (SlotReason.BUSY, SlotReason.BUFFER):
        raise SlotTaken()
    raise SlotUnavailable(reason=why.value)


def _busy(span: BusySpan) -> BusyTime:
    return BusyTime(Span(span.held_from_at, span.held_to_at), Span(span.job_from_at, span.job_to_at))
