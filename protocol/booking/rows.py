"""Read rows of bookings, written in the commit of the decision that they follow from."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from protocol.booking.terms import (
    BookingStatus,
    DeclineReason,
    EscrowStatus,
    PaymentStatus,
    RemarkAbout,
    RemarkAudience,
)
from protocol.events import Row
from protocol.ids import BookingId, BusinessId, ServiceId, UserId
from protocol.payment.terms import PaymentMethod

# Read rows


class BookingRow(Row, frozen=True, kw_only=True):
    """A booking as lists and dashboards see it."""

    table: ClassVar[str] = "bookings"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: BookingId
    number: str
    status: BookingStatus
    customer_id: UserId
    business_id: BusinessId
    staff_id: UserId
    service_id: ServiceId
    title: str
    starts_at: datetime
    ends_at: datetime
    #: The start on the wall clocks of ``zone``.
    local_start: datetime
    zone: str
    total_amount_minor: int
    currency: str
    payment_method: PaymentMethod
    payment_status: PaymentStatus
    escrow_status: EscrowStatus
    approved: bool
    reason_code: DeclineReason | None
    actual_start_at: datetime | None
    actual_end_at: datetime | None
    created_at: datetime
    version: int
    #: When the staff member left the business; None: they did not.
    staff_left_at: datetime | None = None


class BookingNotesRow(Row, frozen=True, kw_only=True):
    """The customer's own words and whereabouts; erasable."""

    table: ClassVar[str] = "booking_notes"
    key: ClassVar[tuple[str, ...]] = ("booking_id",)

    booking_id: BookingId
    notes: str
    address: str
    latitude: float | None
    longitude: float | None


class RemarkRow(Row, frozen=True, kw_only=True):
    """The reason that a party wrote when declining or cancelling a booking; erasable."""

    table: ClassVar[str] = "booking_remarks"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: UUID
    booking_id: BookingId
    author_id: UserId
    about: RemarkAbout
    audience: RemarkAudience
    text: str
    written_at: datetime
