"""A booking's money: its hold, its payment, and what its events say of both (rules M-3, M-4).

the hold       HELD ──paid──▶ FUNDED ──completed──▶ PENDING_CLEARANCE ──released──▶ POSTED
                 └── over ──▶ VOIDED ◀── refunded ──┘
the payment    asked for ──▶ captured: taken into the hold, or sent back to its source
"""

from actors.actor import Actor
from actors.booking.state import BookingState
from actors.rules import holds, ledger, paying
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
from protocol.ids import PaymentId
from protocol.payment.terms import PaymentMethod, PaymentTerms

BookingActor = Actor[BookingState]


def promise(booking: BookingActor) -> None:
    """Promise the price to the business."""
    holds.open_hold(booking, booking.state.hold, "service")


def ask_for_payment(booking: BookingActor) -> None:
    """Ask the customer for the price, as a payment of its own."""
    state, price = booking.state, booking.state.price
    payment_id = PaymentId(booking.new_id())
    amount_minor, currency = price.total_minor, price.currency
    booking.emit(PaymentRequested(payment_id=payment_id, amount_minor=amount_minor, currency=currency, at=booking.now))
    terms = PaymentTerms(
        subject=booking.ref,
        customer_id=state.customer_id,
        business_id=state.business_id,
        method=state.payment_method,
        number=state.number,
        title=state.title,
        amount_minor=amount_minor,
        currency=currency,
        requested_at=booking.now,
    )
    paying.request(booking, payment_id, terms)


def take(booking: BookingActor, payment_id: PaymentId, version: int = 0) -> None:
    """The price is paid: into escrow. A price of 0, or one paid from the wallet, has no payment with versions."""
    price, hold = booking.state.price, booking.state.hold
    total_minor, currency = price.total_minor, price.currency
    booking.emit(
        BookingPaid(
            payment_id=payment_id,
            payment_version=version,
            amount_minor=total_minor,
            currency=currency,
            at=booking.now,
        )
    )
    if booking.state.payment_method is PaymentMethod.WALLET:
        wallet = ledger.customer_wallet(booking.state.customer_id, currency)
        holds.fund(booking, hold, wallet, ledger.WALLET_PAID)
    else:
        holds.fund(booking, hold, ledger.unallocated(currency), ledger.PAYMENT_PLACED)


def send_back(booking: BookingActor, cmd: RecordPayment) -> None:
    """There is nothing to pay for any more, or it is another amount: the money goes back to its source."""
    booking.emit(
        PaymentUnplaced(
            payment_id=cmd.payment_id,
            payment_version=cmd.payment_version,
            amount_minor=cmd.amount_minor,
            currency=cmd.currency,
        )
    )
    paying.send_back(booking, cmd.payment_id)


def returned(booking: BookingActor, cmd: RecordRefund) -> None:
    """The money is back at its source."""
    booking.emit(
        PaymentReturned(
            payment_id=cmd.payment_id,
            payment_version=cmd.payment_version,
            amount_minor=cmd.amount_minor,
            currency=cmd.currency,
        )
    )


def clear(booking: BookingActor) -> None:
    """The job is done: the money waits to be released."""
    holds.clear(booking, booking.state.hold)


def release(booking: BookingActor, cause: ReleaseCause) -> None:
    """Escrow to the business, less the commission."""
    hold = booking.state.hold
    split = holds.release(booking, hold)
    booking.emit(
        BookingReleased(
            amount_minor=hold.amount_minor,
            commission_minor=split.commission_minor,
            currency=hold.currency,
            cause=cause,
        )
    )


def wind_up(booking: BookingActor) -> None:
    """Nothing is promised any more: what was paid goes to the customer's wallet."""
    state, hold = booking.state, booking.state.hold
    if state.payment_status is not PaymentStatus.SECURED:
        holds.void(booking, hold)
        return
    holds.refund(booking, hold, ledger.customer_wallet(state.customer_id, hold.currency))
    booking.emit(BookingRefunded(amount_minor=hold.amount_minor, currency=hold.currency))
