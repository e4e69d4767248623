"""Asking for a payment, and sending it back: what a subject (a booking, …) does with payments, whatever it is.

The payment is an actor of its own. It tells its subject by message when the gateway has captured or returned the money.
"""

from typing import Any

from actors.actor import Actor
from protocol.ids import Kind, PaymentId, Ref
from protocol.payment.commands import OpenPayment, RefundPayment
from protocol.payment.rows import GatewayRefRow, PaymentRow
from protocol.payment.subjects import PAYABLE
from protocol.payment.terms import Gateway, PaymentStage, PaymentTerms


def request(actor: Actor[Any], payment_id: PaymentId, terms: PaymentTerms) -> None:
    """Ask for a payment: the gateway's page and its webhooks find it as soon as this is durable."""
    assert terms.subject.kind in PAYABLE, f"nobody tells a {terms.subject.kind} of its payments"
    actor.put(payment_row(payment_id, terms))
    # The sandbox names a payment by our own id.
    actor.put(GatewayRefRow(gateway=Gateway.SANDBOX, reference=str(payment_id), payment_id=payment_id))
    actor.send(Ref(Kind.PAYMENT, payment_id), OpenPayment(payment_id=payment_id, terms=terms))


def send_back(actor: Actor[Any], payment_id: PaymentId) -> None:
    """Have captured money sent back to its source; it stays in ``system.unallocated`` until the gateway has done so."""
    actor.send(Ref(Kind.PAYMENT, payment_id), RefundPayment(payment_id=payment_id))


def payment_row(payment_id: PaymentId, terms: PaymentTerms) -> PaymentRow:
    """The row of a payment that was just asked for."""
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
