"""A job that nobody starts is the staff member's no-show; one that nobody ends is completed (rule B-22)."""

from datetime import timedelta

from protocol.booking.events import (
    BookingCompleted,
    BookingEndOverdue,
    BookingNoShow,
    BookingRefunded,
    BookingStartOverdue,
)
from protocol.booking.rows import BookingRow
from protocol.booking.terms import BookingStatus, CompletionCause, PaymentStatus
from protocol.effects import FreeSlot, HoldStatus, MoveHold
from tests.support import bookings as given
from tests.support.bookings import CUSTOMER, ESCROW, HOUR, PRICE_MINOR, SERVER, STAFF, START, WALLET, at, when
from tests.support.effects import dropped, moved, of, rows, timers, types

S = BookingStatus
END = START + HOUR


def test_a_confirmed_job_has_to_start_by_two_hours_after_its_planned_end() -> None:
    effects = when(given.paid(), given.APPROVE, STAFF).effects

    assert timers(effects)["start_overdue"] == END + 2 * HOUR


def test_all_are_asked_about_a_job_that_was_not_started() -> None:
    events, effects, _ = when(at(S.CONFIRMED), given.ASK, SERVER, END + 2 * HOUR)

    assert events == [BookingStartOverdue(ends_at=END, no_show_at=END + 26 * HOUR)]
    assert timers(effects) == {"start_overdue": END + 26 * HOUR}
    assert moved(effects) == []


def test_a_no_show_gives_the_customer_everything_back() -> None:
    asked = given.then(at(S.CONFIRMED), given.ASK, SERVER, END + 2 * HOUR)

    events, effects, _ = when(asked, given.NO_SHOW, SERVER, END + 26 * HOUR)

    assert events == [
        BookingNoShow(staff_id=STAFF.user_id),
        BookingRefunded(amount_minor=PRICE_MINOR, currency="EUR"),
    ]
    assert moved(effects) == [(ESCROW, WALLET, PRICE_MINOR)]
    assert of(effects, MoveHold) == [MoveHold(given.ID, HoldStatus.FUNDED, HoldStatus.VOIDED, -PRICE_MINOR)]
    assert of(effects, FreeSlot) == [FreeSlot(given.ID)]
    (row,) = rows(effects, BookingRow)
    assert (row.status, row.payment_status) == (S.NO_SHOW, PaymentStatus.REFUNDED)


def test_a_job_that_starts_after_the_question_is_no_no_show() -> None:
    asked = given.then(at(S.CONFIRMED), given.ASK, SERVER, END + 2 * HOUR)
    started_at = END + 3 * HOUR

    effects = when(asked, given.BEGIN, STAFF, started_at).effects

    assert "start_overdue" in dropped(effects)
    assert timers(effects) == {"end_overdue": started_at + HOUR + 12 * HOUR}


def test_the_owner_is_alerted_12_hours_past_the_estimate() -> None:
    assert timers(when(at(S.CONFIRMED), given.BEGIN, STAFF, START).effects) == {"end_overdue": END + 12 * HOUR}

    events, effects, _ = when(at(S.IN_PROGRESS), given.ALERT, SERVER, END + 12 * HOUR)

    assert events == [BookingEndOverdue(started_at=START, complete_at=END + 48 * HOUR)]
    assert timers(effects) == {"end_overdue": END + 48 * HOUR}


def test_the_server_completes_a_job_48_hours_past_its_estimate_with_the_usual_window() -> None:
    alerted = given.then(at(S.IN_PROGRESS), given.ALERT, SERVER, END + 12 * HOUR)
    now = END + 48 * HOUR

    events, effects, _ = when(alerted, given.COMPLETE_OVERDUE, SERVER, now)

    release_at = now + timedelta(hours=24)
    assert events == [BookingCompleted(at=now, release_at=release_at, cause=CompletionCause.TIME)]
    assert timers(effects) == {"release": release_at}
    assert of(effects, FreeSlot) == [FreeSlot(given.ID)]
    assert moved(effects) == []


def test_a_job_completed_by_its_provider_is_not_completed_again() -> None:
    effects = when(at(S.IN_PROGRESS), given.COMPLETE, STAFF, END).effects

    assert "end_overdue" in dropped(effects)


def test_the_customer_confirms_a_job_that_the_server_completed() -> None:
    completed = given.then(at(S.IN_PROGRESS), given.COMPLETE_OVERDUE, SERVER, END + 48 * HOUR)

    assert len(types(when(completed, given.CONFIRM_RELEASE, CUSTOMER, END + 49 * HOUR).events)) == 1
