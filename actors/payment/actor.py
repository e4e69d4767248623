"""A payment at a gateway, for a subject: a booking, an order.

Owns the money between the gateway and its subject (``system.unallocated``). Webhooks address it; it tells its subject
what happened by message, with its own version. Users get events of the subject only.

    REQUESTED ──captured──▶ CAPTURED ──the subject has no use for it──▶ REFUNDING ──sent back──▶ REFUNDED
                               └ the subject takes the money from system.unallocated in its own commit
"""

from collections.abc import Iterable
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from actors.actor import Actor, actor, handles
from actors.payment.state import TRANSITIONS, PaymentState, after
from actors.rules import ledger
from actors.rules.paying import payment_row
from protocol.events import Event, Row
from protocol.ids import Kind, PaymentId
from protocol.money import Money
from protocol.payment.commands import OpenPayment, RecordCapture, RecordReturn, RefundPayment
from protocol.payment.events import PaymentCaptured, PaymentOpened, PaymentRefunded, PaymentSentBack
from protocol.payment.subjects import PAYABLE, CommandType, message
from protocol.payment.terms import PaymentTerms
from protocol.registry import Command


def _payment_id(payment: Actor[PaymentState], cmd: RecordCapture) -> PaymentId:
    return cmd.payment_id


@actor(Kind.PAYMENT)
class Payment(Actor[PaymentState]):
    """One payment. Repeated and late messages change nothing, so a gateway may send them in any number and order."""

    state_type: ClassVar[type[Struct]] = PaymentState

    @property
    def _id(self) -> PaymentId:
        return PaymentId(self.actor_id)

    @handles(OpenPayment)
    def open(self, cmd: OpenPayment) -> None:
        """The customer was asked to pay. A webhook may have been faster than this message."""
        if not self.exists:
            self.emit(PaymentOpened(terms=cmd.terms))

    @handles(RecordCapture, facts=PaymentTerms, asks=_payment_id)
    def record_capture(self, cmd: RecordCapture, facts: PaymentTerms) -> None:
        """Take the money in, whatever the amount: the subject decides what it is good for.

        Args:
            facts: what the subject asked for; never stale, since it is not changed.
        """
        if not self.exists:
            self.emit(PaymentOpened(terms=facts))
        if not self._expects(cmd):
            return
        self.emit(PaymentCaptured(amount_minor=cmd.amount_minor, currency=cmd.currency, at=self.now))
        gateway, unallocated = ledger.gateway_clearing(cmd.currency), ledger.unallocated(cmd.currency)
        self.transfer(gateway, unallocated, cmd.amount_minor, cmd.currency, "payment_captured")
        self._tell(PAYABLE[self.state.terms.subject.kind].captured)

    @handles(RefundPayment)
    def refund(self, cmd: RefundPayment) -> None:
        """Let the gateway send the money back to its source. Raises: NotFound."""
        if self._expects(cmd):
            self.emit(PaymentSentBack(amount_minor=self._captured.amount_minor, currency=self._captured.currency))

    @handles(RecordReturn)
    def record_return(self, cmd: RecordReturn) -> None:
        """The gateway has sent it back: all of it, or it is not the refund that was asked for. Raises: NotFound."""
        if not self._expects(cmd) or Money(cmd.amount_minor, cmd.currency) != self._captured:
            return
        self.emit(PaymentRefunded(amount_minor=cmd.amount_minor, currency=cmd.currency))
        unallocated, gateway = ledger.unallocated(cmd.currency), ledger.gateway_clearing(cmd.currency)
        self.transfer(unallocated, gateway, cmd.amount_minor, cmd.currency, "payment_returned")
        self._tell(PAYABLE[self.state.terms.subject.kind].returned)

    def _expects(self, cmd: Command) -> bool:
        """Whether the command is news."""
        return self.state.stage is TRANSITIONS[type(cmd)]

    @property
    def _captured(self) -> Money:
        assert self.state.captured is not None, f"nothing is captured in {self.state.stage}"
        return self.state.captured

    def _tell(self, how: CommandType) -> None:
        subject = self.state.terms.subject
        self.send(subject, message(how, subject, self._id, self.state.version, self._captured))

    def rows(self) -> Iterable[Row]:
        state = self.state
        amount = state.captured or Money(state.terms.amount_minor, state.terms.currency)
        yield replace(
            payment_row(self._id, state.terms),
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            status=state.stage,
            captured_at=state.captured_at,
            version=state.version,
        )

    @staticmethod
    def evolve(state: PaymentState | None, event: Event) -> PaymentState:
        return after(state, event)
