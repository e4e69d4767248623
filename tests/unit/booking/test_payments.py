"""Paying a booking: in time, late, twice, the wrong amount, and back to the source (rules B-5, M-9)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from actors.booking.actor import Booking
from protocol.booking.commands import RecordRefund
from protocol.booking.events import (
    BookingConfirmed,
    BookingExpired,
    BookingPaid,
    BookingRevived,
    PaymentRequested,
    PaymentReturned,
    PaymentUnplaced,
)
from protocol.booking.rows import BookingRow
from protocol.booking.terms import BookingStatus, EscrowStatus, PaymentStatus
from protocol.booking.views import PaymentReply
from protocol.effects import (
    FreeSlot,
    HoldStatus,
    MoveHold,
    OpenHold,
    ReserveSlot,
    Send,
)
from protocol.ids import Kind, PaymentId, Ref
from protocol.payment.commands import OpenPayment, RefundPayment
from protocol.payment.rows import GatewayRefRow, PaymentRow
from protocol.payment.terms import PaymentStage
from protocol.registry import Command
from tests.support import bookings as given
from tests.support.actors import replay
from tests.support.bookings import (
    CUSTOMER,
    ESCROW,
    HOUR,
    NOW,
    PRICE_MINOR,
    SERVER,
    START,
    UNALLOCATED,
    WINDOW,
    at,
    when,
)
from tests.support.effects import dropped, moved, of, refusal, rows, timers, types

S = BookingStatus


def told(effects: Sequence[Any]) -> list[tuple[Ref, Command]]:
    """The messages to payments."""
    return [(send.to, send.command) for send in of(effects, Send) if send.to.kind is Kind.PAYMENT]  # type: ignore[misc]  # messages hold commands


def sent_back(effects: Sequence[Any], payment_id: PaymentId) -> bool:
    """Whether the payment is asked to send its money back, and nothing else is asked of any."""
    return told(effects) == [(Ref(Kind.PAYMENT, payment_id), RefundPayment(payment_id=payment_id))]


def test_asking_to_pay_gives_the_way_to_the_gateway_and_the_same_one_again() -> None:
    first = when(given.made(), given.PAY, CUSTOMER)
    again = when(given.asked_to_pay(), given.PAY, CUSTOMER)

    assert types(first.events) == [PaymentRequested]
    assert again.events == []
    assert isinstance(first.reply, PaymentReply)
    assert first.reply == again.reply
    assert first.reply.checkout_path.endswith(str(first.reply.payment_id))
    (row,) = rows(first.effects, PaymentRow)
    payment_id = first.reply.payment_id
    assert (row.id, row.amount_minor, row.status, row.version) == (payment_id, PRICE_MINOR, PaymentStage.REQUESTED, 0)
    (reference,) = rows(first.effects, GatewayRefRow)
    assert (reference.reference, reference.payment_id) == (str(payment_id), payment_id)
    ((to, opened),) = told(first.effects)
    assert to == Ref(Kind.PAYMENT, payment_id)
    assert isinstance(opened, OpenPayment)
    assert (opened.terms.subject, opened.terms.amount_minor) == (Ref(Kind.BOOKING, given.ID), PRICE_MINOR)
    assert told(again.effects) == []


def test_what_is_paid_is_not_paid_again() -> None:
    refused = refusal(when(given.paid(), given.PAY, CUSTOMER))

    assert (refused.code, refused.fields) == ("wrong_state", {"status": "PENDING", "reason": "payment_secured"})


def test_a_payment_goes_into_escrow_and_waits_for_the_approval() -> None:
    asked = given.asked_to_pay()

    events, effects, _ = when(asked, given.captured(asked), SERVER, knowing=given.FREE)

    assert types(events) == [BookingPaid]
    assert moved(effects) == [(UNALLOCATED, ESCROW, PRICE_MINOR)]
    assert of(effects, MoveHold) == [MoveHold(given.ID, HoldStatus.HELD, HoldStatus.FUNDED, PRICE_MINOR)]
    assert dropped(effects) == {"expire"}
    assert timers(effects) == {"lapse": START}
    assert told(effects) == []
    assert rows(effects, BookingRow)[0].escrow_status is EscrowStatus.HELD


@pytest.mark.parametrize("version", [1, given.CAPTURED_VERSION])
def test_a_message_that_is_not_newer_than_what_is_known_is_ignored(version: int) -> None:
    paid = given.paid()
    old = replace(given.captured(paid), payment_version=version)

    decided = when(paid, old, SERVER, knowing=given.FREE)

    assert (decided.events, decided.effects) == ([], [])


def test_a_payment_that_the_booking_has_not_asked_for_goes_back_to_its_source() -> None:
    foreign = given.captured(given.asked_to_pay())

    decided = when(given.made(), foreign, SERVER, knowing=given.FREE)

    assert decided.events == []
    assert sent_back(decided.effects, foreign.payment_id)


@pytest.mark.parametrize(("amount_minor", "currency"), [(4_999, "EUR"), (5_001, "EUR"), (5_000, "USD")])
def test_a_wrong_amount_goes_back_to_its_source(amount_minor: int, currency: str) -> None:
    asked = given.asked_to_pay()

    events, effects, _ = when(asked, given.captured(asked, amount_minor, currency), SERVER, knowing=given.FREE)

    assert types(events) == [PaymentUnplaced]
    assert moved(effects) == []
    assert of(effects, MoveHold) == []
    assert sent_back(effects, given.captured(asked).payment_id)


def test_a_wrong_amount_keeps_the_slot_no_longer_than_no_payment() -> None:
    asked = given.asked_to_pay()
    wrong = given.then(asked, given.captured(asked, 4_999), SERVER, NOW, given.FREE)

    events, effects, _ = when(wrong, given.EXPIRE, SERVER, NOW + WINDOW)

    assert types(events) == [BookingExpired]
    assert of(effects, FreeSlot) == [FreeSlot(given.ID)]
    assert of(effects, MoveHold) == [MoveHold(given.ID, HoldStatus.HELD, HoldStatus.VOIDED, 0)]


def test_unpaid_for_fifteen_minutes_frees_the_slot() -> None:
    events, effects, _ = when(given.asked_to_pay(), given.EXPIRE, SERVER, NOW + WINDOW)

    assert types(events) == [BookingExpired]
    assert of(effects, FreeSlot) == [FreeSlot(given.ID)]
    assert moved(effects) == []


def test_payment_before_expiry_wins() -> None:
    decided = when(given.paid(), given.EXPIRE, SERVER, NOW + WINDOW)

    assert (decided.events, decided.effects, decided.reply) == ([], [], None)


def test_expiry_before_payment_revives_the_booking_if_its_time_is_free() -> None:
    expired = at(S.EXPIRED)

    events, effects, _ = when(expired, given.captured(expired), SERVER, NOW + HOUR, given.FREE)

    assert types(events) == [BookingRevived, BookingPaid]
    (slot,) = of(effects, ReserveSlot)
    assert (slot.starts_at, slot.ends_at) == (START, START + timedelta(minutes=75))
    (hold,) = of(effects, OpenHold)
    assert hold.hold_id != given.ID  # the first one was voided, once and for all
    assert of(effects, MoveHold) == [MoveHold(hold.hold_id, HoldStatus.HELD, HoldStatus.FUNDED, PRICE_MINOR)]
    assert replay(Booking, [*expired, *events]).status is S.PENDING


def test_a_late_payment_of_an_approved_booking_confirms_it() -> None:
    asked = given.asked_to_pay(given.made(auto_approve=True))
    expired = given.then(asked, given.EXPIRE, SERVER, NOW + WINDOW)

    events, _, _ = when(expired, given.captured(expired), SERVER, NOW + HOUR, given.FREE)

    assert types(events) == [BookingRevived, BookingPaid, BookingConfirmed]


@pytest.mark.parametrize(
    ("now", "knowing", "amount_minor"),
    [
        (NOW + HOUR, given.TAKEN, PRICE_MINOR),
        (START, given.FREE, PRICE_MINOR),
        (NOW + HOUR, given.FREE, PRICE_MINOR - 1),
    ],
    ids=["slot taken", "too late", "wrong amount"],
)
def test_a_late_payment_that_has_no_place_goes_back_to_its_source(
    now: datetime, knowing: Any, amount_minor: int
) -> None:
    expired = at(S.EXPIRED)

    events, effects, _ = when(expired, given.captured(expired, amount_minor), SERVER, now, knowing)

    assert events == [
        PaymentUnplaced(
            payment_id=given.captured(expired).payment_id,
            payment_version=given.CAPTURED_VERSION,
            amount_minor=amount_minor,
            currency="EUR",
        )
    ]
    assert of(effects, ReserveSlot) == []
    assert replay(Booking, [*expired, *events]).status is S.EXPIRED


def test_a_payment_after_the_cancellation_goes_back_to_its_source() -> None:
    cancelled = given.then(given.asked_to_pay(), given.CANCEL, CUSTOMER)

    events, effects, _ = when(cancelled, given.captured(cancelled), SERVER, knowing=given.FREE)

    assert types(events) == [PaymentUnplaced]
    assert moved(effects) == []
    assert sent_back(effects, given.captured(cancelled).payment_id)


def test_a_payment_that_is_back_at_its_source_is_refunded() -> None:
    unplaced, refund = given.unplaced()

    events, effects, _ = when(unplaced, refund, SERVER, START)

    assert types(events) == [PaymentReturned]
    assert moved(effects) == []
    assert replay(Booking, [*unplaced, *events]).payment_status is PaymentStatus.REFUNDED


def test_a_refund_counts_once_and_only_when_one_is_due() -> None:
    unplaced, refund = given.unplaced()
    returned = given.then(unplaced, refund, SERVER, START)

    for events in (returned, given.paid(), given.asked_to_pay()):
        decided = when(events, refund, SERVER, START)
        assert (decided.events, decided.effects) == ([], [])


def test_a_foreign_payment_id_is_not_taken_for_ours() -> None:
    asked = given.asked_to_pay()
    foreign = RecordRefund(
        booking_id=given.ID,
        payment_id=PaymentId(given.BUSINESS_ID),
        payment_version=given.RETURNED_VERSION,
        amount_minor=PRICE_MINOR,
        currency="EUR",
    )

    assert when(asked, foreign, SERVER).events == []
