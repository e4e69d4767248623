"""Terms of payments: bounds, enums, small structs and refusals."""

from uuid import UUID

from msgspec import Struct

from protocol.ids import PaymentId, UserId

#: The principal of everything that a payment gateway says in a verified webhook.
GATEWAY = UserId(UUID(int=1))


class PaymentCaptured(Struct, frozen=True, kw_only=True):
    """The customer's money is with the gateway."""

    payment_id: PaymentId
    amount_minor: int
    currency: str


class PaymentSentBack(Struct, frozen=True, kw_only=True):
    """The gateway has returned the money to where it came from."""

    payment_id: PaymentId
    amount_minor: int
    currency: str


class GatewayEvent(Struct, frozen=True, kw_only=True):
    """One verified webhook."""

    #: The gateway's own id of it: a repetition has the same one.
    id: str
    #: The gateway's own name of what happened.
    type: str
    #: None: nothing that we can use; ``problem`` says why.
    what: PaymentCaptured | PaymentSentBack | None
    #: ``unknown_type``, or ``malformed`` where a known type holds something else than it should.
    problem: str = ""
