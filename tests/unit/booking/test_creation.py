"""Making a booking: when, with whom, at which price, and why not (rules B-2, B-6)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from actors.booking.actor import Booking
from protocol.booking.commands import CreateBooking
from protocol.booking.events import (
    BookingCreated,
    BookingPaid,
)
from protocol.booking.facts import BusySpan
from protocol.booking.rows import BookingNotesRow
from protocol.booking.terms import BookingStatus, PaymentStatus
from protocol.booking.views import BookingReply
from protocol.effects import (
    HoldStatus,
    OpenHold,
    ReserveSlot,
)
from protocol.errors import Invalid, TermsChanged
from protocol.payment.rows import PaymentRow
from tests.support import bookings as given
from tests.support.actors import replay
from tests.support.bookings import (
    CUSTOMER,
    HOUR,
    MANAGER,
    NOW,
    OTHER_STAFF,
    OWNER,
    PRICE_MINOR,
    STAFF,
    START,
    WINDOW,
    facts,
    when,
    worker,
)
from tests.support.effects import moved, of, refusal, rows, timers, types

S = BookingStatus


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


@pytest.mark.parametrize(("said", "missing"), [({"user_lat": 52.5}, "user_long"), ({"user_long": 13.4}, "user_lat")])
def test_half_a_place_is_refused(said: dict[str, Any], missing: str) -> None:
    asked = CreateBooking(service_id=given.SERVICE_ID, start_at=START, **said)

    refused = when([], asked, CUSTOMER, knowing=facts()).reply

    assert isinstance(refused, Invalid)
    assert refused.fields == {missing: "missing"}


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
        decided = when(events, command, who, given.START)
        events = [*events, *decided.events]
        effects += decided.effects

    assert replay(Booking, events).hold.status is HoldStatus.POSTED
    assert moved(effects) == []


def test_a_free_service_of_a_business_that_approves_by_itself_is_confirmed_at_once() -> None:
    reply = when([], given.CREATE, CUSTOMER, knowing=facts(price_minor=0, auto_approve=True)).reply

    assert isinstance(reply, BookingReply)
    assert reply.status is S.CONFIRMED


# What the customer saw


@pytest.mark.parametrize(
    "expected",
    [
        {"expected_amount": 50},
        {"expected_amount": 50.0, "expected_end_at": START + timedelta(hours=1)},
        {"expected_end_at": START + timedelta(hours=1)},
    ],
)
def test_the_terms_that_the_customer_saw_are_booked(expected: dict[str, Any]) -> None:
    reply = when([], replace(given.CREATE, **expected), CUSTOMER, knowing=facts()).reply

    assert isinstance(reply, BookingReply)


@pytest.mark.parametrize(
    "expected",
    [
        {"expected_amount": 40},
        {"expected_amount": 50.01},
        {"expected_end_at": START + timedelta(minutes=30)},
        {"expected_amount": 50, "expected_end_at": START + timedelta(hours=2)},
    ],
)
def test_other_terms_than_the_customer_saw_are_refused_with_the_present_ones(expected: dict[str, Any]) -> None:
    decided = when([], replace(given.CREATE, **expected), CUSTOMER, knowing=facts())

    assert isinstance(refusal(decided), TermsChanged)
    assert refusal(decided).fields == {
        "total_amount": 50,
        "total_amount_minor": 5_000,
        "currency": "EUR",
        "start_at": START,
        "end_at": START + timedelta(hours=1),
        "staff_id": STAFF.user_id,
    }


def test_an_expected_amount_has_no_more_digits_than_the_currency() -> None:
    decided = when([], replace(given.CREATE, expected_amount=50.005), CUSTOMER, knowing=facts())

    assert refusal(decided).fields == {"expected_amount": "amount_too_precise"}
