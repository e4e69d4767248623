"""Who may do what to a booking in which status, written by hand and held against what the actor does.

Rules B-1, B-10.
"""

from datetime import timedelta

import pytest

from actors.booking.actor import Booking
from protocol.booking.commands import FlagStaffLeft, LapseApproval, RecordPayment, RecordRefund, RemindCustomer
from protocol.booking.terms import BookingStatus
from protocol.errors import Rejected
from protocol.ids import PaymentId
from protocol.registry import Command
from protocol.roles import Principal
from tests.support import bookings as given
from tests.support.actors import ACTOR_ID, decide
from tests.support.bookings import at

COMMANDS: dict[str, Command] = {
    "pay": given.PAY,
    "approve": given.APPROVE,
    "decline": given.DECLINE,
    "cancel": given.CANCEL,
    "start": given.BEGIN,
    "complete": given.COMPLETE,
    "release": given.CONFIRM_RELEASE,
    "expire": given.EXPIRE,
    "lapse": LapseApproval(booking_id=given.ID),
    "left": FlagStaffLeft(booking_id=given.ID, staff_id=given.STAFF.user_id),
    "give_up": given.GIVE_UP,
    "remind": RemindCustomer(booking_id=given.ID),
    "auto_rel": given.AUTO_RELEASE,
    "ask": given.ASK,
    "no_show": given.NO_SHOW,
    "alert": given.ALERT,
    "overdue": given.COMPLETE_OVERDUE,
    "payment": RecordPayment(
        booking_id=given.ID,
        payment_id=PaymentId(ACTOR_ID),
        payment_version=2,
        amount_minor=given.PRICE_MINOR,
        currency="EUR",
    ),
    "refund": RecordRefund(
        booking_id=given.ID,
        payment_id=PaymentId(ACTOR_ID),
        payment_version=2,
        amount_minor=given.PRICE_MINOR,
        currency="EUR",
    ),
}

WHO: dict[str, Principal] = {
    "customer": given.CUSTOMER,
    "staff": given.STAFF,
    "other_staff": given.OTHER_STAFF,
    "owner": given.OWNER,
    "manager": given.MANAGER,
    "employee": given.EMPLOYEE,
    "other_manager": given.OTHER_MANAGER,
    "stranger": given.STRANGER,
    "admin": given.ADMIN,
    "server": given.SERVER,
    "gateway": given.GATEWAY_SAYS,
}

#: When a command comes, unless two hours after the start.
NOW = {"cancel": given.START - timedelta(minutes=1)}

#: ok: allowed. state: WrongState. who: Forbidden, a party of the booking, but not the right one. none: NotFound.
CODES = {"ok": None, "state": "wrong_state", "who": "forbidden", "none": "not_found"}

TABLE = """
command  who            PENDING CONFIRMED IN_PROGRESS COMPLETED DECLINED CANCELLED CANCELLED_BY_SYSTEM EXPIRED NO_SHOW
pay      customer       ok      state     state       state     state    state     state               state   state
pay      staff          who     who       who         who       who      who       who                 who     who
pay      other_staff    none    none      none        none      none     none      none                none    none
pay      owner          who     who       who         who       who      who       who                 who     who
pay      manager        who     who       who         who       who      who       who                 who     who
pay      employee       none    none      none        none      none     none      none                none    none
pay      other_manager  none    none      none        none      none     none      none                none    none
pay      stranger       none    none      none        none      none     none      none                none    none
pay      admin          none    none      none        none      none     none      none                none    none
approve  customer       who     who       who         who       who      who       who                 who     who
approve  staff          ok      state     state       state     state    state     state               state   state
approve  other_staff    none    none      none        none      none     none      none                none    none
approve  owner          ok      state     state       state     state    state     state               state   state
approve  manager        ok      state     state       state     state    state     state               state   state
approve  employee       none    none      none        none      none     none      none                none    none
approve  other_manager  none    none      none        none      none     none      none                none    none
approve  stranger       none    none      none        none      none     none      none                none    none
approve  admin          none    none      none        none      none     none      none                none    none
decline  customer       who     who       who         who       who      who       who                 who     who
decline  staff          ok      ok        state       state     state    state     state               state   state
decline  other_staff    none    none      none        none      none     none      none                none    none
decline  owner          ok      ok        state       state     state    state     state               state   state
decline  manager        ok      ok        state       state     state    state     state               state   state
decline  employee       none    none      none        none      none     none      none                none    none
decline  other_manager  none    none      none        none      none     none      none                none    none
decline  stranger       none    none      none        none      none     none      none                none    none
decline  admin          none    none      none        none      none     none      none                none    none
cancel   customer       ok      ok        state       state     ok       state     state               state   state
cancel   staff          ok      ok        state       state     ok       state     state               state   state
cancel   other_staff    none    none      none        none      none     none      none                none    none
cancel   owner          ok      ok        state       state     ok       state     state               state   state
cancel   manager        ok      ok        state       state     ok       state     state               state   state
cancel   employee       none    none      none        none      none     none      none                none    none
cancel   other_manager  none    none      none        none      none     none      none                none    none
cancel   stranger       none    none      none        none      none     none      none                none    none
cancel   admin          none    none      none        none      none     none      none                none    none
start    customer       who     who       who         who       who      who       who                 who     who
start    staff          state   ok        state       state     state    state     state               state   state
start    other_staff    none    none      none        none      none     none      none                none    none
start    owner          state   ok        state       state     state    state     state               state   state
start    manager        state   ok        state       state     state    state     state               state   state
start    employee       none    none      none        none      none     none      none                none    none
start    other_manager  none    none      none        none      none     none      none                none    none
start    stranger       none    none      none        none      none     none      none                none    none
start    admin          none    none      none        none      none     none      none                none    none
complete customer       who     who       who         who       who      who       who                 who     who
complete staff          state   state     ok          state     state    state     state               state   state
complete other_staff    none    none      none        none      none     none      none                none    none
complete owner          state   state     ok          state     state    state     state               state   state
complete manager        state   state     ok          state     state    state     state               state   state
complete employee       none    none      none        none      none     none      none                none    none
complete other_manager  none    none      none        none      none     none      none                none    none
complete stranger       none    none      none        none      none     none      none                none    none
complete admin          none    none      none        none      none     none      none                none    none
release  customer       state   state     state       ok        state    state     state               state   state
release  staff          who     who       who         who       who      who       who                 who     who
release  other_staff    none    none      none        none      none     none      none                none    none
release  owner          who     who       who         who       who      who       who                 who     who
release  manager        who     who       who         who       who      who       who                 who     who
release  employee       none    none      none        none      none     none      none                none    none
release  other_manager  none    none      none        none      none     none      none                none    none
release  stranger       none    none      none        none      none     none      none                none    none
release  admin          none    none      none        none      none     none      none                none    none
left     server         ok      ok        ok          state     state    state     state               state   state
expire   server         ok      state     state       state     state    state     state               state   state
lapse    server         ok      state     state       state     state    state     state               state   state
give_up  server         state   state     state       state     ok       state     state               state   state
remind   server         state   ok        state       state     state    state     state               state   state
auto_rel server         state   state     state       ok        state    state     state               state   state
ask      server         state   ok        state       state     state    state     state               state   state
no_show  server         state   ok        state       state     state    state     state               state   state
alert    server         state   state     ok          state     state    state     state               state   state
overdue  server         state   state     ok          state     state    state     state               state   state
payment  gateway        ok      ok        ok          ok        ok       ok        ok                  ok      ok
refund   gateway        ok      ok        ok          ok        ok       ok        ok                  ok      ok
"""

_HEAD, *_LINES = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [
    (command, who, BookingStatus(status), cell)
    for command, who, *cells in _LINES
    for status, cell in zip(_HEAD[2:], cells, strict=True)
]


@pytest.mark.parametrize(("command", "who", "status", "cell"), CELLS, ids=str)
def test_a_booking_allows_exactly_what_the_table_says(command: str, who: str, status: BookingStatus, cell: str) -> None:
    sent = COMMANDS[command]
    facts = given.KNOWING.get(Booking.handlers[type(sent)].facts)

    decided = decide(Booking, at(status), sent, WHO[who], NOW.get(command, given.START + timedelta(hours=2)), facts)

    code = decided.reply.code if isinstance(decided.reply, Rejected) else None
    assert code == CODES[cell]


def test_the_table_has_every_command_in_every_status_and_for_everybody() -> None:
    creates = {type(given.CREATE)}
    people = set(WHO) - {"server", "gateway"}

    assert {type(command) for command in COMMANDS.values()} | creates == set(Booking.handlers)
    assert set(_HEAD[2:]) == {status.value for status in BookingStatus}
    for command in ("pay", "approve", "decline", "cancel", "start", "complete", "release"):
        assert {who for name, who, *_ in _LINES if name == command} == people
    assert {name for name, *_ in _LINES} == set(COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_booking_that_never_was_is_not_found(command: str) -> None:
    sent = COMMANDS[command]
    facts = given.KNOWING.get(Booking.handlers[type(sent)].facts)

    decided = decide(Booking, [], sent, given.SERVER, given.NOW, facts)

    assert isinstance(decided.reply, Rejected)
    assert decided.reply.code == "not_found"


def test_a_staff_member_acting_for_another_business_does_not_find_the_job() -> None:
    elsewhere = given.principal(2, given.STAFF.role, given.OTHER_BUSINESS_ID)

    decided = decide(Booking, at(BookingStatus.PENDING), given.APPROVE, elsewhere, given.NOW)

    assert isinstance(decided.reply, Rejected)
    assert decided.reply.code == "not_found"


def test_somebody_who_books_at_their_own_business_cancels_as_customer() -> None:
    acting_as_owner = given.principal(1, given.OWNER.role, given.OTHER_BUSINESS_ID, manager=True)

    decided = decide(Booking, at(BookingStatus.PENDING), given.CANCEL, acting_as_owner, given.NOW)

    assert not isinstance(decided.reply, Rejected)
