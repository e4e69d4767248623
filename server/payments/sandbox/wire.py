"""The sandbox gateway's own wire structs; ``server.payments.sandbox_adapter`` translates them."""

from typing import Annotated, Any

from msgspec import Meta, Struct

#: Where its merchant takes webhooks.
WEBHOOK_PATH = "/webhooks/payments/sandbox"
#: The header of a webhook's signature.
SIGNATURE_HEADER = "Sandbox-Signature"

CAPTURED = "payment.captured"
REFUNDED = "payment.refunded"
#: Nothing is decided by it; it exists to come out of order.
AUTHORIZED = "payment.authorized"


class SandboxEvent(Struct, frozen=True, kw_only=True):
    """A webhook's body."""

    id: Annotated[str, Meta(pattern=r"^[!-~]{1,100}$(?!\n)")]
    type: Annotated[str, Meta(pattern=r"^[a-z0-9_.]{1,100}$(?!\n)")]
    #: Seconds since 1970.
    created: int = 0
    data: Any = None


class SandboxPayment(Struct, frozen=True, kw_only=True):
    """The payment that an event, or a wish for a refund, is about."""

    payment_id: str
    #: Minor units.
    amount: Annotated[int, Meta(gt=0)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]


class SandboxRefund(Struct, frozen=True, kw_only=True):
    """The answer to a wish for a refund; that it is done comes as a webhook."""

    id: str
    status: str = "pending"
