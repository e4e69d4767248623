"""What happens to a booking. Ids, codes and amounts only."""

from datetime import datetime
from uuid import UUID

from protocol.booking.terms import DeclineReason, ReleaseCause
from protocol.events import Event
from protocol.ids import BusinessId, PaymentId, ServiceId, UserId
from protocol.money import PriceSnapshot
from protocol.payment.terms import PaymentMethod


class BookingCreated(Event, frozen=True, kw_only=True):
    """A slot is held and waits for payment."""

    number: str
    customer_id: UserId
    business_id: BusinessId
    owner_id: UserId
    staff_id: UserId
    service_id: ServiceId
    title: str
    starts_at: datetime
    ends_at: datetime
    #: The start on the wall clocks of ``zone``.
    local_start: datetime
    busy_from: datetime
    busy_until: datetime
    zone: str
    price: PriceSnapshot
    commission_bp: int
    payment_method: PaymentMethod
    hold_id: UUID
    approve_by: datetime
    created_at: datetime
    #: The business approves by itself.
    approved: bool = False


class PaymentRequested(Event, frozen=True, kw_only=True):
    """The customer is on the way to the gateway."""

    payment_id: PaymentId
    amount_minor: int
    currency: str
    at: datetime


class BookingPaid(Event, frozen=True, kw_only=True):
    """The payment is secured and in escrow."""

    payment_id: PaymentId
    #: The payment's own version; 0 without a payment at a gateway.
    payment_version: int = 0
    amount_minor: int
    currency: str
    at: datetime


class BookingApproved(Event, frozen=True, kw_only=True):
    """The provider takes the job."""

    by: UserId


class BookingConfirmed(Event, frozen=True, kw_only=True):
    """Paid and approved."""


class BookingDeclined(Event, frozen=True, kw_only=True):
    """The provider refuses the job; ``counted`` says whether it weighs on the staff member's ranking."""

    by: UserId
    staff_id: UserId
    reason_code: DeclineReason
    counted: bool


class BookingCancelled(Event, frozen=True, kw_only=True):
    """Called off by one of the parties."""

    by: UserId


class BookingAbandoned(Event, frozen=True, kw_only=True):
    """Declined and unresolved at its start: cancelled by the system."""


class BookingExpired(Event, frozen=True, kw_only=True):
    """Nobody paid in time; the slot is free."""


class BookingRevived(Event, frozen=True, kw_only=True):
    """A payment came late, and the slot was still free."""

    hold_id: UUID


class BookingStarted(Event, frozen=True, kw_only=True):
    """The job runs."""

    at: datetime


class BookingCompleted(Event, frozen=True, kw_only=True):
    """The job is done; the money is released by then at the latest."""

    at: datetime
    release_at: datetime


class BookingReleased(Event, frozen=True, kw_only=True):
    """The money is the business's."""

    amount_minor: int
    commission_minor: int
    currency: str
    cause: ReleaseCause


class BookingRefunded(Event, frozen=True, kw_only=True):
    """The money went back to the customer's wallet."""

    amount_minor: int
    currency: str


class BookingReminded(Event, frozen=True, kw_only=True):
    """The customer was told that it starts within the hour."""

    starts_at: datetime


class PaymentUnplaced(Event, frozen=True, kw_only=True):
    """A payment came for a booking that is no more; it goes back to its source."""

    payment_id: PaymentId
    payment_version: int = 0
    amount_minor: int
    currency: str


class PaymentReturned(Event, frozen=True, kw_only=True):
    """The gateway has paid it back."""

    payment_id: PaymentId
    payment_version: int = 0
    amount_minor: int
    currency: str
