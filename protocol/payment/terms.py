"""Terms of payments: bounds, enums, small structs and refusals."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from protocol.ids import BusinessId, PaymentId, Ref, UserId

#: The principal of everything that a payment gateway says in a verified webhook.
GATEWAY = UserId(UUID(int=1))


class Gateway(StrEnum):
    """The payment gateways; the name is part of a gateway's webhook address."""

    SANDBOX = "sandbox"


class PaymentMethod(StrEnum):
    """How the customer pays (rule M-10)."""

    CARD = "card"
    #: From the customer's wallet, at once.
    WALLET = "wallet"


class PaymentStage(StrEnum):
    """Where a payment's money is. REFUNDED is final."""

    #: The customer was asked to pay.
    REQUESTED = "REQUESTED"
    #: The gateway has the money.
    CAPTURED = "CAPTURED"
    #: The gateway is to send it back to its source.
    REFUNDING = "REFUNDING"
    #: The gateway has sent it back.
    REFUNDED = "REFUNDED"


class PaymentTerms(Struct, frozen=True, kw_only=True):
    """What is to be paid, by whom, for what."""

    #: What is paid for: a booking, an order.
    subject: Ref
    customer_id: UserId
    business_id: BusinessId
    method: PaymentMethod
    #: The subject's number and title, for the gateway's page.
    number: str
    title: str
    amount_minor: int
    currency: str
    requested_at: datetime


def checkout_path(payment_id: PaymentId) -> str:
    """The page under which the customer pays at the gateway."""
    return f"/gateway/checkout/{payment_id}"


class CaptureNotice(Struct, frozen=True, kw_only=True):
    """A gateway says that it has captured a payment."""

    #: The gateway's name for the payment.
    reference: str
    amount_minor: int
    currency: str


class RefundNotice(Struct, frozen=True, kw_only=True):
    """A gateway says that it has sent a payment back to its source."""

    reference: str
    amount_minor: int
    currency: str


class GatewayEvent(Struct, frozen=True, kw_only=True):
    """One verified webhook."""

    #: The gateway's own id of it: a repetition has the same one.
    id: str
    #: The gateway's own name of what happened.
    type: str
    #: None: nothing that we can use; ``problem`` says why.
    notice: CaptureNotice | RefundNotice | None
    #: ``unknown_type``, or ``malformed`` where a known type holds something else than it should.
    problem: str = ""
