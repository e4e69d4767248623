"""What can be asked of a booking, in the order of its life."""

from typing import Annotated

from msgspec import Meta

from protocol.booking.terms import DeclineReason, Notes
from protocol.booking.views import BookingReply, PaymentReply
from protocol.errors import (
    InsufficientFunds,
    Invalid,
    LimitReached,
    NoStaffFree,
    OwnBooking,
    PairBlocked,
    SlotTaken,
    SlotUnavailable,
    TermsChanged,
    TooEarly,
    WrongState,
)
from protocol.ids import BookingId, Kind, PaymentId, ServiceId, UserId
from protocol.instants import Instant
from protocol.payment.subjects import Payable, payable
from protocol.payment.terms import PaymentMethod
from protocol.places import Latitude, Longitude
from protocol.rates import per_minute
from protocol.registry import Command, Route, Wire, command
from protocol.roles import ANYONE, CUSTOMERS, INTERNAL, PROVIDERS
from protocol.service.terms import Price

#: A date on the business's calendar.
ScheduledDate = Annotated[
    str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)", extra_json_schema={"format": "date"})
]
#: The phases are left out of the enum: some generators refuse values that differ only in case.
SettableStatus = Annotated[
    str,
    Meta(
        description="The phases ongoing, completed and cancelled are accepted too (rule W-4)",
        extra_json_schema={"enum": ["CONFIRMED", "IN_PROGRESS", "COMPLETED", "CANCELLED"]},
    ),
]


@command(
    "booking.create",
    actor=Kind.BOOKING,
    creates=True,
    status=201,
    by=CUSTOMERS,
    routes=("POST /bookings/",),
    reply=BookingReply,
    errors=(
        SlotTaken,
        SlotUnavailable,
        NoStaffFree,
        OwnBooking,
        LimitReached,
        TermsChanged,
        InsufficientFunds,
        PairBlocked,
    ),
    rate=per_minute(30),
)
class CreateBooking(Command, frozen=True, kw_only=True):
    """Book a service at a time; the slot is held at once, for 15 minutes until it is paid.

    The time is ``start_at``, or ``scheduled_date`` and ``scheduled_time`` on the business's clock. Without ``staff_id``
    the best-rated free staff member gets the job.
    """

    service_id: ServiceId
    start_at: Instant | None = None
    scheduled_date: ScheduledDate | None = None
    scheduled_time: Annotated[str, Meta(pattern=r"^[0-9]{2}:[0-9]{2}(:[0-9]{2})?$(?!\n)")] | None = None
    staff_id: UserId | None = None
    payment_method: PaymentMethod = PaymentMethod.CARD
    notes: Notes = ""
    address: Annotated[str, Meta(max_length=500)] = ""
    user_lat: Latitude | None = None
    user_long: Longitude | None = None
    #: What the customer saw, in major units, and when it would end; refused if it is another amount or end now.
    expected_amount: Price | None = None
    expected_end_at: Instant | None = None


@command(
    "booking.pay",
    actor=Kind.BOOKING,
    by=CUSTOMERS,
    routes=("POST /bookings/{booking_id}/pay",),
    reply=PaymentReply,
    errors=(WrongState,),
)
class PayBooking(Command, frozen=True, kw_only=True):
    """Ask for the payment page of a booking. The payment counts when the gateway confirms it."""

    booking_id: BookingId


class AcceptJob(Wire, frozen=True, kw_only=True):
    """An app's acceptance of a job request."""

    id: BookingId

    def to_command(self) -> "ApproveBooking":
        return ApproveBooking(booking_id=self.id)


@command(
    "booking.approve",
    actor=Kind.BOOKING,
    by=PROVIDERS,
    routes=("POST /bookings/{booking_id}/approve", Route("PUT", "/providers/jobs/{id}/accept/", AcceptJob)),
    reply=BookingReply,
    errors=(WrongState,),
)
class ApproveBooking(Command, frozen=True, kw_only=True):
    """The assigned staff member, or a manager, takes the job. Confirmed once it is paid too."""

    booking_id: BookingId


class DeclineJob(Wire, frozen=True, kw_only=True):
    """An app's refusal of a job request."""

    id: BookingId
    reason_code: DeclineReason
    note: Notes | None = None

    def to_command(self) -> "DeclineBooking":
        return DeclineBooking(booking_id=self.id, reason_code=self.reason_code, note=self.note)


@command(
    "booking.decline",
    actor=Kind.BOOKING,
    by=PROVIDERS,
    routes=("POST /bookings/{booking_id}/decline", Route("PUT", "/providers/jobs/{id}/decline/", DeclineJob)),
    reply=BookingReply,
    errors=(WrongState, Invalid),
)
class DeclineBooking(Command, frozen=True, kw_only=True):
    """The assigned staff member, or a manager, refuses the job. Its time is free again."""

    booking_id: BookingId
    reason_code: DeclineReason
    note: Notes | None = None


class ChangeStatus(Wire, frozen=True, kw_only=True):
    """An app's one route for all steps; takes a phase or a status (rule W-4)."""

    booking_id: BookingId
    status: SettableStatus

    def to_command(self) -> Command:
        """Raises: Invalid, for a status that nobody can set."""
        step = _STEPS.get(self.status)
        if step is None:
            raise Invalid(status="unknown_value")
        return step(booking_id=self.booking_id)


@command(
    "booking.cancel",
    actor=Kind.BOOKING,
    by=ANYONE,
    routes=(
        "POST /bookings/{booking_id}/cancel",
        "PUT /bookings/{booking_id}/cancel/",
        Route("PUT", "/bookings/{booking_id}/status/", ChangeStatus),
    ),
    reply=BookingReply,
    errors=(WrongState,),
)
class CancelBooking(Command, frozen=True, kw_only=True):
    """Customer or provider calls the booking off before it starts; what was paid goes to the customer's wallet."""

    booking_id: BookingId
    reason: Notes | None = None


@command(
    "booking.start",
    actor=Kind.BOOKING,
    by=PROVIDERS,
    routes=("POST /bookings/{booking_id}/start",),
    reply=BookingReply,
    errors=(WrongState, TooEarly),
)
class StartBooking(Command, frozen=True, kw_only=True):
    """The job begins, at the earliest an hour before its start; its timer runs on the server."""

    booking_id: BookingId


@command(
    "booking.complete",
    actor=Kind.BOOKING,
    by=PROVIDERS,
    routes=("POST /bookings/{booking_id}/complete",),
    reply=BookingReply,
    errors=(WrongState, TooEarly),
)
class CompleteBooking(Command, frozen=True, kw_only=True):
    """The job is done, after its start; the money waits 24 hours for the customer's word (rule M-5)."""

    booking_id: BookingId


@command(
    "booking.confirm_release",
    actor=Kind.BOOKING,
    by=CUSTOMERS,
    routes=("POST /bookings/{booking_id}/confirm-release",),
    reply=BookingReply,
    errors=(WrongState,),
)
class ConfirmRelease(Command, frozen=True, kw_only=True):
    """The customer is content: the money goes to the business now, less commission."""

    booking_id: BookingId


#: What each status or phase asks for when it is set.
_STEPS: dict[str, type[Command]] = {
    "CONFIRMED": ApproveBooking,
    "IN_PROGRESS": StartBooking,
    "ongoing": StartBooking,
    "COMPLETED": CompleteBooking,
    "completed": CompleteBooking,
    "CANCELLED": CancelBooking,
    "cancelled": CancelBooking,
}


@command("booking.record_payment", actor=Kind.BOOKING, by=INTERNAL)
class RecordPayment(Command, frozen=True, kw_only=True):
    """The booking's payment is captured, and its money is unallocated."""

    booking_id: BookingId
    payment_id: PaymentId
    #: The payment's own version, by which a message that is older than what is known is ignored.
    payment_version: int
    amount_minor: int
    currency: str


@command("booking.record_refund", actor=Kind.BOOKING, by=INTERNAL)
class RecordRefund(Command, frozen=True, kw_only=True):
    """The gateway has sent the payment back to its source."""

    booking_id: BookingId
    payment_id: PaymentId
    payment_version: int
    amount_minor: int
    currency: str


payable(Kind.BOOKING, Payable(captured=RecordPayment, returned=RecordRefund))


@command("booking.expire", actor=Kind.BOOKING, by=INTERNAL)
class ExpireBooking(Command, frozen=True, kw_only=True):
    """Timer: 15 minutes have passed without a payment."""

    booking_id: BookingId


@command("booking.lapse", actor=Kind.BOOKING, by=INTERNAL)
class LapseApproval(Command, frozen=True, kw_only=True):
    """Timer: paid, but nobody approved in time; goes as a decline that does not count."""

    booking_id: BookingId


@command("booking.give_up", actor=Kind.BOOKING, by=INTERNAL)
class GiveUpBooking(Command, frozen=True, kw_only=True):
    """Timer: declined and still unresolved at its start."""

    booking_id: BookingId


@command("booking.remind", actor=Kind.BOOKING, by=INTERNAL)
class RemindCustomer(Command, frozen=True, kw_only=True):
    """Timer: one hour to go."""

    booking_id: BookingId


@command("booking.auto_release", actor=Kind.BOOKING, by=INTERNAL)
class AutoRelease(Command, frozen=True, kw_only=True):
    """Timer: 24 hours after completion nobody has objected."""

    booking_id: BookingId


@command("booking.staff_left", actor=Kind.BOOKING, by=INTERNAL)
class FlagStaffLeft(Command, frozen=True, kw_only=True):
    """The assigned staff member left the business, so that the managers have to see to the booking."""

    booking_id: BookingId
    staff_id: UserId


@command("booking.ask_about_start", actor=Kind.BOOKING, by=INTERNAL)
class AskAboutStart(Command, frozen=True, kw_only=True):
    """Timer: two hours after the planned end the job has not started."""

    booking_id: BookingId


@command("booking.mark_no_show", actor=Kind.BOOKING, by=INTERNAL)
class MarkNoShow(Command, frozen=True, kw_only=True):
    """Timer: 24 hours after the question the job has still not started."""

    booking_id: BookingId


@command("booking.alert_owner", actor=Kind.BOOKING, by=INTERNAL)
class AlertOwner(Command, frozen=True, kw_only=True):
    """Timer: the job is in progress 12 hours past its estimate."""

    booking_id: BookingId


@command("booking.complete_overdue", actor=Kind.BOOKING, by=INTERNAL)
class CompleteOverdue(Command, frozen=True, kw_only=True):
    """Timer: the job is in progress 48 hours past its estimate."""

    booking_id: BookingId
