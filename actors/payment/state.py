"""What a payment remembers, and how events change it."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from protocol.events import Event
from protocol.money import Money
from protocol.payment.commands import OpenPayment, RecordCapture, RecordReturn, RefundPayment
from protocol.payment.events import PaymentCaptured, PaymentOpened, PaymentRefunded, PaymentSentBack
from protocol.payment.terms import PaymentStage, PaymentTerms
from protocol.registry import Command

#: In which stage each command has an effect; in any other it says what is known already, and changes nothing.
TRANSITIONS: dict[type[Command], PaymentStage | None] = {
    OpenPayment: None,
    RecordCapture: PaymentStage.REQUESTED,
    RefundPayment: PaymentStage.CAPTURED,
    RecordReturn: PaymentStage.REFUNDING,
}


class PaymentState(Struct, frozen=True, kw_only=True):
    """What a payment needs to remember."""

    terms: PaymentTerms
    stage: PaymentStage = PaymentStage.REQUESTED
    #: What came, which may be another amount than was asked for. None: nothing yet.
    captured: Money | None = None
    captured_at: datetime | None = None
    version: int = 1


def after(state: PaymentState | None, event: Event) -> PaymentState:
    """The state after the event."""
    if isinstance(event, PaymentOpened):
        return PaymentState(terms=event.terms)
    assert state is not None, f"{event.type} before payment.opened"
    return replace(_changed(state, event), version=state.version + 1)


def _changed(state: PaymentState, event: Event) -> PaymentState:
    match event:
        case PaymentCaptured():
            captured = Money(event.amount_minor, event.currency)
            return replace(state, stage=PaymentStage.CAPTURED, captured=captured, captured_at=event.at)
        case PaymentSentBack():
            return replace(state, stage=PaymentStage.REFUNDING)
        case PaymentRefunded():
            return replace(state, stage=PaymentStage.REFUNDED)
    raise AssertionError(f"a payment does not know {event.type}")
