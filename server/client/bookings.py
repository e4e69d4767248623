"""How events change a booking as a client shows it: pure, one arm an event."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from protocol.booking.events import (
    BookingAbandoned,
    BookingApproved,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingCreated,
    BookingDeclined,
    BookingExpired,
    BookingPaid,
    BookingRefunded,
    BookingReleased,
    BookingReminded,
    BookingRevived,
    BookingStarted,
    PaymentRequested,
    PaymentReturned,
    PaymentUnplaced,
)
from protocol.booking.terms import PHASES, BookingStatus, EscrowStatus, PaymentStatus
from protocol.booking.views import BookingView
from protocol.events import Event
from protocol.ids import BookingId
from protocol.instants import zone_info
from protocol.money import major_number

S = BookingStatus


def new_booking(booking_id: BookingId, event: BookingCreated) -> BookingView:
    """A booking that was just made."""
    local = event.starts_at.astimezone(zone_info(event.zone))
    total_minor, currency = event.price.total_minor, event.price.currency
    return BookingView(
        id=booking_id,
        number=event.number,
        status=S.PENDING,
        phase=PHASES[S.PENDING],
        customer_id=event.customer_id,
        business_id=event.business_id,
        provider_id=event.staff_id,
        staff_id=event.staff_id,
        service_id=event.service_id,
        title=event.title,
        start_at=event.starts_at,
        end_at=event.ends_at,
        scheduled_date=f"{local:%Y-%m-%d}",
        scheduled_time=f"{local:%H:%M}",
        zone=event.zone,
        total_amount=major_number(total_minor, currency),
        total_amount_minor=total_minor,
        currency=currency,
        payment_method=event.payment_method,
        payment_status=PaymentStatus.UNPAID,
        escrow_status=EscrowStatus.HELD,
        approved=event.approved,
        reason_code=None,
        actual_start_time=None,
        actual_end_time=None,
        duration_minutes=None,
        created_at=event.created_at,
        version=1,
    )


def booking_after(view: BookingView, event: Event, version: int) -> BookingView:
    """The booking after the event that made this version of it."""
    changed = _changed(view, event)
    return replace(changed, phase=PHASES[changed.status], version=version)


def _changed(view: BookingView, event: Event) -> BookingView:  # noqa: PLR0911, PLR0912  # one arm an event
    match event:
        case BookingPaid():
            return replace(view, payment_status=PaymentStatus.SECURED)
        case BookingApproved():
            return replace(view, approved=True)
        case BookingConfirmed():
            return replace(view, status=S.CONFIRMED)
        case BookingDeclined():
            return replace(view, status=S.DECLINED, approved=False, reason_code=event.reason_code)
        case BookingCancelled():
            return replace(view, status=S.CANCELLED, escrow_status=_escrow_at_end(view))
        case BookingAbandoned():
            return replace(view, status=S.CANCELLED_BY_SYSTEM, escrow_status=_escrow_at_end(view))
        case BookingExpired():
            return replace(view, status=S.EXPIRED, escrow_status=EscrowStatus.VOIDED)
        case BookingRevived():
            return replace(view, status=S.PENDING, escrow_status=EscrowStatus.HELD)
        case BookingStarted():
            return replace(view, status=S.IN_PROGRESS, actual_start_time=event.at)
        case BookingCompleted():
            return replace(
                view,
                status=S.COMPLETED,
                escrow_status=EscrowStatus.PENDING_CLEARANCE,
                actual_end_time=event.at,
                duration_minutes=_minutes(view.actual_start_time, event.at),
            )
        case BookingReleased():
            return replace(view, escrow_status=EscrowStatus.RELEASED)
        case BookingRefunded():
            return replace(view, escrow_status=EscrowStatus.VOIDED, payment_status=PaymentStatus.REFUNDED)
        case PaymentUnplaced():
            return replace(view, payment_status=PaymentStatus.REFUNDING)
        case PaymentReturned():
            return replace(view, payment_status=PaymentStatus.REFUNDED)
        case PaymentRequested() | BookingReminded():
            return view
    raise AssertionError(f"a booking does not know {event.type}")


def _escrow_at_end(view: BookingView) -> EscrowStatus:
    """What was paid goes back by an event of its own; what was not is void with the booking."""
    return view.escrow_status if view.payment_status is PaymentStatus.SECURED else EscrowStatus.VOIDED


def _minutes(start_at: datetime | None, end_at: datetime) -> int | None:
    return None if start_at is None else (end_at - start_at) // timedelta(minutes=1)
