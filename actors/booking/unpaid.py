"""Bounds on a customer's unpaid holds, so that nobody fills a calendar without paying (rule B-31).

An unpaid hold takes one of the customer's places, and the one place of the customer at its business. Both are keys that
the commit claims; they are released when the hold is paid or ends.
"""

from datetime import datetime

from actors.actor import Actor, derives
from actors.booking.state import BookingState
from actors.rules.hours import Span
from protocol.booking.facts import BookingFacts, UnpaidHold
from protocol.booking.terms import EXPIRED_WITHIN, PAYMENT_WINDOW
from protocol.effects import UniqueKey
from protocol.errors import Conflict, LimitReached, OwnBooking
from protocol.ids import human_number

#: So many unpaid holds of a customer may expire at one business, within ``EXPIRED_WITHIN``, before the next one waits.
EXPIRED_MAX = 2

# Never returned: with facts a lost claim causes a rerun.
PLACE = UniqueKey("unpaid_hold", taken=Conflict)
BUSINESS_PLACE = UniqueKey("unpaid_hold_with", taken=Conflict)


def require_no_own(facts: BookingFacts, job: Span) -> None:
    """The customer has no unpaid hold at that time. Raises: OwnBooking."""
    for hold in facts.unpaid:
        if not hold.expired and job.overlaps(Span(hold.starts_at, hold.ends_at)):
            raise OwnBooking(booking_id=hold.booking_id, number=human_number(hold.booking_id))


def free_place(facts: BookingFacts, now: datetime) -> int | None:
    """The place that one more unpaid hold takes; None if they are not bounded. Raises: LimitReached."""
    if not facts.unpaid_holds_max:
        return None
    held = [hold for hold in facts.unpaid if not hold.expired]
    here = [hold for hold in held if hold.business_id == facts.business.id]
    if here:
        raise _wait("unpaid_holds_per_business", _expires_at(here[0]), now)
    if len(held) >= facts.unpaid_holds_max:
        raise _wait("unpaid_holds", min(_expires_at(hold) for hold in held), now)
    expired = sorted(_expires_at(hold) for hold in facts.unpaid if hold.expired)
    if len(expired) >= EXPIRED_MAX and (again_at := expired[-EXPIRED_MAX] + EXPIRED_WITHIN) > now:
        raise _wait("expired_unpaid_holds", again_at, now)
    taken = {hold.place for hold in held}
    return next(place for place in range(facts.unpaid_holds_max) if place not in taken)


@derives
def hold_place(booking: Actor[BookingState], before: BookingState | None) -> None:
    """Claim the places of a new unpaid hold; release them once it is paid or over."""
    state = booking.state
    was = None if before is None else before.unpaid_place
    if before is None and state.unpaid_place is not None:
        booking.claim_key(PLACE, f"{state.customer_id}/{state.unpaid_place}")
        booking.claim_key(BUSINESS_PLACE, f"{state.customer_id}/{state.business_id}")
    elif was is not None and state.unpaid_place is None:
        booking.release_key(PLACE, f"{state.customer_id}/{was}")
        booking.release_key(BUSINESS_PLACE, f"{state.customer_id}/{state.business_id}")


def _expires_at(hold: UnpaidHold) -> datetime:
    return hold.created_at + PAYMENT_WINDOW


def _wait(limit: str, until: datetime, now: datetime) -> LimitReached:
    return LimitReached(limit=limit, retry_after_s=max(1, round((until - now).total_seconds())))
