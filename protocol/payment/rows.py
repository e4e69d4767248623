"""Read rows of payments. The subject writes them when it asks for a payment, the payment from then on."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from protocol.events import Row
from protocol.ids import BusinessId, Kind, PaymentId, UserId
from protocol.payment.terms import Gateway, PaymentMethod, PaymentStage


class PaymentRow(Row, frozen=True, kw_only=True):
    """One payment at a gateway."""

    table: ClassVar[str] = "payments"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: PaymentId
    subject_kind: Kind
    subject_id: UUID
    customer_id: UserId
    business_id: BusinessId
    method: PaymentMethod
    number: str
    title: str
    #: What was asked for; once it is captured, what came.
    amount_minor: int
    currency: str
    status: PaymentStage
    requested_at: datetime
    captured_at: datetime | None
    #: 0: asked for by the subject, and not opened yet.
    version: int


class GatewayRefRow(Row, frozen=True, kw_only=True):
    """What a gateway names a payment in its webhooks."""

    table: ClassVar[str] = "gateway_refs"
    key: ClassVar[tuple[str, ...]] = ("gateway", "reference")

    gateway: Gateway
    reference: str
    payment_id: PaymentId
