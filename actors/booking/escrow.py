"""A booking's money: promised as a hold, captured into escrow, then released, refunded or sent back (rules M-3, M-4).

the hold       HELD ──paid──▶ FUNDED ──completed──▶ PENDING_CLEARANCE ──released──▶ POSTED
                 └── over ──▶ VOIDED ◀── refunded ──┘
the payment    asked for ──▶ captured ──▶ … or, where nothing is left to pay for: REFUNDING ──▶ REFUNDED
"""

from actors.actor import Actor, handles
from actors.booking.state import BookingState
from actors.booking.views import payment_row
from actors.rules import ledger
from actors.rules.commission import split_commission
from protocol.booking.commands import RecordPayment, RecordRefund
from protocol.booking.events import (
    BookingPaid,
    BookingRefunded,
    BookingReleased,
    PaymentRequested,
    PaymentReturned,
    PaymentUnplaced,
)
from protocol.booking.terms import PaymentStatus, ReleaseCause
from protocol.effects import HoldStatus, MoveHold, OpenHold
from protocol.ids import BookingId, PaymentId
from protocol.money import Money


class Escrow(Actor[BookingState]):
    """The part of a booking that its money is."""

    @property
    def _id(self) -> BookingId:
        return BookingId(self.actor_id)

    @handles(RecordRefund)
    def record_refund(self, cmd: RecordRefund) -> None:
        """The gateway has sent a payment back to its source: all of what was unplaced, or it is none of ours."""
        sent_back = Money(cmd.amount_minor, cmd.currency)
        if cmd.payment_id != self.state.payment_id or sent_back != self.state.unplaced:
            return
        self.emit(PaymentReturned(payment_id=cmd.payment_id, amount_minor=cmd.amount_minor, currency=cmd.currency))
        escrow, gateway = ledger.escrow(cmd.currency), ledger.gateway_clearing(cmd.currency)
        self.transfer(escrow, gateway, cmd.amount_minor, cmd.currency, "payment_returned")
        self._put_payment("REFUNDED", sent_back)

    def _promise(self) -> None:
        """Promise the price to the business."""
        state = self.state
        total_minor, currency = state.price.total_minor, state.price.currency
        self.open_hold(OpenHold(state.hold_id, self._id, state.business_id, "service", currency, total_minor))

    def _ask_for_payment(self) -> None:
        """Give the payment its id, by which the gateway will speak of it."""
        price = self.state.price
        payment_id = PaymentId(self.new_id())
        self.emit(
            PaymentRequested(
                payment_id=payment_id, amount_minor=price.total_minor, currency=price.currency, at=self.now
            )
        )
        self._put_payment("REQUESTED")

    def _capture(self, payment_id: PaymentId) -> None:
        """The money is here: into escrow."""
        total_minor, currency = self.state.price.total_minor, self.state.price.currency
        self.emit(BookingPaid(payment_id=payment_id, amount_minor=total_minor, currency=currency, at=self.now))
        gateway, escrow = ledger.gateway_clearing(currency), ledger.escrow(currency)
        self.transfer(gateway, escrow, total_minor, currency, "payment_captured")
        self.move_hold(MoveHold(self.state.hold_id, HoldStatus.HELD, HoldStatus.FUNDED, total_minor))
        if total_minor:
            self._put_payment("CAPTURED")

    def _return_to_source(self, cmd: RecordPayment) -> None:
        """Nothing to pay for any more: keep the money apart until the gateway has sent it back."""
        self.emit(PaymentUnplaced(payment_id=cmd.payment_id, amount_minor=cmd.amount_minor, currency=cmd.currency))
        gateway, escrow = ledger.gateway_clearing(cmd.currency), ledger.escrow(cmd.currency)
        self.transfer(gateway, escrow, cmd.amount_minor, cmd.currency, "payment_unplaced")
        self._put_payment("REFUNDING", self.state.unplaced)

    def _clear(self) -> None:
        """The job is done: the money waits to be released."""
        self.move_hold(MoveHold(self.state.hold_id, HoldStatus.FUNDED, HoldStatus.PENDING_CLEARANCE))

    def _release(self, cause: ReleaseCause) -> None:
        """Escrow to the business, less commission (rule M-3)."""
        state = self.state
        total_minor, currency = state.price.total_minor, state.price.currency
        split = split_commission(total_minor, rate_bp=state.commission_bp)
        self.emit(
            BookingReleased(
                amount_minor=total_minor, commission_minor=split.commission_minor, currency=currency, cause=cause
            )
        )
        self.move_hold(MoveHold(state.hold_id, HoldStatus.PENDING_CLEARANCE, HoldStatus.POSTED, -total_minor))
        escrow, wallet = ledger.escrow(currency), ledger.business_wallet(state.business_id, currency)
        self.transfer(escrow, wallet, split.provider_minor, currency, "release")
        self.transfer(escrow, ledger.platform_revenue(currency), split.commission_minor, currency, "commission")

    def _refund(self) -> None:
        """Nothing is promised any more: what was paid goes to the customer's wallet."""
        state = self.state
        if state.payment_status is not PaymentStatus.SECURED:
            self.move_hold(MoveHold(state.hold_id, HoldStatus.HELD, HoldStatus.VOIDED))
            return
        total_minor, currency = state.price.total_minor, state.price.currency
        self.move_hold(MoveHold(state.hold_id, HoldStatus.FUNDED, HoldStatus.VOIDED, -total_minor))
        self.emit(BookingRefunded(amount_minor=total_minor, currency=currency))
        wallet = ledger.customer_wallet(state.customer_id, currency)
        self.transfer(ledger.escrow(currency), wallet, total_minor, currency, "refund")

    def _put_payment(self, status: str, amount: Money | None = None) -> None:
        self.put(payment_row(self._id, self.state, status, amount))
