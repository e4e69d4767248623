"""Commands to a payment, from its subject and from its gateway's webhooks."""

from protocol.ids import Kind, PaymentId
from protocol.payment.terms import PaymentTerms
from protocol.registry import Command, command
from protocol.roles import INTERNAL


@command("payment.open", actor=Kind.PAYMENT, by=INTERNAL)
class OpenPayment(Command, frozen=True, kw_only=True):
    """The subject has asked its customer to pay."""

    payment_id: PaymentId
    terms: PaymentTerms


@command("payment.record_capture", actor=Kind.PAYMENT, by=INTERNAL)
class RecordCapture(Command, frozen=True, kw_only=True):
    """The gateway has captured the payment, as its signed webhook says."""

    payment_id: PaymentId
    amount_minor: int
    currency: str


@command("payment.refund", actor=Kind.PAYMENT, by=INTERNAL)
class RefundPayment(Command, frozen=True, kw_only=True):
    """The subject has no use for the captured money: it goes back to its source."""

    payment_id: PaymentId


@command("payment.record_return", actor=Kind.PAYMENT, by=INTERNAL)
class RecordReturn(Command, frozen=True, kw_only=True):
    """The gateway has sent the payment back to its source, as its signed webhook says."""

    payment_id: PaymentId
    amount_minor: int
    currency: str
