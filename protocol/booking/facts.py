"""What a booking decision needs to know of the catalogue and of the staff's time; loaded before the turn.

Facts may be stale by commit time: two bookings for one slot are told apart by the claim on it, never by these.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from protocol.ids import BookingId, BusinessId, ServiceId, UserId
from protocol.instants import OpenHours
from protocol.money import Currency

#: The rating of a staff member without reviews, of 5 (rule B-6).
RATING_PRIOR = 4.0


class BookingAsk(NamedTuple):
    """Who could do this service for this customer, and what else they have to do then."""

    service_id: ServiceId
    #: None: anybody who offers it.
    staff_id: UserId | None
    #: None: nobody in particular, so nobody is blocked.
    customer_id: UserId | None
    #: Between which starts; the service's duration and buffers are added by the loader.
    around_from: datetime
    around_to: datetime
    now: datetime
    #: Whether the customer pays from their wallet, so that its balance is looked up.
    from_wallet: bool = False


class ServiceFacts(Struct, frozen=True, kw_only=True):
    """One service as the catalogue has it now."""

    id: ServiceId
    business_id: BusinessId
    title: str
    price_minor: int
    currency: Currency
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    is_active: bool


class BusinessFacts(Struct, frozen=True, kw_only=True):
    """The business that offers it."""

    id: BusinessId
    owner_id: UserId
    zone: str
    hours: OpenHours
    lead_time_minutes: int
    auto_approve: bool
    commission_bp: int
    is_active: bool


class BusySpan(Struct, frozen=True):
    """Time that a staff member has given to a subject (a booking, …), half open."""

    subject_id: UUID
    #: What is reserved: job and buffers.
    held_from_at: datetime
    held_to_at: datetime
    #: The job alone; the same as what is held where that is not known.
    job_from_at: datetime
    job_to_at: datetime


class StaffFacts(Struct, frozen=True, kw_only=True):
    """An active member of the business who offers the service."""

    staff_id: UserId
    is_owner: bool
    #: The Bayesian mean of their reviews, 0 to 5.
    rating: float
    #: None: whenever the business is open.
    working: OpenHours | None
    #: What overlaps the range asked about, in order.
    busy: tuple[BusySpan, ...]
    #: Whether a job is in progress past its estimate.
    overrunning: bool


class UnpaidHold(Struct, frozen=True, kw_only=True):
    """A customer's hold that is not paid: open, or expired within a day at the business in question."""

    booking_id: BookingId
    business_id: BusinessId
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    #: Which of the customer's places it takes; None: it has expired.
    place: int | None

    @property
    def expired(self) -> bool:
        """Whether it is over."""
        return self.place is None


class BookingFacts(Struct, frozen=True, kw_only=True):
    """All that a booking decision looks at."""

    service: ServiceFacts
    business: BusinessFacts
    #: The staff member asked for, or, if none was, all of ``offering``. Empty: nobody (or not that one) offers it.
    staff: tuple[StaffFacts, ...]
    #: Every active member who offers the service, longest with the business first.
    offering: tuple[UserId, ...]
    #: Whether business and customer do not deal with each other any more.
    blocked: bool
    #: The customer's unpaid holds, and how many there may be; 0: they are not bounded, and not looked up.
    unpaid: tuple[UnpaidHold, ...] = ()
    unpaid_holds_max: int = 0
    #: The balance of the customer's wallet in the service's currency, if it was looked up.
    wallet_minor: int = 0

    def others_offering(self, staff_id: UserId) -> int:
        """Count the active members who offer the service beside this one: what the owner's premium hangs on."""
        return sum(offered != staff_id for offered in self.offering)


class LateBookingAsk(NamedTuple):
    """What a booking that has expired would be booked by now."""

    #: None: it has not expired, so nothing is looked up.
    expired: BookingAsk | None


class LateBooking(Struct, frozen=True, kw_only=True):
    """What the revival of an expired booking looks at. May be stale: reviving claims the slot."""

    #: None: it has not expired, or its service is gone.
    facts: BookingFacts | None
