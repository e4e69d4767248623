"""The booking actor from approval to released money, and every way out: given, when, then."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from actors.actor import Turn
from actors.booking.actor import APPROVAL_MIN, UNCOUNTED, Booking
from actors.rules import ledger
from protocol.booking.commands import ChangeStatus, CreateBooking, DeclineBooking, LapseApproval, RemindCustomer
from protocol.booking.events import (
    BookingAbandoned,
    BookingApproved,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingDeclined,
    BookingPaid,
    BookingRefunded,
    BookingReleased,
    BookingReminded,
    BookingStarted,
)
from protocol.booking.rows import BookingRow
from protocol.booking.terms import BookingStatus, DeclineReason, EscrowStatus, PaymentStatus, ReleaseCause
from protocol.booking.views import BookingReply
from protocol.conversation.commands import CloseConversation, OpenConversation
from protocol.effects import (
    FreeSlot,
    HoldStatus,
    MoveHold,
    Send,
    SetTimer,
)
from protocol.errors import Invalid, TooEarly
from protocol.events import Event
from protocol.ids import SYSTEM, ConversationId
from protocol.registry import Command
from protocol.roles import Principal
from tests.support import bookings as given
from tests.support.actors import counting_ids, replay
from tests.support.bookings import (
    BUSINESS_WALLET,
    CUSTOMER,
    ESCROW,
    GATEWAY_SAYS,
    HOUR,
    MANAGER,
    NOW,
    OWNER,
    PRICE_MINOR,
    SERVER,
    STAFF,
    START,
    WALLET,
    at,
    facts,
    when,
    worker,
)
from tests.support.effects import dropped, moved, of, refusal, rows, timers, types

S = BookingStatus
THREAD = ConversationId(given.ID)


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
    assert dropped(effects) == {"expire", "lapse", "remind", "start_overdue"}
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
    assert dropped(effects) == {"expire", "lapse", "remind", "give_up", "start_overdue"}
    assert rows(effects, BookingRow)[0].payment_status is PaymentStatus.REFUNDED


@pytest.mark.parametrize(
    ("status", "command", "who", "now"),
    [
        (S.CONFIRMED, given.CANCEL, CUSTOMER, NOW),
        (S.DECLINED, given.CANCEL, OWNER, NOW),
        (S.DECLINED, given.GIVE_UP, SERVER, START),
        (S.IN_PROGRESS, given.COMPLETE, STAFF, START + HOUR),
    ],
)
def test_the_thread_closes_in_a_while_however_the_booking_ends(
    status: BookingStatus, command: Command, who: Principal, now: datetime
) -> None:
    effects = when(at(status), command, who, now).effects

    assert [sent.command for sent in of(effects, Send)] == [CloseConversation(conversation_id=THREAD, ended_at=now)]


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
    effects = when(given.paid(), given.APPROVE, STAFF).effects
    (remind,) = [timer for timer in of(effects, SetTimer) if timer.name == "remind"]

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
    assert "remind" in dropped(when(confirmed, given.BEGIN, STAFF, START).effects)


# The job


@pytest.mark.parametrize("who", [STAFF, OWNER, MANAGER], ids=["staff", "owner", "manager"])
def test_a_job_starts_an_hour_before_its_start_and_no_earlier(who: Principal) -> None:
    early = when(at(S.CONFIRMED), given.BEGIN, who, START - HOUR - timedelta(seconds=1))
    started = when(at(S.CONFIRMED), given.BEGIN, who, START - HOUR)

    assert isinstance(refusal(early), TooEarly)
    assert refusal(early).fields == {"earliest_at": START - HOUR}
    assert started.events == [BookingStarted(at=START - HOUR)]


@pytest.mark.parametrize("who", [STAFF, OWNER, MANAGER], ids=["staff", "owner", "manager"])
def test_a_job_is_completed_from_its_start_on(who: Principal) -> None:
    started = given.then(at(S.CONFIRMED), given.BEGIN, STAFF, START - HOUR)
    early = when(started, given.COMPLETE, who, START - timedelta(seconds=1))

    assert isinstance(refusal(early), TooEarly)
    assert refusal(early).fields == {"earliest_at": START}
    assert types(when(started, given.COMPLETE, who, START).events) == [BookingCompleted]


@pytest.mark.parametrize("status", [S.PENDING, S.CONFIRMED, S.DECLINED])
@pytest.mark.parametrize("who", [CUSTOMER, OWNER], ids=["customer", "owner"])
def test_cancelling_ends_at_the_start(status: BookingStatus, who: Principal) -> None:
    late = when(at(status), given.CANCEL, who, START)

    assert refusal(late).fields == {"status": status.value, "reason": "start_passed"}
    assert BookingCancelled(by=who.user_id) in when(at(status), given.CANCEL, who, START - timedelta(seconds=1)).events


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


@pytest.mark.parametrize(
    ("worked", "released_after"), [(timedelta(minutes=10), HOUR), (HOUR, HOUR), (3 * HOUR, 3 * HOUR)]
)
def test_the_money_waits_24_hours_from_the_later_of_completion_and_planned_end(
    worked: timedelta, released_after: timedelta
) -> None:
    events, effects, _ = when(at(S.IN_PROGRESS), given.COMPLETE, STAFF, START + worked)

    release_at = START + released_after + timedelta(hours=24)
    assert timers(effects) == {"release": release_at}
    assert events == [BookingCompleted(at=START + worked, release_at=release_at)]


def test_the_customer_releases_the_money_before_the_planned_end() -> None:
    completed = given.then(at(S.IN_PROGRESS), given.COMPLETE, STAFF, START + timedelta(minutes=10))

    (released,) = when(completed, given.CONFIRM_RELEASE, CUSTOMER, START + timedelta(minutes=11)).events

    assert isinstance(released, BookingReleased)


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


def test_no_party_misses_a_version_of_the_booking() -> None:
    everybody = {CUSTOMER.user_id, STAFF.user_id, OWNER.user_id}
    unplaced, refund = given.unplaced()

    assert _heard_by(given.made(), given.PAY, CUSTOMER) == [everybody]
    assert _heard_by(at(S.EXPIRED), given.captured(at(S.EXPIRED)), GATEWAY_SAYS, given.TAKEN) == [everybody]
    assert _heard_by(unplaced, refund, GATEWAY_SAYS) == [everybody]
    assert _heard_by(at(S.CONFIRMED), RemindCustomer(booking_id=given.ID), SERVER) == [everybody]


# An app's one route for all steps


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
