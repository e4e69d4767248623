"""Views of bookings, and the queries that return them."""

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta

from protocol.booking.rows import BookingRow
from protocol.booking.terms import (
    PHASES,
    BookingNumber,
    BookingStatus,
    DeclineReason,
    EscrowStatus,
    PaymentStatus,
    Phase,
    RemarkAbout,
)
from protocol.ids import BookingId, BusinessId, PaymentId, ServiceId, UserId
from protocol.money import major_number
from protocol.payment.terms import PaymentMethod
from protocol.registry import PAGE_LIMIT_DEFAULT, PageLimit, Query, View, query
from protocol.roles import ANYONE, PROVIDERS

# Queries


class CustomerContact(View, frozen=True, kw_only=True):
    """How to reach the customer and where to go; shown to the provider only while the job is on (rule B-24)."""

    name: str
    phone_number: str | None
    email: Annotated[str, Meta(extra_json_schema={"format": "email"})]
    address: str
    latitude: float | None
    longitude: float | None


class BookingView(View, frozen=True, kw_only=True):
    """A booking as its parties see it."""

    id: BookingId
    number: str
    status: BookingStatus
    phase: Phase
    customer_id: UserId
    #: The business's id and the staff member's: an app's one provider is both (rule W-8).
    business_id: BusinessId
    provider_id: UserId
    staff_id: UserId
    service_id: ServiceId
    title: str
    start_at: datetime
    end_at: datetime
    scheduled_date: Annotated[str, Meta(extra_json_schema={"format": "date"})]
    #: ``HH:MM``.
    scheduled_time: Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9]{2}:[0-9]{2}$"})]
    zone: str
    total_amount: float | int
    total_amount_minor: int
    currency: str
    payment_method: PaymentMethod
    payment_status: PaymentStatus
    escrow_status: EscrowStatus
    approved: bool
    reason_code: DeclineReason | None
    actual_start_time: datetime | None
    actual_end_time: datetime | None
    #: Minutes worked; None until completed.
    duration_minutes: int | None
    created_at: datetime
    version: int
    #: When the staff member left the business, so that its managers have to see to the booking; None: they did not.
    staff_left_at: datetime | None = None


class Remark(View, frozen=True, kw_only=True):
    """Somebody's words to a decline or a cancellation."""

    author_id: UserId
    about: RemarkAbout
    text: str
    written_at: datetime


class BookingDetail(BookingView, frozen=True, kw_only=True):
    """One booking whole."""

    #: The customer's notes; None for readers who may not see them.
    notes: str | None
    customer_contact: CustomerContact | None
    #: Oldest first; those that the reader may see.
    remarks: list[Remark]
    as_of: str


class BookingPage(View, frozen=True, kw_only=True):
    """A page of bookings, latest start first."""

    items: list[BookingView]
    #: None: this was the last page.
    next_cursor: str | None
    as_of: str


class TimelineEntry(View, frozen=True, kw_only=True):
    """One thing that happened, in human terms."""

    version: int
    at: datetime
    type: str
    text: str
    #: Who did it: a user id, or None for the server.
    by: UserId | None


class Timeline(View, frozen=True, kw_only=True):
    """A booking's story so far."""

    booking_id: BookingId
    number: str
    entries: list[TimelineEntry]


@query("booking.get", by=ANYONE, view=BookingDetail, routes=("GET /bookings/{booking_id}/",))
class GetBooking(Query, frozen=True, kw_only=True):
    """One booking, to its parties."""

    booking_id: BookingId


@query("booking.list", by=ANYONE, view=BookingPage, routes=("GET /bookings/",))
class ListBookings(Query, frozen=True, kw_only=True):
    """My bookings in the active role: as customer, as staff, or of the business."""

    #: A status or a phase; None: all.
    status: str | None = None
    #: The human number, however it is spelled; None: all.
    number: BookingNumber | None = None
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None


@query("booking.jobs", by=PROVIDERS, view=BookingPage, routes=("GET /providers/jobs/",))
class ListJobs(Query, frozen=True, kw_only=True):
    """Job requests: what waits for the provider's approval, or has another status if asked for."""

    status: str | None = None
    #: The human number, however it is spelled; None: all.
    number: BookingNumber | None = None
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None


@query("booking.timeline", by=ANYONE, view=Timeline, routes=("GET /bookings/{booking_id}/timeline",))
class GetTimeline(Query, frozen=True, kw_only=True):
    """The journal in human terms, for those who may see the booking."""

    booking_id: BookingId


class BookingReply(View, frozen=True, kw_only=True):
    """A booking right after a command."""

    booking_id: BookingId
    number: str
    status: BookingStatus
    phase: Phase
    staff_id: UserId
    start_at: datetime
    end_at: datetime
    total_amount: float | int
    total_amount_minor: int
    currency: str
    payment_status: PaymentStatus


class PaymentReply(View, frozen=True, kw_only=True):
    """What to pay, and where: the gateway shows its page under ``checkout_path``."""

    payment_id: PaymentId
    booking_id: BookingId
    amount: float | int
    amount_minor: int
    currency: str
    checkout_path: str


# From rows to views


def booking_view(row: BookingRow) -> BookingView:
    """The view of a booking; the same for everybody who may see it."""
    return BookingView(
        id=row.id,
        number=row.number,
        status=row.status,
        phase=PHASES[row.status],
        customer_id=row.customer_id,
        business_id=row.business_id,
        provider_id=row.staff_id,
        staff_id=row.staff_id,
        service_id=row.service_id,
        title=row.title,
        start_at=row.starts_at,
        end_at=row.ends_at,
        scheduled_date=f"{row.local_start:%Y-%m-%d}",
        scheduled_time=f"{row.local_start:%H:%M}",
        zone=row.zone,
        total_amount=major_number(row.total_amount_minor, row.currency),
        total_amount_minor=row.total_amount_minor,
        currency=row.currency,
        payment_method=row.payment_method,
        payment_status=row.payment_status,
        escrow_status=row.escrow_status,
        approved=row.approved,
        reason_code=row.reason_code,
        actual_start_time=row.actual_start_at,
        actual_end_time=row.actual_end_at,
        duration_minutes=_minutes(row.actual_start_at, row.actual_end_at),
        created_at=row.created_at,
        version=row.version,
        staff_left_at=row.staff_left_at,
    )


def _minutes(start_at: datetime | None, end_at: datetime | None) -> int | None:
    return None if start_at is None or end_at is None else (end_at - start_at) // timedelta(minutes=1)
