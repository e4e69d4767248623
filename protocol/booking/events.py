"""What happens to a booking. Ids, codes and amounts only."""

from datetime import datetime
from uuid import UUID

from protocol.booking.terms import CompletionCause, DeclineReason, ReleaseCause
from protocol.events import Event, event
from protocol.ids import BusinessId, PaymentId, ServiceId, UserId
from protocol.money import PriceSnapshot
from protocol.notification.types import ANY_CHANNEL, EMAIL_ONLY, PUSH_AND_EMAIL, Party, tell, tell_of_money
from protocol.payment.terms import PaymentMethod


@event("booking.created")
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
    #: Which of the customer's places for unpaid holds it takes; None: it needs none.
    unpaid_place: int | None = None


@event("payment.requested")
class PaymentRequested(Event, frozen=True, kw_only=True):
    """The customer is on the way to the gateway."""

    payment_id: PaymentId
    amount_minor: int
    currency: str
    at: datetime


@event("booking.paid", tell=tell({Party.STAFF, Party.OWNER}, ANY_CHANNEL))
class BookingPaid(Event, frozen=True, kw_only=True):
    """The payment is secured and in escrow."""

    payment_id: PaymentId
    #: The payment's own version; 0 without a payment at a gateway.
    payment_version: int = 0
    amount_minor: int
    currency: str
    at: datetime


@event("booking.approved")
class BookingApproved(Event, frozen=True, kw_only=True):
    """The provider takes the job."""

    by: UserId


@event(
    "booking.confirmed",
    tell=tell({Party.CUSTOMER, Party.STAFF}, ANY_CHANNEL),
    refetch=(
        "customer_contact",
        "notes",
    ),
)
class BookingConfirmed(Event, frozen=True, kw_only=True):
    """Paid and approved."""


@event(
    "booking.declined",
    tell=tell({Party.CUSTOMER, Party.OWNER}, ANY_CHANNEL),
    refetch=(
        "remarks",
        "customer_contact",
        "notes",
    ),
)
class BookingDeclined(Event, frozen=True, kw_only=True):
    """The provider refuses the job; ``counted`` says whether it weighs on the staff member's ranking."""

    by: UserId
    staff_id: UserId
    reason_code: DeclineReason
    counted: bool


@event(
    "booking.cancelled",
    tell=tell({Party.CUSTOMER, Party.STAFF, Party.OWNER}, ANY_CHANNEL),
    refetch=(
        "remarks",
        "customer_contact",
        "notes",
    ),
)
class BookingCancelled(Event, frozen=True, kw_only=True):
    """Called off by one of the parties."""

    by: UserId


@event(
    "booking.abandoned",
    tell=tell({Party.CUSTOMER, Party.OWNER}, ANY_CHANNEL),
    refetch=(
        "customer_contact",
        "notes",
    ),
)
class BookingAbandoned(Event, frozen=True, kw_only=True):
    """Declined and unresolved at its start: cancelled by the system."""


@event(
    "booking.staff_left",
    tell=tell({Party.OWNER}, ANY_CHANNEL),
    refetch=(
        "customer_contact",
        "notes",
    ),
)
class BookingStaffLeft(Event, frozen=True, kw_only=True):
    """The assigned staff member left the business and is no party any more; the managers see to the booking."""

    staff_id: UserId
    at: datetime


@event("booking.expired", tell=tell({Party.CUSTOMER}))
class BookingExpired(Event, frozen=True, kw_only=True):
    """Nobody paid in time; the slot is free."""


@event("booking.revived", tell=tell({Party.CUSTOMER, Party.STAFF}, ANY_CHANNEL))
class BookingRevived(Event, frozen=True, kw_only=True):
    """A payment came late, and the slot was still free."""

    hold_id: UUID


@event("booking.started", tell=tell({Party.CUSTOMER}))
class BookingStarted(Event, frozen=True, kw_only=True):
    """The job runs."""

    at: datetime


@event(
    "booking.completed",
    tell=tell({Party.CUSTOMER}, PUSH_AND_EMAIL),
    refetch=(
        "customer_contact",
        "notes",
    ),
)
class BookingCompleted(Event, frozen=True, kw_only=True):
    """The job is done; the money is released by then at the latest."""

    at: datetime
    release_at: datetime
    cause: CompletionCause = CompletionCause.PROVIDER


@event("booking.start_overdue", tell=tell({Party.CUSTOMER, Party.STAFF, Party.OWNER}, PUSH_AND_EMAIL))
class BookingStartOverdue(Event, frozen=True, kw_only=True):
    """The job should be over and was not started: what happened? Without a start it is a no-show by then."""

    ends_at: datetime
    no_show_at: datetime


@event(
    "booking.no_show",
    tell=tell({Party.CUSTOMER, Party.STAFF, Party.OWNER}, PUSH_AND_EMAIL),
    refetch=(
        "customer_contact",
        "notes",
    ),
)
class BookingNoShow(Event, frozen=True, kw_only=True):
    """The staff member did not come."""

    staff_id: UserId


@event("booking.end_overdue", tell=tell({Party.OWNER}, PUSH_AND_EMAIL))
class BookingEndOverdue(Event, frozen=True, kw_only=True):
    """The job is in progress long past its estimate; the server completes it by then."""

    started_at: datetime
    complete_at: datetime


@event("booking.released", tell=tell_of_money(Party.OWNER, EMAIL_ONLY))
class BookingReleased(Event, frozen=True, kw_only=True):
    """The money is the business's."""

    amount_minor: int
    commission_minor: int
    currency: str
    cause: ReleaseCause


@event("booking.refunded", tell=tell_of_money(Party.CUSTOMER, PUSH_AND_EMAIL))
class BookingRefunded(Event, frozen=True, kw_only=True):
    """The money went back to the customer's wallet."""

    amount_minor: int
    currency: str


@event("booking.reminded", tell=tell({Party.CUSTOMER}, ANY_CHANNEL, push_at_once=True, before_start=True))
class BookingReminded(Event, frozen=True, kw_only=True):
    """The customer was told that it starts within the hour."""

    starts_at: datetime


@event("payment.unplaced", tell=tell_of_money(Party.CUSTOMER, EMAIL_ONLY))
class PaymentUnplaced(Event, frozen=True, kw_only=True):
    """A payment came for a booking that is no more; it goes back to its source."""

    payment_id: PaymentId
    payment_version: int = 0
    amount_minor: int
    currency: str


@event("payment.returned", tell=tell_of_money(Party.CUSTOMER, EMAIL_ONLY))
class PaymentReturned(Event, frozen=True, kw_only=True):
    """The gateway has paid it back."""

    payment_id: PaymentId
    payment_version: int = 0
    amount_minor: int
    currency: str
