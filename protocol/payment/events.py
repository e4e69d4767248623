"""What happens to a payment. Its subject tells the people; nobody is told of these."""

from datetime import datetime

from protocol.events import Event, event
from protocol.payment.terms import PaymentTerms


@event("payment.opened")
class PaymentOpened(Event, frozen=True, kw_only=True):
    """The customer was asked to pay."""

    terms: PaymentTerms


@event("payment.captured")
class PaymentCaptured(Event, frozen=True, kw_only=True):
    """The gateway has captured the money; the subject is told."""

    amount_minor: int
    currency: str
    at: datetime


@event("payment.sent_back")
class PaymentSentBack(Event, frozen=True, kw_only=True):
    """The subject has no use for the money: the gateway is asked to send it back to its source."""

    amount_minor: int
    currency: str


@event("payment.refunded")
class PaymentRefunded(Event, frozen=True, kw_only=True):
    """The gateway has sent the money back; the subject is told."""

    amount_minor: int
    currency: str
