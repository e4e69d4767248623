"""What a booking remembers, and how events change it."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from actors.rules.holds import Hold
from protocol.booking.commands import (
    AlertOwner,
    ApproveBooking,
    AskAboutStart,
    AutoRelease,
    CancelBooking,
    CompleteBooking,
    CompleteOverdue,
    ConfirmRelease,
    DeclineBooking,
    ExpireBooking,
    FlagStaffLeft,
    GiveUpBooking,
    LapseApproval,
    MarkNoShow,
    PayBooking,
    RemindCustomer,
    StartBooking,
)
from protocol.booking.events import (
    BookingAbandoned,
    BookingApproved,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingCreated,
    BookingDeclined,
    BookingEndOverdue,
    BookingExpired,
    BookingNoShow,
    BookingPaid,
    BookingRefunded,
    BookingReleased,
    BookingReminded,
    BookingRevived,
    BookingStaffLeft,
    BookingStarted,
    BookingStartOverdue,
    PaymentRequested,
    PaymentReturned,
    PaymentUnplaced,
)
from protocol.booking.terms import NEEDS_STAFF, BookingStatus, DeclineReason, PaymentStatus
from protocol.effects import HoldStatus
from protocol.events import Event
from protocol.ids import BusinessId, PaymentId, ServiceId, UserId
from protocol.money import Money, PriceSnapshot
from protocol.payment.terms import PaymentMethod
from protocol.registry import Command

S = BookingStatus
#: From which statuses each command may come.
TRANSITIONS: dict[type[Command], frozenset[BookingStatus]] = {
    PayBooking: frozenset({S.PENDING}),
    ApproveBooking: frozenset({S.PENDING}),
    DeclineBooking: frozenset({S.PENDING, S.CONFIRMED}),
    CancelBooking: frozenset({S.PENDING, S.CONFIRMED, S.DECLINED}),
    StartBooking: frozenset({S.CONFIRMED}),
    CompleteBooking: frozenset({S.IN_PROGRESS}),
    ConfirmRelease: frozenset({S.COMPLETED}),
    ExpireBooking: frozenset({S.PENDING}),
    LapseApproval: frozenset({S.PENDING}),
    GiveUpBooking: frozenset({S.DECLINED}),
    RemindCustomer: frozenset({S.CONFIRMED}),
    AutoRelease: frozenset({S.COMPLETED}),
    FlagStaffLeft: NEEDS_STAFF,
    AskAboutStart: frozenset({S.CONFIRMED}),
    MarkNoShow: frozenset({S.CONFIRMED}),
    AlertOwner: frozenset({S.IN_PROGRESS}),
    CompleteOverdue: frozenset({S.IN_PROGRESS}),
}


class BookingState(Struct, frozen=True, kw_only=True):
    """What a booking needs to remember."""

    number: str
    status: BookingStatus
    customer_id: UserId
    business_id: BusinessId
    owner_id: UserId
    staff_id: UserId
    service_id: ServiceId
    title: str
    starts_at: datetime
    ends_at: datetime
    #: The held time, buffers included.
    busy_from: datetime
    busy_until: datetime
    #: The start on the wall clocks of ``zone``, as it was booked.
    local_start: datetime
    zone: str
    price: PriceSnapshot
    payment_method: PaymentMethod
    payment_status: PaymentStatus = PaymentStatus.UNPAID
    payment_id: PaymentId | None = None
    #: The payment's version as of its last message.
    payment_version: int = 0
    payment_requested_at: datetime | None = None
    captured_at: datetime | None = None
    #: What came for nothing and is on its way back to its source.
    unplaced: Money | None = None
    hold: Hold
    approved: bool = False
    approve_by: datetime
    reason_code: DeclineReason | None = None
    actual_start_at: datetime | None = None
    actual_end_at: datetime | None = None
    created_at: datetime
    #: When the staff member left the business; they are no party any more.
    staff_left_at: datetime | None = None
    #: Which of the customer's places for unpaid holds it takes.
    unpaid_place: int | None = None
    version: int = 1

    @property
    def staff(self) -> tuple[UserId, ...]:
        """The staff member, as long as they are a party."""
        return () if self.staff_left_at else (self.staff_id,)


def after(state: BookingState | None, event: Event) -> BookingState:
    """The state after the event."""
    if isinstance(event, BookingCreated):
        return _born(event)
    assert state is not None, f"{event.type} before booking.created"
    changed = _changed(state, event)
    unpaid = changed.status is S.PENDING and changed.payment_status is PaymentStatus.UNPAID
    place = changed.unpaid_place if unpaid else None
    return replace(changed, unpaid_place=place, version=state.version + 1)


def _born(event: BookingCreated) -> BookingState:
    return BookingState(
        number=event.number,
        status=S.PENDING,
        customer_id=event.customer_id,
        business_id=event.business_id,
        owner_id=event.owner_id,
        staff_id=event.staff_id,
        service_id=event.service_id,
        title=event.title,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        busy_from=event.busy_from,
        busy_until=event.busy_until,
        local_start=event.local_start,
        zone=event.zone,
        price=event.price,
        payment_method=event.payment_method,
        hold=Hold(
            hold_id=event.hold_id,
            business_id=event.business_id,
            amount_minor=event.price.total_minor,
            currency=event.price.currency,
            commission_bp=event.commission_bp,
        ),
        approved=event.approved,
        approve_by=event.approve_by,
        created_at=event.created_at,
        unpaid_place=event.unpaid_place,
    )


def _changed(state: BookingState, event: Event) -> BookingState:  # noqa: PLR0911, PLR0912  # one arm an event
    match event:
        case PaymentRequested():
            return replace(state, payment_id=event.payment_id, payment_requested_at=event.at)
        case BookingPaid():
            requested_at = state.payment_requested_at or event.at
            return replace(
                state,
                payment_status=PaymentStatus.SECURED,
                payment_id=event.payment_id,
                payment_version=event.payment_version,
                payment_requested_at=requested_at,
                captured_at=event.at,
                hold=_held(state, HoldStatus.FUNDED),
            )
        case BookingApproved():
            return replace(state, approved=True)
        case BookingConfirmed():
            return replace(state, status=S.CONFIRMED)
        case BookingDeclined():
            return replace(state, status=S.DECLINED, approved=False, reason_code=event.reason_code)
        case BookingCancelled():
            return replace(state, status=S.CANCELLED, hold=_hold_at_end(state))
        case BookingAbandoned():
            return replace(state, status=S.CANCELLED_BY_SYSTEM, hold=_hold_at_end(state))
        case BookingExpired():
            return replace(state, status=S.EXPIRED, hold=_held(state, HoldStatus.VOIDED))
        case BookingRevived():
            return replace(
                state, status=S.PENDING, hold=replace(state.hold, hold_id=event.hold_id, status=HoldStatus.HELD)
            )
        case BookingStarted():
            return replace(state, status=S.IN_PROGRESS, actual_start_at=event.at)
        case BookingCompleted():
            hold = _held(state, HoldStatus.PENDING_CLEARANCE)
            return replace(state, status=S.COMPLETED, actual_end_at=event.at, hold=hold)
        case BookingReleased():
            return replace(state, hold=_held(state, HoldStatus.POSTED))
        case BookingRefunded():
            return replace(state, hold=_held(state, HoldStatus.VOIDED), payment_status=PaymentStatus.REFUNDED)
        case PaymentUnplaced():
            unplaced = Money(event.amount_minor, event.currency)
            return replace(
                state,
                payment_status=PaymentStatus.REFUNDING,
                payment_version=event.payment_version,
                unplaced=unplaced,
            )
        case PaymentReturned():
            return replace(
                state,
                payment_status=PaymentStatus.REFUNDED,
                payment_version=event.payment_version,
                unplaced=None,
            )
        case BookingNoShow():
            return replace(state, status=S.NO_SHOW, hold=_hold_at_end(state))
        case BookingReminded() | BookingStartOverdue() | BookingEndOverdue():
            return state
        case BookingStaffLeft():
            return replace(state, staff_left_at=event.at)
    raise AssertionError(f"a booking does not know {event.type}")


def _held(state: BookingState, status: HoldStatus) -> Hold:
    """The hold in another status."""
    return replace(state.hold, status=status)


def _hold_at_end(state: BookingState) -> Hold:
    """A hold that was never paid ends with its booking; a paid one ends with the refund."""
    return state.hold if state.payment_status is PaymentStatus.SECURED else _held(state, HoldStatus.VOIDED)
