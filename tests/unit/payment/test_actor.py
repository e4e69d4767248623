"""A payment: captured once, sent back once, whatever its gateway repeats; its subject is told as of its version."""

from collections.abc import Sequence
from typing import Any

import pytest

from actors.payment.actor import Payment
from actors.rules import ledger
from protocol.booking.commands import RecordPayment, RecordRefund
from protocol.effects import Send
from protocol.errors import NotFound
from protocol.events import Event
from protocol.ids import Kind, PaymentId, Ref
from protocol.payment.commands import OpenPayment, RecordCapture, RecordReturn, RefundPayment
from protocol.payment.events import PaymentCaptured, PaymentOpened, PaymentRefunded, PaymentSentBack
from protocol.payment.rows import PaymentRow
from protocol.payment.terms import PaymentMethod, PaymentStage, PaymentTerms
from protocol.registry import Command
from tests.support import bookings as given
from tests.support.actors import ACTOR_ID, Decided, decide
from tests.support.bookings import BUSINESS_ID, CUSTOMER, GATEWAY_SAYS, NOW, PRICE_MINOR, SERVER
from tests.support.effects import moved, of, refusal, rows, types

ID = PaymentId(ACTOR_ID)
BOOKING = Ref(Kind.BOOKING, given.ID)
TERMS = PaymentTerms(
    subject=BOOKING,
    customer_id=CUSTOMER.user_id,
    business_id=BUSINESS_ID,
    method=PaymentMethod.CARD,
    number="7K3M-9QZD",
    title="Deep clean",
    amount_minor=PRICE_MINOR,
    currency="EUR",
    requested_at=NOW,
)
OPEN = OpenPayment(payment_id=ID, terms=TERMS)
CAPTURE = RecordCapture(payment_id=ID, amount_minor=PRICE_MINOR, currency="EUR")
REFUND = RefundPayment(payment_id=ID)
RETURN = RecordReturn(payment_id=ID, amount_minor=PRICE_MINOR, currency="EUR")
ALL = (OPEN, CAPTURE, REFUND, RETURN)
GATEWAY, UNALLOCATED = ledger.gateway_clearing("EUR"), ledger.unallocated("EUR")


def when(events: Sequence[Event], command: Command) -> Decided:
    who = GATEWAY_SAYS if isinstance(command, RecordCapture | RecordReturn) else SERVER
    return decide(Payment, events, command, who, NOW, TERMS)


def after(*commands: Command) -> list[Event]:
    """What has happened to a payment after these."""
    events: list[Event] = []
    for command in commands:
        events += when(events, command).events
    return events


def told(effects: Sequence[Any]) -> list[tuple[Ref, Any]]:
    return [(send.to, send.command) for send in of(effects, Send)]


def test_captured_money_is_unallocated_and_its_subject_is_told() -> None:
    events, effects, _ = when(after(OPEN), CAPTURE)

    assert types(events) == [PaymentCaptured]
    assert moved(effects) == [(GATEWAY, UNALLOCATED, PRICE_MINOR)]
    message = RecordPayment(
        booking_id=given.ID, payment_id=ID, payment_version=2, amount_minor=PRICE_MINOR, currency="EUR"
    )
    assert told(effects) == [(BOOKING, message)]
    (row,) = rows(effects, PaymentRow)
    assert (row.status, row.captured_at, row.version) == (PaymentStage.CAPTURED, NOW, 2)


def test_another_amount_in_another_currency_is_taken_as_it_came() -> None:
    _, effects, _ = when(after(OPEN), RecordCapture(payment_id=ID, amount_minor=6_000, currency="JPY"))

    assert moved(effects) == [(ledger.gateway_clearing("JPY"), ledger.unallocated("JPY"), 6_000)]
    (row,) = rows(effects, PaymentRow)
    assert (row.amount_minor, row.currency) == (6_000, "JPY")


def test_a_webhook_that_is_faster_than_the_subjects_message_opens_the_payment_by_its_row() -> None:
    events, effects, _ = when([], CAPTURE)

    assert types(events) == [PaymentOpened, PaymentCaptured]
    assert [to for to, _ in told(effects)] == [BOOKING]
    assert when(events, OPEN).events == []


def test_money_that_its_subject_has_no_use_for_waits_until_the_gateway_has_sent_it_back() -> None:
    events, effects, _ = when(after(OPEN, CAPTURE), REFUND)

    assert types(events) == [PaymentSentBack]
    assert (moved(effects), told(effects)) == ([], [])
    assert [row.status for row in rows(effects, PaymentRow)] == [PaymentStage.REFUNDING]


def test_what_the_gateway_has_sent_back_leaves_the_ledger_and_its_subject_is_told() -> None:
    events, effects, _ = when(after(OPEN, CAPTURE, REFUND), RETURN)

    assert types(events) == [PaymentRefunded]
    assert moved(effects) == [(UNALLOCATED, GATEWAY, PRICE_MINOR)]
    message = RecordRefund(
        booking_id=given.ID, payment_id=ID, payment_version=4, amount_minor=PRICE_MINOR, currency="EUR"
    )
    assert told(effects) == [(BOOKING, message)]


@pytest.mark.parametrize(("amount_minor", "currency"), [(4_999, "EUR"), (5_001, "EUR"), (5_000, "USD")])
def test_a_refund_of_another_amount_is_not_the_one_that_was_asked_for(amount_minor: int, currency: str) -> None:
    other = RecordReturn(payment_id=ID, amount_minor=amount_minor, currency=currency)

    decided = when(after(OPEN, CAPTURE, REFUND), other)

    assert (decided.events, decided.effects) == ([], [])


@pytest.mark.parametrize("done", range(1, 5))
def test_each_step_happens_once_and_only_after_the_one_before(done: int) -> None:
    events = after(*ALL[:done])

    for nth, command in enumerate(ALL):
        decided = when(events, command)
        assert bool(decided.events) == bool(decided.effects) == (nth == done), type(command).__name__


@pytest.mark.parametrize("command", [REFUND, RETURN])
def test_a_payment_that_nobody_asked_for_is_not_found(command: Command) -> None:
    assert isinstance(refusal(when([], command)), NotFound)
