"""Whatever happens to a booking and its payment, in any order: money, slot and timers agree (rules B-1, M-4)."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.booking.actor import Booking
from actors.booking.state import BookingState
from actors.payment.actor import Payment
from actors.payment.state import PaymentState
from actors.rules import ledger
from protocol.booking.commands import CreateBooking
from protocol.booking.events import BookingPaid, BookingReleased
from protocol.booking.facts import LateBooking
from protocol.booking.terms import BookingStatus, PaymentStatus
from protocol.effects import (
    CancelTimer,
    FreeSlot,
    HoldStatus,
    MoveHold,
    OpenHold,
    ReserveSlot,
    Send,
    SetTimer,
    Transfer,
)
from protocol.errors import Rejected
from protocol.events import Event
from protocol.ids import Kind
from protocol.payment.commands import OpenPayment, RecordCapture, RecordReturn
from protocol.payment.terms import PaymentStage, PaymentTerms
from protocol.registry import Command
from protocol.roles import Principal
from tests.support import bookings as given
from tests.support.actors import decide, replay

S = BookingStatus
#: In these the staff member's time is taken.
HOLDS_SLOT = {S.PENDING, S.CONFIRMED, S.IN_PROGRESS}
ESCROW = ledger.escrow("EUR")
UNALLOCATED = ledger.unallocated("EUR")
PEOPLE = (given.CUSTOMER, given.STAFF, given.OWNER, given.STRANGER)
WISHES = (
    given.PAY,
    given.APPROVE,
    given.DECLINE,
    given.CANCEL,
    given.BEGIN,
    given.COMPLETE,
    given.CONFIRM_RELEASE,
)
#: What comes next when all goes well, once it is paid.
NEXT = {
    S.PENDING: (given.APPROVE, given.STAFF),
    S.CONFIRMED: (given.BEGIN, given.STAFF),
    S.IN_PROGRESS: (given.COMPLETE, given.STAFF),
    S.COMPLETED: (given.CONFIRM_RELEASE, given.CUSTOMER),
}
AMOUNTS = (given.PRICE_MINOR, given.PRICE_MINOR, given.PRICE_MINOR, given.PRICE_MINOR - 1)


class Ledger:
    """Holds and accounts as the database keeps them, claims included."""

    def __init__(self) -> None:
        self.accounts: Counter[str] = Counter()
        self.holds: dict[UUID, tuple[HoldStatus, int]] = {}

    def take(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Transfer):
                self.accounts[effect.debit] -= effect.amount_minor
                self.accounts[effect.credit] += effect.amount_minor
            elif isinstance(effect, OpenHold):
                assert effect.hold_id not in self.holds, "a hold is opened once"
                self.holds[effect.hold_id] = (HoldStatus.HELD, 0)
            elif isinstance(effect, MoveHold):
                status, remaining = self.holds[effect.hold_id]
                assert status is effect.was, f"the hold is {status}, not {effect.was}"
                self.holds[effect.hold_id] = (effect.becomes, remaining + effect.delta_minor)


class OneBooking(RuleBasedStateMachine):
    """One booking, its payment and its people, with webhooks and messages late, twice and in any order, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = given.NOW
        self.events: list[Event] = []
        self.ledger = Ledger()
        self.slots: set[UUID] = set()
        self.others_have_the_time = False
        self.timers: dict[str, SetTimer] = {}
        self.payment_events: list[Event] = []
        self.webhooks: list[Command] = []
        #: Messages between the two, on their way and arrived.
        self.messages: list[Send] = []
        self.terms: PaymentTerms | None = None
        self.arrived: list[Send] = []

    @initialize(
        price_minor=st.sampled_from((given.PRICE_MINOR, 1, 0)), auto_approve=st.booleans(), hours=st.integers(0, 5)
    )
    def create(self, price_minor: int, auto_approve: bool, hours: int) -> None:
        asked = CreateBooking(service_id=given.SERVICE_ID, start_at=self.now + timedelta(hours=hours, minutes=1))
        self.decide(asked, given.CUSTOMER, given.facts(price_minor=price_minor, auto_approve=auto_approve))

    # What may happen

    @rule(who=st.sampled_from(PEOPLE), command=st.sampled_from(WISHES))
    def somebody_wishes(self, who: Principal, command: Command) -> None:
        self.decide(command, who)

    @rule()
    def things_go_well(self) -> None:
        """The right person takes the next step, so that long lives are common."""
        state = self.state
        if state.status is S.PENDING and state.payment_id is None:
            self.decide(given.PAY, given.CUSTOMER)
        elif state.status is S.PENDING and state.payment_status is PaymentStatus.UNPAID:
            self.webhook(RecordCapture, state.price.total_minor)
            self.all_messages_arrive()
        elif state.status in NEXT:
            if state.status in (S.CONFIRMED, S.IN_PROGRESS) and self.now < state.starts_at:
                self.now = state.starts_at
            self.decide(*NEXT[state.status])

    @precondition(lambda self: self.state.payment_status is PaymentStatus.UNPAID)
    @rule(amount=st.sampled_from(AMOUNTS), taken=st.booleans(), minutes=st.sampled_from((15, 60)))
    def customer_pays_too_late(self, amount: int, taken: bool, minutes: int) -> None:
        self.decide(given.PAY, given.CUSTOMER)
        self.time_passes(minutes)
        self.others_have_the_time = taken and not self.slots
        if self.terms is not None:
            self.gateway_captures(amount)

    @precondition(lambda self: self.terms is not None)
    @rule(amount=st.sampled_from(AMOUNTS))
    def gateway_captures(self, amount: int) -> None:
        self.webhook(RecordCapture, max(1, min(amount, self.state.price.total_minor)))

    @precondition(lambda self: self.webhooks)
    @rule(data=st.data())
    def gateway_repeats(self, data: st.DataObject) -> None:
        self.decide_payment(data.draw(st.sampled_from(self.webhooks)))

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def message_arrives(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from(self.messages))
        self.messages.remove(message)
        self.take(message)

    @precondition(lambda self: self.arrived)
    @rule(data=st.data())
    def message_is_repeated(self, data: st.DataObject) -> None:
        self.take(data.draw(st.sampled_from(self.arrived)))

    @precondition(lambda self: self.payment is not None and self.payment.stage is PaymentStage.REFUNDING)
    @rule(too_little=st.sampled_from((0, 0, 1)))
    def gateway_sends_back(self, too_little: int) -> None:
        assert self.payment is not None
        assert self.payment.captured is not None
        self.webhook(RecordReturn, max(1, self.payment.captured.amount_minor - too_little))

    @rule(minutes=st.sampled_from((1, 14, 15, 30, 60, 24 * 60)))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        while due := [timer for timer in self.timers.values() if timer.due_at <= self.now]:
            timer = min(due, key=lambda one: one.due_at)
            del self.timers[timer.name]
            if timer.expires_at is None or self.now < timer.expires_at:
                self.decide(timer.command, given.SERVER)  # type: ignore[arg-type]  # timers hold commands

    @precondition(lambda self: not self.slots)
    @rule(taken=st.booleans())
    def somebody_else_comes_or_goes(self, taken: bool) -> None:
        self.others_have_the_time = taken

    # What must hold

    @invariant()
    def escrow_is_what_is_held(self) -> None:
        assert self.ledger.accounts[ESCROW] == sum(remaining for _, remaining in self.ledger.holds.values())

    @invariant()
    def unallocated_is_what_was_captured_and_neither_placed_nor_sent_back(self) -> None:
        payment = self.payment
        captured = 0
        if payment is not None and payment.captured is not None and payment.stage is not PaymentStage.REFUNDED:
            captured = payment.captured.amount_minor
        placed = sum(event.amount_minor for event in self.events if isinstance(event, BookingPaid))
        assert self.ledger.accounts[UNALLOCATED] == captured - placed

    @invariant()
    def captured_money_is_placed_or_going_back_or_told_of(self) -> None:
        waits = self.payment is not None and self.payment.stage is PaymentStage.CAPTURED
        if waits and self.state.payment_status is PaymentStatus.UNPAID:
            assert Kind.BOOKING in [message.to.kind for message in self.messages]

    @invariant()
    def wallets_and_holds_are_never_below_nothing(self) -> None:
        assert all(
            balance >= 0 for account, balance in self.ledger.accounts.items() if not account.startswith("system.")
        )
        assert all(remaining >= 0 for _, remaining in self.ledger.holds.values())

    @invariant()
    def a_settled_hold_is_empty_and_the_current_one_is_the_state_s(self) -> None:
        for status, remaining in self.ledger.holds.values():
            assert remaining == 0 or status in (HoldStatus.FUNDED, HoldStatus.PENDING_CLEARANCE)
        assert self.ledger.holds[self.state.hold.hold_id][0] is self.state.hold.status

    @invariant()
    def the_slot_is_held_while_the_job_is_to_come_or_under_way(self) -> None:
        assert self.slots == ({given.ID} if self.state.status in HOLDS_SLOT else set())

    @invariant()
    def money_is_released_once_at_most_and_only_after_the_job(self) -> None:
        released = [event for event in self.events if isinstance(event, BookingReleased)]
        assert len(released) <= 1
        assert not released or self.state.status is S.COMPLETED

    @invariant()
    def nobody_is_confirmed_who_is_not_paid_and_approved(self) -> None:
        if self.state.status in (S.CONFIRMED, S.IN_PROGRESS, S.COMPLETED):
            assert self.state.approved
            assert self.state.payment_status is PaymentStatus.SECURED

    @invariant()
    def whatever_waits_has_a_timer_that_ends_the_waiting(self) -> None:
        waits_for = {
            S.PENDING: {"expire", "lapse"},
            S.DECLINED: {"give_up"},
            S.CONFIRMED: {"start_overdue"},
            S.IN_PROGRESS: {"end_overdue"},
        }.get(self.state.status, set())
        if self.state.hold.status is HoldStatus.PENDING_CLEARANCE:
            waits_for = {"release"}
        assert set(self.timers) - {"remind"} <= waits_for
        assert len(set(self.timers) & waits_for) == bool(waits_for)

    @invariant()
    def what_is_remembered_is_what_happened(self) -> None:
        assert self.state.version == len(self.events)

    # How it is done

    @property
    def state(self) -> BookingState:
        state: BookingState = replay(Booking, self.events)
        return state

    @property
    def payment(self) -> PaymentState | None:
        """None: not opened yet."""
        state: PaymentState | None = replay(Payment, self.payment_events)
        return state

    def late_booking(self) -> LateBooking:
        return given.TAKEN if self.others_have_the_time else given.FREE

    def webhook(self, kind: type[RecordCapture | RecordReturn], amount_minor: int) -> None:
        assert self.state.payment_id is not None
        command = kind(payment_id=self.state.payment_id, amount_minor=amount_minor, currency="EUR")
        self.webhooks.append(command)
        self.decide_payment(command)

    def decide_payment(self, command: Command, who: Principal = given.GATEWAY_SAYS) -> None:
        payment_id = self.state.payment_id
        assert payment_id is not None
        facts = self.terms if Payment.handlers[type(command)].facts else None
        decided = decide(Payment, self.payment_events, command, who, self.now, facts, actor_id=payment_id)
        assert not isinstance(decided.reply, Rejected), "a payment refuses nothing that it can be sent"
        self.payment_events += decided.events
        self.ledger.take(decided.effects)
        self.messages += [effect for effect in decided.effects if isinstance(effect, Send)]

    def take(self, message: Send) -> None:
        """Deliver a message to the payment or the booking."""
        self.arrived.append(message)
        command: Any = message.command
        if message.to.kind is Kind.PAYMENT:
            self.decide_payment(command, given.SERVER)
        elif message.to.kind is Kind.BOOKING:
            self.decide(command, given.SERVER, self.late_booking())

    def all_messages_arrive(self) -> None:
        while self.messages:
            self.take(self.messages.pop(0))

    def teardown(self) -> None:
        """Once all messages have arrived, nothing is unallocated but what is on its way back."""
        if not self.events:
            return
        self.all_messages_arrive()
        payment = self.payment
        refunding = payment is not None and payment.stage is PaymentStage.REFUNDING
        assert bool(self.ledger.accounts[UNALLOCATED]) == refunding

    def decide(self, command: Command, who: Principal, facts: Any = None) -> None:
        facts = facts if Booking.handlers[type(command)].facts else None
        decided = decide(Booking, self.events, command, who, self.now, facts)
        if isinstance(decided.reply, Rejected):
            return
        self.events += decided.events
        self.ledger.take(decided.effects)
        for effect in decided.effects:
            self.keep(effect)
            if isinstance(effect, Send) and isinstance(effect.command, OpenPayment):
                self.terms = effect.command.terms
            if isinstance(effect, Send) and effect.to.kind is Kind.PAYMENT:
                self.messages.append(effect)

    def keep(self, effect: Any) -> None:
        """Slots and timers as the database keeps them."""
        match effect:
            case ReserveSlot():
                assert not self.others_have_the_time, "two have the same time"
                assert effect.slot_id not in self.slots, "a slot is claimed once"
                self.slots.add(effect.slot_id)
            case FreeSlot():
                self.slots.discard(effect.slot_id)
            case SetTimer():
                self.timers[effect.name] = effect
            case CancelTimer():
                self.timers.pop(effect.name, None)


TestOneBooking = OneBooking.TestCase
TestOneBooking.settings = settings(
    max_examples=150, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
