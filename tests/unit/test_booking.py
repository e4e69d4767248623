"""The booking actor, step by step: given what happened, when a command comes, then events, effects and a reply."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from actors.actor import Turn
from actors.booking.actor import APPROVAL_MIN, UNCOUNTED, Booking
from actors.rules import ledger
from protocol.booking.commands import (
    BookingReply,
    ChangeStatus,
    CreateBooking,
    DeclineBooking,
    LapseApproval,
    PaymentReply,
    RecordRefund,
    RemindCustomer,
)
from protocol.booking.events import (
    BookingAbandoned,
    BookingApproved,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingCreated,
    BookingDeclined,
    BookingExpired,
    BookingPaid,
    BookingRefunded,
    BookingReleased,
    BookingReminded,
    BookingRevived,
    BookingStarted,
    PaymentRequested,
    PaymentReturned,
    PaymentUnplaced,
)
from protocol.booking.terms import BookingStatus, DeclineReason, EscrowStatus, PaymentStatus, ReleaseCause
from protocol.booking.views import BookingNotesRow, BookingRow, PaymentRow
from protocol.booking_facts import BusySpan
from protocol.conversation import OpenConversation
from protocol.effects import (
    CancelTimer,
    FreeSlot,
    HoldStatus,
    MoveHold,
    OpenHold,
    PutRow,
    ReserveSlot,
    Send,
    SetTimer,
    Transfer,
)
from protocol.errors import Invalid, Rejected
from protocol.events import Event, Row
from protocol.ids import SYSTEM, PaymentId
from tests.support import bookings as given
from tests.support.actors import Decided, counting_ids, decide, replay
from tests.support.bookings import (
    CUSTOMER,
    GATEWAY_SAYS,
    MANAGER,
    NOW,
    OTHER_STAFF,
    OWNER,
    PRICE_MINOR,
    SERVER,
    STAFF,
    START,
    at,
    facts,
    worker,
)

S = BookingStatus
T = TypeVar("T")
R = TypeVar("R", bound=Row)

#: The window that a payment has, and one hour.
WINDOW = timedelta(minutes=15)
HOUR = timedelta(hours=1)
WALLET = ledger.customer_wallet(CUSTOMER.user_id, "EUR")
BUSINESS_WALLET = ledger.business_wallet(given.BUSINESS_ID, "EUR")
ESCROW, GATEWAY = ledger.escrow("EUR"), ledger.gateway_clearing("EUR")


def when(events: Sequence[Event], command: Any, who: Any, now: datetime = NOW, knowing: Any = None) -> Decided:
    return decide(Booking, events, command, who, now, knowing)


def of(effects: Sequence[Any], kind: type[T]) -> list[T]:
    return [effect for effect in effects if isinstance(effect, kind)]


def rows(effects: Sequence[Any], kind: type[R]) -> list[R]:
    return [put.row for put in of(effects, PutRow) if isinstance(put.row, kind)]


def types(events: Sequence[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


def moved(effects: Sequence[Any]) -> list[tuple[str, str, int]]:
    return [(transfer.debit, transfer.credit, transfer.amount_minor) for transfer in of(effects, Transfer)]


def timers(effects: Sequence[Any]) -> dict[str, datetime]:
    return {timer.name: timer.due_at for timer in of(effects, SetTimer)}


def dropped(effects: Sequence[Any]) -> set[str]:
    return {timer.name for timer in of(effects, CancelTimer)}


def refusal(decided: Decided) -> Rejected:
    assert isinstance(decided.reply, Rejected), decided.reply
    return decided.reply


# Making one


def test_a_new_booking_holds_its_slot_with_the_buffers_and_promises_the_price() -> None:
    events, effects, reply = when([], given.CREATE, CUSTOMER, knowing=facts())

    assert types(events) == [BookingCreated]
    (slot,) = of(effects, ReserveSlot)
    assert (slot.staff_id, slot.starts_at, slot.ends_at) == (STAFF.user_id, START, START + timedelta(minutes=75))
    (hold,) = of(effects, OpenHold)
    assert (hold.business_id, hold.amount_minor, hold.currency) == (given.BUSINESS_ID, PRICE_MINOR, "EUR")
    assert timers(effects) == {"expire": NOW + WINDOW}
    assert moved(effects) == []
    assert isinstance(reply, BookingReply)
    assert (reply.status, reply.end_at, reply.total_amount, reply.total_amount_minor) == (
        S.PENDING,
        START + HOUR,
        50,
        5000,
    )


def test_words_and_whereabouts_are_a_row_and_no_part_of_events_or_state() -> None:
    asked = CreateBooking(service_id=given.SERVICE_ID, start_at=START, notes="The bell is broken", address="Main St 1")

    events, effects, _ = when([], asked, CUSTOMER, knowing=facts())

    (notes,) = rows(effects, BookingNotesRow)
    assert (notes.notes, notes.address) == ("The bell is broken", "Main St 1")
    assert "bell" not in str(events)
    assert "Main St" not in str(replay(Booking, events))


def test_a_booking_without_words_writes_no_notes() -> None:
    assert rows(when([], given.CREATE, CUSTOMER, knowing=facts()).effects, BookingNotesRow) == []


def test_the_start_may_be_said_on_the_business_s_clock() -> None:
    asked = CreateBooking(service_id=given.SERVICE_ID, scheduled_date="2026-03-02", scheduled_time="15:00")

    (created,) = when([], asked, CUSTOMER, knowing=facts()).events

    assert isinstance(created, BookingCreated)
    assert created.starts_at == datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "clock", "fields"),
    [
        (None, None, {"start_at": "missing"}),
        ("2026-03-02", None, {"scheduled_time": "missing"}),
        (None, "10:00", {"scheduled_date": "missing"}),
        ("2026-02-30", "10:00", {"scheduled_date": "bad_format"}),
        ("2026-03-02", "25:00", {"scheduled_time": "bad_format"}),
        ("2026-03-29", "02:30", {"scheduled_time": "nonexistent_local_time"}),
        ("9999-12-31", "10:00", {"scheduled_time": "instant_out_of_range"}),
    ],
)
def test_a_start_that_is_none_is_refused_by_its_field(
    day: str | None, clock: str | None, fields: dict[str, str]
) -> None:
    asked = CreateBooking(service_id=given.SERVICE_ID, scheduled_date=day, scheduled_time=clock)

    refused = refusal(when([], asked, CUSTOMER, knowing=facts()))

    assert isinstance(refused, Invalid)
    assert refused.fields == fields


def test_an_instant_beyond_the_calendar_is_refused_by_its_field() -> None:
    asked = CreateBooking(service_id=given.SERVICE_ID, start_at=datetime(9000, 1, 1, tzinfo=UTC))

    assert refusal(when([], asked, CUSTOMER, knowing=facts())).fields == {"start_at": "instant_out_of_range"}


@pytest.mark.parametrize(
    ("knowing", "start_at", "code", "fields"),
    [
        (facts(is_active=False), START, "not_found", {"entity": "service", "id": str(given.SERVICE_ID)}),
        (facts(blocked=True), START, "pair_blocked", {}),
        (facts(lead_time_minutes=301), START, "slot_unavailable", {"reason": "lead_time"}),
        (facts(), NOW + timedelta(days=366), "slot_unavailable", {"reason": "too_far_ahead"}),
        (facts(), NOW + timedelta(hours=13), "slot_unavailable", {"reason": "hours"}),
        (facts(), NOW - HOUR, "slot_unavailable", {"reason": "lead_time"}),
    ],
)
def test_what_cannot_be_booked_is_refused(knowing: Any, start_at: datetime, code: str, fields: dict[str, str]) -> None:
    asked = CreateBooking(service_id=given.SERVICE_ID, start_at=start_at, staff_id=STAFF.user_id)

    refused = refusal(when([], asked, CUSTOMER, knowing=knowing))

    assert (refused.code, refused.fields) == (code, fields)


def _busy_at_start(minutes_before: int = 0) -> tuple[BusySpan, ...]:
    from_at = START - timedelta(minutes=minutes_before)
    return (BusySpan(given.ID, from_at, from_at + HOUR + timedelta(minutes=15), from_at, from_at + HOUR),)


def test_a_person_asked_for_by_name_who_is_busy_is_taken() -> None:
    asked = CreateBooking(service_id=given.SERVICE_ID, start_at=START, staff_id=STAFF.user_id)

    assert refusal(when([], asked, CUSTOMER, knowing=facts(worker(STAFF, busy=_busy_at_start())))).code == "slot_taken"


def test_the_buffer_of_the_job_before_counts_too() -> None:
    asked = CreateBooking(service_id=given.SERVICE_ID, start_at=START, staff_id=STAFF.user_id)
    before = worker(STAFF, busy=_busy_at_start(minutes_before=60))

    assert refusal(when([], asked, CUSTOMER, knowing=facts(before))).code == "slot_taken"


def test_without_a_wish_the_best_rated_free_one_gets_the_job() -> None:
    busy_star = worker(MANAGER, rating=5.0, busy=_busy_at_start())
    staff = [worker(STAFF, rating=4.1), busy_star, worker(OTHER_STAFF, rating=4.6)]

    (created,) = when([], given.CREATE, CUSTOMER, knowing=facts(*staff)).events

    assert isinstance(created, BookingCreated)
    assert created.staff_id == OTHER_STAFF.user_id


def test_nobody_free_is_said_so() -> None:
    staff = [worker(STAFF, busy=_busy_at_start()), worker(OTHER_STAFF, overrunning=True, busy=_busy_at_start())]

    assert refusal(when([], given.CREATE, CUSTOMER, knowing=facts(*staff))).code == "no_staff_free"


def test_of_equals_the_owner_who_costs_more_comes_last() -> None:
    owner = given.principal(0, OWNER.role, given.BUSINESS_ID)  # the lowest id of all

    (created,) = when([], given.CREATE, CUSTOMER, knowing=facts(worker(owner, is_owner=True), worker(STAFF))).events

    assert isinstance(created, BookingCreated)
    assert created.staff_id == STAFF.user_id


def test_the_owner_costs_half_as_much_again_if_others_offer_the_service() -> None:
    asked = CreateBooking(service_id=given.SERVICE_ID, start_at=START, staff_id=OWNER.user_id)
    knowing = facts(worker(OWNER, is_owner=True), price_minor=3_333, offering=[OWNER, STAFF])

    reply = when([], asked, CUSTOMER, knowing=knowing).reply

    assert isinstance(reply, BookingReply)
    assert reply.total_amount_minor == 5_000  # 4999.5, half up


def test_a_solo_owner_costs_the_plain_price() -> None:
    knowing = facts(worker(OWNER, is_owner=True), price_minor=3_333, offering=[OWNER])

    reply = when([], given.CREATE, CUSTOMER, knowing=knowing).reply

    assert isinstance(reply, BookingReply)
    assert reply.total_amount_minor == 3_333


def test_a_free_service_needs_no_payment_and_waits_for_approval_only() -> None:
    events, effects, reply = when([], given.CREATE, CUSTOMER, knowing=facts(price_minor=0))

    assert types(events) == [BookingCreated, BookingPaid]
    assert moved(effects) == []
    assert rows(effects, PaymentRow) == []
    assert set(timers(effects)) == {"lapse"}
    assert isinstance(reply, BookingReply)
    assert (reply.payment_status, reply.total_amount) == (PaymentStatus.SECURED, 0)


def test_a_free_service_runs_to_its_end_without_moving_money() -> None:
    events = given.made(price_minor=0)
    effects: list[Any] = []
    for command, who in (
        (given.APPROVE, STAFF),
        (given.BEGIN, STAFF),
        (given.COMPLETE, STAFF),
        (given.CONFIRM_RELEASE, CUSTOMER),
    ):
        decided = when(events, command, who)
        events = [*events, *decided.events]
        effects += decided.effects

    assert replay(Booking, events).hold is HoldStatus.POSTED
    assert moved(effects) == []


def test_a_free_service_of_a_business_that_approves_by_itself_is_confirmed_at_once() -> None:
    reply = when([], given.CREATE, CUSTOMER, knowing=facts(price_minor=0, auto_approve=True)).reply

    assert isinstance(reply, BookingReply)
    assert reply.status is S.CONFIRMED


# Paying


def test_asking_to_pay_gives_the_way_to_the_gateway_and_the_same_one_again() -> None:
    first = when(given.made(), given.PAY, CUSTOMER)
    again = when(given.asked_to_pay(), given.PAY, CUSTOMER)

    assert types(first.events) == [PaymentRequested]
    assert again.events == []
    assert isinstance(first.reply, PaymentReply)
    assert first.reply == again.reply
    assert first.reply.checkout_path.endswith(str(first.reply.payment_id))
    (row,) = rows(first.effects, PaymentRow)
    assert (row.id, row.amount_minor, row.status) == (first.reply.payment_id, PRICE_MINOR, "REQUESTED")


def test_what_is_paid_is_not_paid_again() -> None:
    refused = refusal(when(given.paid(), given.PAY, CUSTOMER))

    assert (refused.code, refused.fields) == ("wrong_state", {"status": "PENDING", "reason": "payment_secured"})


def test_a_payment_goes_into_escrow_and_waits_for_the_approval() -> None:
    asked = given.asked_to_pay()

    events, effects, _ = when(asked, given.captured(asked), GATEWAY_SAYS, knowing=given.FREE)

    assert types(events) == [BookingPaid]
    assert moved(effects) == [(GATEWAY, ESCROW, PRICE_MINOR)]
    assert of(effects, MoveHold) == [MoveHold(given.ID, HoldStatus.HELD, HoldStatus.FUNDED, PRICE_MINOR)]
    assert dropped(effects) == {"expire"}
    assert timers(effects) == {"lapse": START}
    assert rows(effects, PaymentRow)[0].status == "CAPTURED"
    assert rows(effects, BookingRow)[0].escrow_status is EscrowStatus.HELD


def test_the_gateway_may_say_it_twice() -> None:
    paid = given.paid()

    decided = when(paid, given.captured(paid), GATEWAY_SAYS, knowing=given.FREE)

    assert (decided.events, decided.effects) == ([], [])


def test_a_payment_nobody_asked_for_changes_nothing() -> None:
    foreign = given.captured(given.asked_to_pay())

    decided = when(given.made(), foreign, GATEWAY_SAYS, knowing=given.FREE)

    assert (decided.events, decided.effects) == ([], [])


@pytest.mark.parametrize(("amount_minor", "currency"), [(4_999, "EUR"), (5_001, "EUR"), (5_000, "USD")])
def test_a_wrong_amount_goes_back_to_its_source(amount_minor: int, currency: str) -> None:
    asked = given.asked_to_pay()

    events, effects, _ = when(asked, given.captured(asked, amount_minor, currency), GATEWAY_SAYS, knowing=given.FREE)

    assert types(events) == [PaymentUnplaced]
    escrow = ledger.escrow(currency)
    assert moved(effects) == [(ledger.gateway_clearing(currency), escrow, amount_minor)]
    assert of(effects, MoveHold) == []
    (row,) = rows(effects, PaymentRow)
    assert (row.status, row.amount_minor, row.currency) == ("REFUNDING", amount_minor, currency)


def test_a_wrong_amount_keeps_the_slot_no_longer_than_no_payment() -> None:
    asked = given.asked_to_pay()
    wrong = given.then(asked, given.captured(asked, 4_999), GATEWAY_SAYS, NOW, given.FREE)

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

    events, effects, _ = when(expired, given.captured(expired), GATEWAY_SAYS, NOW + HOUR, given.FREE)

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

    events, _, _ = when(expired, given.captured(expired), GATEWAY_SAYS, NOW + HOUR, given.FREE)

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

    events, effects, _ = when(expired, given.captured(expired, amount_minor), GATEWAY_SAYS, now, knowing)

    assert events == [
        PaymentUnplaced(payment_id=given.captured(expired).payment_id, amount_minor=amount_minor, currency="EUR")
    ]
    assert of(effects, ReserveSlot) == []
    assert replay(Booking, [*expired, *events]).status is S.EXPIRED


def test_a_payment_after_the_cancellation_goes_back_to_its_source() -> None:
    cancelled = given.then(given.asked_to_pay(), given.CANCEL, CUSTOMER)

    events, effects, _ = when(cancelled, given.captured(cancelled), GATEWAY_SAYS, knowing=given.FREE)

    assert types(events) == [PaymentUnplaced]
    assert moved(effects) == [(GATEWAY, ESCROW, PRICE_MINOR)]


def _returning() -> tuple[list[Event], RecordRefund]:
    expired = at(S.EXPIRED)
    payment = given.captured(expired)
    events = given.then(expired, payment, GATEWAY_SAYS, START, given.TAKEN)
    return events, RecordRefund(
        booking_id=given.ID, payment_id=payment.payment_id, amount_minor=payment.amount_minor, currency="EUR"
    )


def test_what_the_gateway_has_sent_back_leaves_escrow() -> None:
    unplaced, refund = _returning()

    events, effects, _ = when(unplaced, refund, GATEWAY_SAYS, START)

    assert types(events) == [PaymentReturned]
    assert moved(effects) == [(ESCROW, GATEWAY, PRICE_MINOR)]
    assert rows(effects, PaymentRow)[0].status == "REFUNDED"


@pytest.mark.parametrize(("amount_minor", "currency"), [(4_999, "EUR"), (5_001, "EUR"), (5_000, "USD")])
def test_a_refund_of_another_amount_is_none_of_ours(amount_minor: int, currency: str) -> None:
    unplaced, refund = _returning()

    decided = when(unplaced, replace(refund, amount_minor=amount_minor, currency=currency), GATEWAY_SAYS, START)

    assert (decided.events, decided.effects) == ([], [])


def test_a_refund_counts_once_and_only_when_one_is_due() -> None:
    unplaced, refund = _returning()
    returned = given.then(unplaced, refund, GATEWAY_SAYS, START)

    for events in (returned, given.paid(), given.asked_to_pay()):
        decided = when(events, refund, GATEWAY_SAYS, START)
        assert (decided.events, decided.effects) == ([], [])


# Approving, or not


def test_approval_before_payment_waits_for_it() -> None:
    approved = given.then(given.asked_to_pay(), given.APPROVE, STAFF)
    assert types(approved[2:]) == [BookingApproved]

    events, effects, _ = when(approved, given.captured(approved), GATEWAY_SAYS, knowing=given.FREE)

    assert types(events) == [BookingPaid, BookingConfirmed]
    assert "lapse" not in timers(effects)


def test_approval_after_payment_confirms() -> None:
    events, effects, reply = when(given.paid(), given.APPROVE, STAFF)

    assert types(events) == [BookingApproved, BookingConfirmed]
    assert "lapse" in dropped(effects)
    assert isinstance(reply, BookingReply)
    assert reply.status is S.CONFIRMED


def test_a_confirmed_booking_opens_the_thread_of_customer_and_staff_member() -> None:
    (sent,) = of(when(given.paid(), given.APPROVE, MANAGER).effects, Send)

    assert isinstance(sent.command, OpenConversation)
    assert [member.user_id for member in sent.command.members] == [CUSTOMER.user_id, STAFF.user_id]


def test_a_business_that_approves_by_itself_needs_the_payment_only() -> None:
    asked = given.asked_to_pay(given.made(auto_approve=True))

    events, _, _ = when(asked, given.captured(asked), GATEWAY_SAYS, knowing=given.FREE)

    assert types(events) == [BookingPaid, BookingConfirmed]


def test_approving_twice_is_refused() -> None:
    refused = refusal(when(given.then(given.made(), given.APPROVE, STAFF), given.APPROVE, MANAGER))

    assert refused.fields == {"status": "PENDING", "reason": "already_approved"}


def test_an_approval_is_logged_as_theirs_who_gave_it() -> None:
    approved, _ = when(given.paid(), given.APPROVE, MANAGER).events

    assert approved == BookingApproved(by=MANAGER.user_id)


@pytest.mark.parametrize(
    ("lead_time_minutes", "start_in", "paid_after", "due_in"),
    [
        (0, timedelta(days=3), timedelta(), timedelta(hours=24)),
        (60, timedelta(hours=5), timedelta(), timedelta(hours=4)),
        (60, timedelta(hours=1), timedelta(minutes=10), timedelta(minutes=25)),
        (0, timedelta(minutes=20), timedelta(minutes=10), timedelta(minutes=20)),
    ],
    ids=["24 hours", "until the lead time", "at least a while", "never past the start"],
)
def test_the_provider_has_until_then_to_approve(
    lead_time_minutes: int, start_in: timedelta, paid_after: timedelta, due_in: timedelta
) -> None:
    asked = CreateBooking(service_id=given.SERVICE_ID, start_at=NOW + start_in)
    events = given.asked_to_pay(given.made(asked, lead_time_minutes=lead_time_minutes))

    effects = when(events, given.captured(events), GATEWAY_SAYS, NOW + paid_after, given.FREE).effects

    assert timers(effects)["lapse"] == NOW + due_in


def test_paid_but_not_approved_in_time_is_a_decline_that_does_not_count() -> None:
    events, effects, _ = when(given.paid(), LapseApproval(booking_id=given.ID), SERVER, START - APPROVAL_MIN)

    assert events == [
        BookingDeclined(by=SYSTEM, staff_id=STAFF.user_id, reason_code=DeclineReason.NO_ANSWER, counted=False)
    ]
    assert of(effects, FreeSlot) == [FreeSlot(given.ID)]


@pytest.mark.parametrize("events", [given.made(), given.paid(), at(S.CONFIRMED)], ids=["unpaid", "paid", "confirmed"])
def test_a_decline_frees_the_time_keeps_the_money_and_gives_up_at_the_start(events: list[Event]) -> None:
    declined, effects, reply = when(events, given.DECLINE, STAFF)

    assert types(declined) == [BookingDeclined]
    assert of(effects, FreeSlot) == [FreeSlot(given.ID)]
    assert of(effects, MoveHold) == []
    assert moved(effects) == []
    assert dropped(effects) == {"expire", "lapse", "remind"}
    assert timers(effects) == {"give_up": START}
    assert isinstance(reply, BookingReply)
    assert reply.status is S.DECLINED


@pytest.mark.parametrize("reason", [reason for reason in DeclineReason if reason is not DeclineReason.NO_ANSWER])
def test_a_decline_counts_by_its_reason_if_it_is_the_staff_member_s_own(reason: DeclineReason) -> None:
    command = DeclineBooking(booking_id=given.ID, reason_code=reason)

    (own,) = when(given.made(), command, STAFF).events
    (managers,) = when(given.made(), command, MANAGER).events

    assert isinstance(own, BookingDeclined)
    assert isinstance(managers, BookingDeclined)
    assert own.counted == (reason not in UNCOUNTED)
    assert not managers.counted
    assert (managers.by, managers.staff_id) == (MANAGER.user_id, STAFF.user_id)


def test_only_the_server_says_that_nobody_answered() -> None:
    command = DeclineBooking(booking_id=given.ID, reason_code=DeclineReason.NO_ANSWER)

    assert refusal(when(given.made(), command, STAFF)).fields == {"reason_code": "unknown_value"}


def test_a_payment_for_a_declined_booking_is_kept_until_the_customer_decides() -> None:
    declined = given.then(given.asked_to_pay(), given.DECLINE, STAFF)

    events, effects, _ = when(declined, given.captured(declined), GATEWAY_SAYS, knowing=given.FREE)

    assert types(events) == [BookingPaid]
    assert timers(effects) == {}
    assert replay(Booking, [*declined, *events]).status is S.DECLINED


# Calling it off


@pytest.mark.parametrize("who", [CUSTOMER, STAFF, OWNER], ids=["customer", "staff", "owner"])
def test_cancelling_what_is_paid_gives_everything_back_to_the_wallet(who: Any) -> None:
    events, effects, _ = when(at(S.CONFIRMED), given.CANCEL, who)

    assert events == [BookingCancelled(by=who.user_id), BookingRefunded(amount_minor=PRICE_MINOR, currency="EUR")]
    assert moved(effects) == [(ESCROW, WALLET, PRICE_MINOR)]
    assert of(effects, MoveHold) == [MoveHold(given.ID, HoldStatus.FUNDED, HoldStatus.VOIDED, -PRICE_MINOR)]
    assert of(effects, FreeSlot) == [FreeSlot(given.ID)]
    assert dropped(effects) == {"expire", "lapse", "remind", "give_up"}
    assert rows(effects, BookingRow)[0].payment_status is PaymentStatus.REFUNDED


def test_cancelling_what_is_not_paid_moves_no_money() -> None:
    events, effects, _ = when(given.asked_to_pay(), given.CANCEL, CUSTOMER)

    assert types(events) == [BookingCancelled]
    assert moved(effects) == []
    assert of(effects, MoveHold) == [MoveHold(given.ID, HoldStatus.HELD, HoldStatus.VOIDED, 0)]
    assert rows(effects, BookingRow)[0].escrow_status is EscrowStatus.VOIDED


def test_cancelling_what_was_declined_refunds_and_frees_no_slot_again() -> None:
    _, effects, _ = when(at(S.DECLINED), given.CANCEL, CUSTOMER)

    assert moved(effects) == [(ESCROW, WALLET, PRICE_MINOR)]
    assert of(effects, FreeSlot) == []


def test_declined_and_unresolved_at_its_start_is_refunded_in_full() -> None:
    events, effects, _ = when(at(S.DECLINED), given.GIVE_UP, SERVER, START)

    assert types(events) == [BookingAbandoned, BookingRefunded]
    assert moved(effects) == [(ESCROW, WALLET, PRICE_MINOR)]
    assert rows(effects, BookingRow)[0].status is S.CANCELLED_BY_SYSTEM


def test_declined_unpaid_and_unresolved_at_its_start_ends_without_money() -> None:
    declined = given.then(given.made(), given.DECLINE, STAFF)

    events, effects, _ = when(declined, given.GIVE_UP, SERVER, START)

    assert types(events) == [BookingAbandoned]
    assert moved(effects) == []


# The reminder


def test_the_customer_is_reminded_an_hour_ahead_and_never_after_the_start() -> None:
    (remind,) = of(when(given.paid(), given.APPROVE, STAFF).effects, SetTimer)

    assert (remind.name, remind.due_at, remind.expires_at) == ("remind", START - HOUR, START)


@pytest.mark.parametrize("ahead", [timedelta(minutes=40), HOUR])
def test_a_booking_confirmed_inside_the_hour_gets_no_reminder(ahead: timedelta) -> None:
    effects = when(given.paid(), given.APPROVE, STAFF, START - ahead).effects

    assert "remind" not in timers(effects)


def test_the_reminder_goes_when_the_job_starts() -> None:
    confirmed = at(S.CONFIRMED)

    assert when(confirmed, RemindCustomer(booking_id=given.ID), SERVER, START - HOUR).events == [
        BookingReminded(starts_at=START)
    ]
    assert "remind" in dropped(when(confirmed, given.BEGIN, STAFF).effects)


# The job


def test_start_and_end_are_the_server_s_and_the_rest_of_the_slot_is_free() -> None:
    started = given.then(at(S.CONFIRMED), given.BEGIN, STAFF, START)
    events, effects, _ = when(started, given.COMPLETE, STAFF, START + timedelta(minutes=25))

    assert started[-1] == BookingStarted(at=START)
    assert types(events) == [BookingCompleted]
    assert of(effects, FreeSlot) == [FreeSlot(given.ID)]
    (row,) = rows(effects, BookingRow)
    assert (row.actual_start_at, row.actual_end_at) == (START, START + timedelta(minutes=25))


def test_completion_does_not_release_the_money_but_sets_the_clock() -> None:
    _, effects, _ = when(at(S.IN_PROGRESS), given.COMPLETE, STAFF, START + HOUR)

    assert moved(effects) == []
    assert of(effects, MoveHold) == [MoveHold(given.ID, HoldStatus.FUNDED, HoldStatus.PENDING_CLEARANCE, 0)]
    assert timers(effects) == {"release": START + timedelta(hours=25)}
    assert rows(effects, BookingRow)[0].escrow_status is EscrowStatus.PENDING_CLEARANCE


def test_the_customer_s_word_releases_less_commission() -> None:
    events, effects, _ = when(at(S.COMPLETED), given.CONFIRM_RELEASE, CUSTOMER, START + 2 * HOUR)

    assert events == [
        BookingReleased(amount_minor=5_000, commission_minor=500, currency="EUR", cause=ReleaseCause.CUSTOMER)
    ]
    assert moved(effects) == [(ESCROW, BUSINESS_WALLET, 4_500), (ESCROW, ledger.platform_revenue("EUR"), 500)]
    assert of(effects, MoveHold) == [MoveHold(given.ID, HoldStatus.PENDING_CLEARANCE, HoldStatus.POSTED, -PRICE_MINOR)]
    assert dropped(effects) == {"release"}


def test_after_a_day_the_money_is_released_by_itself() -> None:
    (released,) = when(at(S.COMPLETED), given.AUTO_RELEASE, SERVER, START + timedelta(hours=25)).events

    assert isinstance(released, BookingReleased)
    assert released.cause is ReleaseCause.TIME


@pytest.mark.parametrize("first", [given.CONFIRM_RELEASE, given.AUTO_RELEASE], ids=["customer", "time"])
def test_the_money_is_released_exactly_once(first: Any) -> None:
    released = given.then(at(S.COMPLETED), first, CUSTOMER)

    by_customer = when(released, given.CONFIRM_RELEASE, CUSTOMER)
    by_time = when(released, given.AUTO_RELEASE, SERVER)

    assert refusal(by_customer).fields == {"status": "COMPLETED", "reason": "already_released"}
    assert (by_time.events, by_time.effects) == ([], [])


def test_two_completes_are_one() -> None:
    assert refusal(when(at(S.COMPLETED), given.COMPLETE, STAFF)).code == "wrong_state"


# Who hears of it


def _heard_by(events: Sequence[Event], command: Any, who: Any, knowing: Any = None) -> list[set[Any]]:
    """Whose inboxes each event of the decision goes to."""
    actor = Booking(given.ID, replay(Booking, events), Turn(NOW, who, counting_ids(NOW)))
    handler = Booking.handlers[type(command)]
    handler.call(actor, command, *([knowing] if handler.facts else []))
    return [set(emitted.audience) for emitted in actor.emitted]


def test_customer_staff_member_and_owner_hear_of_each_step() -> None:
    everybody = {CUSTOMER.user_id, STAFF.user_id, OWNER.user_id}

    assert _heard_by([], given.CREATE, CUSTOMER, facts()) == [everybody]
    assert _heard_by(given.paid(), given.APPROVE, MANAGER) == [everybody, everybody]
    assert _heard_by(at(S.CONFIRMED), given.CANCEL, CUSTOMER) == [everybody, everybody]


def test_an_owner_who_does_the_job_hears_of_it_once() -> None:
    knowing = facts(worker(OWNER, is_owner=True))

    assert _heard_by([], given.CREATE, CUSTOMER, knowing) == [{CUSTOMER.user_id, OWNER.user_id}]


def test_what_is_between_customer_and_gateway_reaches_the_customer_alone() -> None:
    unplaced, refund = _returning()

    assert _heard_by(given.made(), given.PAY, CUSTOMER) == [{CUSTOMER.user_id}]
    assert _heard_by(at(S.EXPIRED), given.captured(at(S.EXPIRED)), GATEWAY_SAYS, given.TAKEN) == [{CUSTOMER.user_id}]
    assert _heard_by(unplaced, refund, GATEWAY_SAYS) == [{CUSTOMER.user_id}]
    assert _heard_by(at(S.CONFIRMED), RemindCustomer(booking_id=given.ID), SERVER) == [{CUSTOMER.user_id}]


# SkillBuddy's one route for all steps


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("CONFIRMED", given.APPROVE),
        ("ongoing", given.BEGIN),
        ("IN_PROGRESS", given.BEGIN),
        ("completed", given.COMPLETE),
        ("COMPLETED", given.COMPLETE),
        ("cancelled", given.CANCEL),
        ("CANCELLED", given.CANCEL),
    ],
)
def test_a_status_or_phase_that_is_set_means_a_command(status: str, command: Any) -> None:
    assert ChangeStatus(booking_id=given.ID, status=status).to_command() == command


def test_a_status_that_nobody_can_set_is_refused_by_its_field() -> None:
    with pytest.raises(Invalid) as refused:
        ChangeStatus(booking_id=given.ID, status="EXPIRED").to_command()

    assert refused.value.fields == {"status": "unknown_value"}


def test_a_foreign_payment_id_is_not_taken_for_ours() -> None:
    asked = given.asked_to_pay()
    foreign = RecordRefund(
        booking_id=given.ID, payment_id=PaymentId(given.BUSINESS_ID), amount_minor=PRICE_MINOR, currency="EUR"
    )

    assert when(asked, foreign, GATEWAY_SAYS).events == []
