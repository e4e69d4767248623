"""Reading payments: what a gateway means by its reference, what must go back, and webhooks that changed nothing."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
from msgspec import Struct

from protocol.errors import NotFound
from protocol.ids import Kind, PaymentId, Ref
from protocol.payment.terms import PaymentMethod, PaymentStage, PaymentTerms
from storage.database import Pool
from storage.registry import Sources, loads
from storage.rights import visible

visible(Kind.PAYMENT, "JOIN payments p ON p.id = w.id WHERE p.customer_id = w.user_id")

#: Payments of one page, and the longest text that is kept of a gateway's event.
PAGE = 100
KEPT_CHARS_MAX = 64 * 1024


class Payment(Struct, frozen=True, kw_only=True):
    """One payment, as far as a gateway needs to know."""

    payment_id: PaymentId
    amount_minor: int
    currency: str
    status: PaymentStage
    requested_at: datetime
    #: What is paid for, and to whom.
    number: str
    title: str
    business_name: str


_PAYMENTS = """
SELECT p.id, p.amount_minor, p.currency, p.status, p.requested_at, p.number, p.title,
       coalesce(o.name, '') AS business_name
  FROM payments p
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


_REFERENCE = "SELECT payment_id FROM gateway_refs WHERE gateway = $1 AND reference = $2"


async def find_reference(pool: Pool, gateway: str, reference: str) -> PaymentId | None:
    """Say which payment a gateway means; None if it is none of ours."""
    payment_id = await pool.fetchval(_REFERENCE, gateway, reference)
    return None if payment_id is None else PaymentId(payment_id)


_TERMS = """
SELECT p.* FROM unnest($1::uuid[]) WITH ORDINALITY w(id, ord) LEFT JOIN payments p ON p.id = w.id ORDER BY w.ord
"""


@loads(PaymentTerms)
async def load_payment_terms(sources: Sources, payment_ids: Sequence[PaymentId]) -> list[PaymentTerms | NotFound]:
    """Read what payments were asked for, in order, for payments that may not be opened yet."""
    rows = await sources.pool.fetch(_TERMS, payment_ids)
    return [
        NotFound(entity=Kind.PAYMENT.value, id=str(payment_id)) if row["id"] is None else _terms(row)
        for payment_id, row in zip(payment_ids, rows, strict=True)
    ]


def _terms(row: asyncpg.Record) -> PaymentTerms:
    return PaymentTerms(
        subject=Ref(Kind(row["subject_kind"]), row["subject_id"]),
        customer_id=row["customer_id"],
        business_id=row["business_id"],
        method=PaymentMethod(row["method"]),
        number=row["number"],
        title=row["title"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        requested_at=row["requested_at"],
    )


async def load_refunding(pool: Pool, after: Payment | None) -> list[Payment]:
    """A page of the payments that must go back to their source, the oldest first."""
    rows = await pool.fetch(REFUNDING, after and after.requested_at, after and after.payment_id)
    return [_payment(row) for row in rows]


def _payment(row: asyncpg.Record) -> Payment:
    return Payment(
        payment_id=row["id"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        status=PaymentStage(row["status"]),
        requested_at=row["requested_at"],
        number=row["number"],
        title=row["title"],
        business_name=row["business_name"],
    )


class UnmatchedEvent(Struct, frozen=True, kw_only=True):
    """A verified event of a gateway that changed nothing, and why."""

    provider: str
    event_id: str
    type: str
    #: ``unknown_type``, ``unknown_payment``, ``malformed``, or the code of the refusal.
    problem: str
    body: bytes


async def keep_unmatched_event(pool: Pool, event: UnmatchedEvent) -> None:
    """Keep it for an operator to look at; a repetition is kept once."""
    await pool.execute(
        "INSERT INTO unmatched_webhooks (provider, event_id, type, problem, body, received_at)"
        " VALUES ($1, $2, $3, $4, $5, now()) ON CONFLICT DO NOTHING",
        *(event.provider, event.event_id, event.type, event.problem, _text(event.body)),
    )


def _text(body: bytes) -> str:
    """The body as text that the database can hold."""
    return body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")[:KEPT_CHARS_MAX]
