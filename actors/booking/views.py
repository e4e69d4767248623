"""What a booking shows: its reply, and the read rows that follow from its state."""

from actors.booking.state import BookingState
from protocol.booking.rows import BookingRow
from protocol.booking.terms import PHASES, EscrowStatus
from protocol.booking.views import BookingReply
from protocol.effects import HoldStatus
from protocol.ids import BookingId
from protocol.money import major_number

_ESCROW = {
    HoldStatus.HELD: EscrowStatus.HELD,
    HoldStatus.FUNDED: EscrowStatus.HELD,
    HoldStatus.PENDING_CLEARANCE: EscrowStatus.PENDING_CLEARANCE,
    HoldStatus.POSTED: EscrowStatus.RELEASED,
    HoldStatus.VOIDED: EscrowStatus.VOIDED,
}


def booking_reply(booking_id: BookingId, state: BookingState) -> BookingReply:
    """The booking right after a command."""
    total_minor, currency = state.price.total_minor, state.price.currency
    return BookingReply(
        booking_id=booking_id,
        number=state.number,
        status=state.status,
        phase=PHASES[state.status],
        staff_id=state.staff_id,
        start_at=state.starts_at,
        end_at=state.ends_at,
        total_amount=major_number(total_minor, currency),
        total_amount_minor=total_minor,
        currency=currency,
        payment_status=state.payment_status,
    )


def booking_row(booking_id: BookingId, state: BookingState) -> BookingRow:
    """The booking as lists and dashboards see it."""
    return BookingRow(
        id=booking_id,
        number=state.number,
        status=state.status,
        customer_id=state.customer_id,
        business_id=state.business_id,
        staff_id=state.staff_id,
        service_id=state.service_id,
        title=state.title,
        starts_at=state.starts_at,
        ends_at=state.ends_at,
        local_start=state.local_start,
        zone=state.zone,
        total_amount_minor=state.price.total_minor,
        currency=state.price.currency,
        payment_method=state.payment_method,
        payment_status=state.payment_status,
        escrow_status=_ESCROW[state.hold.status],
        approved=state.approved,
        reason_code=state.reason_code,
        actual_start_at=state.actual_start_at,
        actual_end_at=state.actual_end_at,
        created_at=state.created_at,
        version=state.version,
        staff_left_at=state.staff_left_at,
    )
