"""Reads what e-mails about a booking, and the pages behind their links, show of it."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from protocol.booking.terms import BookingStatus, EscrowStatus
from protocol.confidential import Confidential
from protocol.ids import BookingId, UserId
from storage.database import Pool


class BookingEmailView(Confidential, Struct, frozen=True, kw_only=True):
    """One booking, with the names of its parties."""

    id: BookingId
    title: str
    number: str
    status: BookingStatus
    escrow_status: EscrowStatus
    zone: str
    starts_at: datetime
    ends_at: datetime
    customer_id: UserId
    #: None: the staff member was erased.
    staff: str | None
    business: str
    #: Where the customer wants the service; empty: at the business.
    address: str
    city: str
    total_amount_minor: int
    currency: str


_BY_ID = """
SELECT b.id, b.title, b.number, b.status, b.escrow_status, b.zone, b.starts_at, b.ends_at, b.customer_id,
       s.name AS staff, coalesce(u.name, '') AS business,
       coalesce(n.address, '') AS address, coalesce(u.city, '') AS city, b.total_amount_minor, b.currency
  FROM bookings b
  LEFT JOIN people s ON s.user_id = b.staff_id
  LEFT JOIN businesses u ON u.id = b.business_id
  LEFT JOIN booking_notes n ON n.booking_id = b.id
 WHERE b.id = ANY($1::uuid[])
"""


async def load_booking_email_views(pool: Pool, ids: Sequence[BookingId]) -> dict[BookingId, BookingEmailView]:
    """Read these bookings."""
    rows = await pool.fetch(_BY_ID, list(ids))
    return {
        row["id"]: BookingEmailView(
            **{
                **dict(row),
                "status": BookingStatus(row["status"]),
                "escrow_status": EscrowStatus(row["escrow_status"]),
            }
        )
        for row in rows
    }
