"""Requesting and refunding payments of a subject (a booking, …).

The payment is an actor of its own. It sends its subject a message when the gateway has captured or refunded the money.
"""

from typing import Any

from actors.actor import Actor
from protocol.ids import Kind, PaymentId, Ref
from protocol.payment.commands import OpenPayment, RefundPayment
from protocol.payment.rows import GatewayRefRow, PaymentRow
from protocol.payment.subjects import PAYABLE
from protocol.payment.terms import Gateway, PaymentStage, PaymentTerms


def request(actor: Actor[Any], payment_id: PaymentId, terms: PaymentTerms) -> None:
    """Request a payment: the gateway's page and its webhooks find it as soon as this is durable."""
    assert terms.subject.kind in PAYABLE, f"a {terms.subject.kind} handles no payment messages"
    actor.put(payment_row(payment_id, terms))
    # The sandbox names a payment by our own id.
    actor.put(GatewayRefRow(gateway=Gateway.SANDBOX, reference=str(payment_id), payment_id=payment_id))
    actor.send(Ref(Kind.PAYMENT, payment_id), OpenPayment(payment_id=payment_id, terms=terms))


def send_back(actor: Actor[Any], payment_id: PaymentId) -> None:
    """Refund captured money to its source; it stays in ``system.unallocated`` until the gateway has refunded it."""
    actor.send(Ref(Kind.PAYMENT, payment_id), RefundPayment(payment_id=payment_id))


def payment_row(payment_id: PaymentId, terms: PaymentTerms) -> PaymentRow:
    """Make the row of a payment that was just requested."""
    return PaymentRow(
        id=payment_id,
        subject_kind=terms.subject.kind,
        subject_id=terms.subject.id,
        customer_id=terms.customer_id,
        business_id=terms.business_id,
        method=terms.method,
        number=terms.number,
        title=terms.title,
        amount_minor=terms.amount_minor,
        currency=terms.currency,
        status=PaymentStage.REQUESTED,
        requested_at=terms.requested_at,
        captured_at=None,
        version=0,
    )
