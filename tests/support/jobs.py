"""Jobs at the salon: a booking of Carla's with Sam, brought to any status by those who bring it there."""

from datetime import timedelta
from typing import Any

from protocol.booking.commands import (
    ApproveBooking,
    CancelBooking,
    CompleteBooking,
    CreateBooking,
    DeclineBooking,
    PayBooking,
    StartBooking,
)
from protocol.booking.terms import BookingStatus, DeclineReason
from protocol.ids import BookingId, PaymentId
from protocol.payment.commands import RecordCapture
from protocol.payment.terms import GATEWAY
from protocol.registry import Command
from protocol.roles import Principal, Role
from tests.support.sample_business import SampleBusiness, berlin

GATEWAY_SAYS = Principal(user_id=GATEWAY, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))
ADDRESS = "Main Street 1"


async def book(
    salon: SampleBusiness, clock: str = "09:00", *, who: Principal | None = None, staff: Principal | None = None
) -> BookingId:
    """A booking of the cut on Monday, by default by Carla with Sam."""
    command = CreateBooking(
        service_id=salon.cut,
        start_at=berlin(clock),
        staff_id=(staff or salon.sam).user_id,
        notes="Please ring twice",
        address=ADDRESS,
        user_lat=52.5,
        user_long=13.4,
    )
    return BookingId((await done(salon, command, who or salon.customer)).to.id)


async def done(salon: SampleBusiness, command: Command, who: Principal) -> Any:
    outcome = await salon.do(command, who)
    assert outcome.error is None, outcome.error
    return outcome


async def pay(
    salon: SampleBusiness, booking_id: BookingId, who: Principal | None = None, amount_minor: int = 5_000
) -> None:
    await done(salon, PayBooking(booking_id=booking_id), who or salon.customer)
    payment_id = await salon.pool.fetchval("SELECT id FROM payments WHERE subject_id = $1", booking_id)
    payment = RecordCapture(payment_id=PaymentId(payment_id), amount_minor=amount_minor, currency="EUR")
    await done(salon, payment, GATEWAY_SAYS)


async def brought_to(salon: SampleBusiness, status: BookingStatus, clock: str = "09:00") -> BookingId:
    """A booking of Carla's with Sam in one of the statuses."""
    booking_id = await book(salon, clock)
    if status is BookingStatus.PENDING:
        return booking_id
    await pay(salon, booking_id)
    if status is BookingStatus.DECLINED:
        await done(salon, DeclineBooking(booking_id=booking_id, reason_code=DeclineReason.TOO_FAR), salon.sam)
        return booking_id
    if status is BookingStatus.CANCELLED:
        await done(salon, CancelBooking(booking_id=booking_id), salon.customer)
        return booking_id
    steps = {
        BookingStatus.CONFIRMED: ApproveBooking,
        BookingStatus.IN_PROGRESS: StartBooking,
        BookingStatus.COMPLETED: CompleteBooking,
    }
    for reached, step in steps.items():
        if step is StartBooking:
            await salon.node.advance(max(berlin(clock) - salon.node.clock.now(), timedelta()))
        await done(salon, step(booking_id=booking_id), salon.sam)
        if reached is status:
            break
    return booking_id
