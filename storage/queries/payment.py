"""Reading payments: whose they are, what is on its way back, and what a gateway said that we had no use for."""

from datetime import datetime

import asyncpg
from msgspec import Struct

from protocol.ids import BookingId, PaymentId
from storage.database import Pool

#: Payments of one page, and the longest text that is kept of a gateway's event.
PAGE = 100
KEPT_CHARS_MAX = 64 * 1024


class Payment(Struct, frozen=True, kw_only=True):
    """One payment, as far as a gateway needs to know."""

    payment_id: PaymentId
    booking_id: BookingId
    amount_minor: int
    currency: str
    #: REQUESTED, CAPTURED, REFUNDING or REFUNDED.
    status: str
    requested_at: datetime
    #: What is paid for, and to whom.
    number: str
    title: str
    business_name: str


_PAYMENTS = """
SELECT p.id, p.booking_id, p.amount_minor, p.currency, p.status, p.requested_at, b.number, b.title,
       coalesce(o.name, '') AS business_name
  FROM payments p
  JOIN bookings b ON b.id = p.booking_id
  LEFT JOIN businesses o ON o.id = p.business_id
"""
REFUNDING = f"""
{_PAYMENTS} WHERE p.status = 'REFUNDING' AND ($1::timestamptz IS NULL OR (p.requested_at, p.id) > ($1, $2::uuid))
 ORDER BY p.requested_at, p.id LIMIT {PAGE}
"""


async def find_payment(pool: Pool, payment_id: PaymentId) -> Payment | None:
    """Look a payment up; None if there is none."""
    row = await pool.fetchrow(f"{_PAYMENTS} WHERE p.id = $1", payment_id)
    return None if row is None else _payment(row)


async def load_refunding(pool: Pool, after: Payment | None) -> list[Payment]:
    """A page of the payments that must go back to their source, the oldest first."""
    rows = await pool.fetch(REFUNDING, after and after.requested_at, after and after.payment_id)
    return [_payment(row) for row in rows]


def _payment(row: asyncpg.Record) -> Payment:
    return Payment(
        payment_id=row["id"],
        booking_id=row["booking_id"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        status=row["status"],
        requested_at=row["requested_at"],
        number=row["number"],
        title=row["title"],
        business_name=row["business_name"],
    )


class UnmatchedEvent(Struct, frozen=True, kw_only=True):
    """A verified event of a gateway that changed nothing, and why."""

    gateway: str
    event_id: str
    type: str
    #: ``unknown_type``, ``unknown_payment``, ``malformed``, or the code of the refusal.
    problem: str
    body: bytes


async def keep_unmatched_event(pool: Pool, event: UnmatchedEvent) -> None:
    """Keep it for an operator to look at; a repetition is kept once."""
    await pool.execute(
        "INSERT INTO gateway_events (gateway, event_id, type, problem, body, received_at)"
        " VALUES ($1, $2, $3, $4, $5, now()) ON CONFLICT DO NOTHING",
        *(event.gateway, event.event_id, event.type, event.problem, _text(event.body)),
    )


def _text(body: bytes) -> str:
    """The body as text that the database can hold."""
    return body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")[:KEPT_CHARS_MAX]
