"""One booking to try things on: its people, its facts, and the ways to each status.

``decide(Booking, at(S.CONFIRMED), StartBooking(booking_id=ID), STAFF, NOW)``
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct

from actors.booking.actor import Booking
from actors.rules import ledger
from protocol.booking.commands import (
    AlertOwner,
    ApproveBooking,
    AskAboutStart,
    AutoRelease,
    CancelBooking,
    CompleteBooking,
    CompleteOverdue,
    ConfirmRelease,
    CreateBooking,
    DeclineBooking,
    ExpireBooking,
    GiveUpBooking,
    MarkNoShow,
    PayBooking,
    RecordPayment,
    RecordRefund,
    StartBooking,
)
from protocol.booking.facts import (
    RATING_PRIOR,
    BookingFacts,
    BusinessFacts,
    BusySpan,
    LateBooking,
    ServiceFacts,
    StaffFacts,
)
from protocol.booking.terms import BookingStatus, DeclineReason
from protocol.events import Event
from protocol.ids import SYSTEM, BookingId, BusinessId, PaymentId, ServiceId, UserId
from protocol.instants import LocalSpan, OpenHours
from protocol.payment.terms import GATEWAY
from protocol.registry import Command
from protocol.roles import Principal, Role
from tests.support.actors import ACTOR_ID, Decided, decide, replay

S = BookingStatus

ID = BookingId(ACTOR_ID)
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday
START = NOW + timedelta(hours=5)
ZONE = "Europe/Berlin"
PRICE_MINOR = 5_000
#: How long a payment may take.
WINDOW = timedelta(minutes=15)
HOUR = timedelta(hours=1)


def _id(number: int) -> UUID:
    return UUID(int=(7 << 76) | (2 << 62) | number)


BUSINESS_ID = BusinessId(_id(10))
OTHER_BUSINESS_ID = BusinessId(_id(11))
SERVICE_ID = ServiceId(_id(12))


def principal(number: int, role: Role, business_id: BusinessId | None = None, *, manager: bool = False) -> Principal:
    """A principal with one role."""
    return Principal(
        user_id=UserId(_id(number)), role=role, roles=frozenset({role}), business_id=business_id, manager=manager
    )


CUSTOMER = principal(1, Role.CUSTOMER)
STAFF = principal(2, Role.STAFF, BUSINESS_ID)
OTHER_STAFF = principal(3, Role.STAFF, BUSINESS_ID)
OWNER = principal(4, Role.OWNER, BUSINESS_ID, manager=True)
MANAGER = principal(5, Role.EMPLOYEE, BUSINESS_ID, manager=True)
EMPLOYEE = principal(6, Role.EMPLOYEE, BUSINESS_ID)
OTHER_MANAGER = principal(7, Role.OWNER, OTHER_BUSINESS_ID, manager=True)
STRANGER = principal(8, Role.CUSTOMER)
ADMIN = principal(9, Role.ADMIN)
SERVER = Principal(user_id=SYSTEM, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))
GATEWAY_SAYS = Principal(user_id=GATEWAY, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))

#: The accounts that its money goes through.
WALLET = ledger.customer_wallet(CUSTOMER.user_id, "EUR")
BUSINESS_WALLET = ledger.business_wallet(BUSINESS_ID, "EUR")
ESCROW = ledger.escrow("EUR")
UNALLOCATED = ledger.unallocated("EUR")
#: The payment's version when it is captured, and when it is back at its source.
CAPTURED_VERSION, RETURNED_VERSION = 2, 4

#: Open every day from 7 to 22 on the business's clock.
ALWAYS = OpenHours(zone=ZONE, week=((LocalSpan(7 * 60, 22 * 60),),) * 7)


def worker(who: Principal, *, is_owner: bool = False, rating: float = RATING_PRIOR, **more: Any) -> StaffFacts:
    """A member who offers the service and is free."""
    facts: dict[str, Any] = {"working": None, "busy": (), "overrunning": False, **more}
    return StaffFacts(staff_id=who.user_id, is_owner=is_owner, rating=rating, **facts)


def facts(
    *staff: StaffFacts,
    price_minor: int = PRICE_MINOR,
    auto_approve: bool = False,
    lead_time_minutes: int = 0,
    is_active: bool = True,
    blocked: bool = False,
    offering: Sequence[Principal] | None = None,
) -> BookingFacts:
    """What the server knows when the booking is made; by default one staff member, who is free."""
    staff = staff or (worker(STAFF),)
    return BookingFacts(
        service=ServiceFacts(
            id=SERVICE_ID,
            business_id=BUSINESS_ID,
            title="Deep clean",
            price_minor=price_minor,
            currency="EUR",
            duration_minutes=60,
            buffer_before_minutes=0,
            buffer_after_minutes=15,
            is_active=is_active,
        ),
        business=BusinessFacts(
            id=BUSINESS_ID,
            owner_id=OWNER.user_id,
            zone=ZONE,
            hours=ALWAYS,
            lead_time_minutes=lead_time_minutes,
            auto_approve=auto_approve,
            commission_bp=1_000,
            is_active=True,
        ),
        staff=staff,
        offering=tuple(
            [one.staff_id for one in staff] if offering is None else [member.user_id for member in offering]
        ),
        blocked=blocked,
    )


#: All the time that there is in these tests, taken by another booking.
_AWAY = BusySpan(_id(99), NOW - HOUR, NOW + timedelta(days=365), NOW - HOUR, NOW + timedelta(days=365))
FREE = LateBooking(facts=facts())
TAKEN = LateBooking(facts=facts(worker(STAFF, busy=(_AWAY,))))
#: Facts that let each command through.
KNOWING: dict[type[Struct] | None, Struct] = {LateBooking: FREE, BookingFacts: facts()}

CREATE = CreateBooking(service_id=SERVICE_ID, start_at=START)
PAY = PayBooking(booking_id=ID)
APPROVE = ApproveBooking(booking_id=ID)
DECLINE = DeclineBooking(booking_id=ID, reason_code=DeclineReason.TOO_FAR)
CANCEL = CancelBooking(booking_id=ID)
BEGIN = StartBooking(booking_id=ID)
COMPLETE = CompleteBooking(booking_id=ID)
CONFIRM_RELEASE = ConfirmRelease(booking_id=ID)
AUTO_RELEASE = AutoRelease(booking_id=ID)
EXPIRE = ExpireBooking(booking_id=ID)
GIVE_UP = GiveUpBooking(booking_id=ID)
ASK = AskAboutStart(booking_id=ID)
NO_SHOW = MarkNoShow(booking_id=ID)
ALERT = AlertOwner(booking_id=ID)
COMPLETE_OVERDUE = CompleteOverdue(booking_id=ID)


def then(
    events: Sequence[Event], command: Command, who: Principal, now: datetime = NOW, knowing: Any = None
) -> list[Event]:
    """All events after one more command, which must not be refused."""
    decided = decide(Booking, events, command, who, now, knowing)
    assert not isinstance(decided.reply, Exception), f"{type(command).__name__}: {decided.reply}"
    return [*events, *decided.events]


def made(command: CreateBooking = CREATE, now: datetime = NOW, **more: Any) -> list[Event]:
    """A new booking; ``more`` as for ``facts``."""
    return then([], command, CUSTOMER, now, facts(**more))


def asked_to_pay(events: Sequence[Event] | None = None, now: datetime = NOW) -> list[Event]:
    """A booking whose customer is on the way to the gateway."""
    return then(made() if events is None else events, PAY, CUSTOMER, now)


def captured(events: Sequence[Event], amount_minor: int = PRICE_MINOR, currency: str = "EUR") -> RecordPayment:
    """What the payment says once it is captured."""
    payment_id = replay(Booking, events).payment_id
    assert payment_id is not None, "nobody has asked for a payment"
    return RecordPayment(
        booking_id=ID,
        payment_id=PaymentId(payment_id),
        payment_version=CAPTURED_VERSION,
        amount_minor=amount_minor,
        currency=currency,
    )


def paid(events: Sequence[Event] | None = None, now: datetime = NOW) -> list[Event]:
    """A booking that is paid."""
    events = asked_to_pay(events, now)
    return then(events, captured(events), GATEWAY_SAYS, now, FREE)


def at(status: BookingStatus) -> list[Event]:  # noqa: PLR0911  # one way a status
    """The plainest way to each status."""
    match status:
        case S.PENDING:
            return made()
        case S.CONFIRMED:
            return then(paid(), APPROVE, STAFF)
        case S.IN_PROGRESS:
            return then(at(S.CONFIRMED), BEGIN, STAFF, START)
        case S.COMPLETED:
            return then(at(S.IN_PROGRESS), COMPLETE, STAFF, START + timedelta(hours=1))
        case S.DECLINED:
            return then(paid(), DECLINE, STAFF)
        case S.CANCELLED:
            return then(paid(), CANCEL, CUSTOMER)
        case S.CANCELLED_BY_SYSTEM:
            return then(at(S.DECLINED), GIVE_UP, SERVER, START)
        case S.EXPIRED:
            return then(asked_to_pay(), EXPIRE, SERVER, NOW + timedelta(minutes=15))
        case S.NO_SHOW:
            return then(at(S.CONFIRMED), NO_SHOW, SERVER, START + timedelta(hours=27))


def when(
    events: Sequence[Event], command: Command, who: Principal, now: datetime = NOW, knowing: Any = None
) -> Decided:
    """Decide one command on a booking to which these things happened."""
    return decide(Booking, events, command, who, now, knowing)


def unplaced() -> tuple[list[Event], RecordRefund]:
    """A booking whose payment came for nothing, and what the payment says once it is back."""
    expired = at(S.EXPIRED)
    payment = captured(expired)
    events = then(expired, payment, GATEWAY_SAYS, START, TAKEN)
    return events, RecordRefund(
        booking_id=ID,
        payment_id=payment.payment_id,
        payment_version=RETURNED_VERSION,
        amount_minor=payment.amount_minor,
        currency="EUR",
    )
