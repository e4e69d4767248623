"""A booking: one job for one customer, from the held slot to the released money.

Owns its slot, its timers and its hold (``escrow.py``). Its payment is an actor of its own, which tells it what the
gateway did. Tells the customer, the staff member and the owner of each step, and opens the conversation of customer and
staff member once it is confirmed.

    PENDING ──paid and approved──▶ CONFIRMED ──start──▶ IN_PROGRESS ──complete──▶ COMPLETED
       │ unpaid for 15 min ▶ EXPIRED (a late payment revives it)                  escrow: PENDING_CLEARANCE ▶ RELEASED
       │ decline ▶ DECLINED ◀── decline ──┤                                       by the customer, or after 24 h
       └ cancel ▶ CANCELLED ◀── cancel ───┘
                     DECLINED ──cancel▶ CANCELLED, or unresolved at its start ▶ CANCELLED_BY_SYSTEM
    A job that nobody starts or ends: see ``overdue.py``.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from actors.actor import Actor, actor, handles
from actors.booking import endings, escrow, overdue, timing, unpaid
from actors.booking.creation import booking_ask, late_ask, placed, revivable
from actors.booking.permissions import customer_only, provider_only
from actors.booking.state import TRANSITIONS, BookingState, S, after
from actors.booking.views import booking_reply, booking_row
from actors.rules import paying
from protocol.booking.commands import (
    ApproveBooking,
    AutoRelease,
    CancelBooking,
    CompleteBooking,
    ConfirmRelease,
    CreateBooking,
    DeclineBooking,
    ExpireBooking,
    FlagStaffLeft,
    GiveUpBooking,
    LapseApproval,
    PayBooking,
    RecordPayment,
    RecordRefund,
    RemindCustomer,
    StartBooking,
)
from protocol.booking.events import (
    BookingAbandoned,
    BookingApproved,
    BookingCancelled,
    BookingConfirmed,
    BookingDeclined,
    BookingExpired,
    BookingReminded,
    BookingRevived,
    BookingStaffLeft,
    BookingStarted,
)
from protocol.booking.facts import BookingFacts, LateBooking
from protocol.booking.rows import BookingNotesRow, RemarkRow
from protocol.booking.terms import (
    PAYMENT_WINDOW,
    CompletionCause,
    DeclineReason,
    PaymentStatus,
    ReleaseCause,
    RemarkAbout,
    RemarkAudience,
)
from protocol.booking.views import BookingReply, BookingView, PaymentReply, booking_view
from protocol.conversation.commands import OpenConversation, ReplaceMember
from protocol.conversation.terms import Participant
from protocol.effects import HoldStatus
from protocol.errors import Invalid, WrongState
from protocol.events import Event, Row
from protocol.ids import BookingId, ConversationId, Kind, PaymentId, UserId
from protocol.money import major_number
from protocol.notification.types import Party
from protocol.payment.terms import PaymentMethod, checkout_path
from protocol.roles import Role

#: Whoever pays late in that window leaves the provider at least so long to answer, up to the start itself.
APPROVAL_MIN = timedelta(minutes=15)
REMIND_BEFORE = timedelta(hours=1)

#: Reasons of a decline that never weigh on the staff member's ranking (rule B-16).
UNCOUNTED = frozenset({DeclineReason.SAFETY, DeclineReason.UNWELL, DeclineReason.NO_ANSWER})


def provider_of(state: BookingState) -> Participant:
    """Who speaks for the business: the staff member, or the owner once the staff member has left."""
    if state.staff_left_at is None:
        return Participant(user_id=state.staff_id, role=Role.STAFF)
    return Participant(user_id=state.owner_id, role=Role.OWNER)


@actor(Kind.BOOKING)
class Booking(Actor[BookingState]):
    """One booking."""

    state_type: ClassVar[type[Struct]] = BookingState
    parts = (overdue, unpaid)

    @property
    def _id(self) -> BookingId:
        return BookingId(self.actor_id)

    # Its life, step by step

    @handles(CreateBooking, facts=BookingFacts, asks=booking_ask)
    def create(self, cmd: CreateBooking, facts: BookingFacts) -> BookingReply:
        """Hold a slot for the customer.

        Raises: Invalid, NotFound, PairBlocked, SlotTaken, SlotUnavailable, NoStaffFree, OwnBooking, LimitReached,
            TermsChanged, InsufficientFunds.
        """
        self.emit(placed(cmd, facts, self._id, self.principal.user_id, self.now))
        self._hold()
        self._note(cmd)
        if self.state.price.total_minor == 0 or self.state.payment_method is PaymentMethod.WALLET:
            self._secure(PaymentId(self.new_id()))
        else:
            self.set_timer("expire", self.now + PAYMENT_WINDOW, ExpireBooking(booking_id=self._id))
        return self._reply()

    @handles(PayBooking)
    def pay(self, cmd: PayBooking) -> PaymentReply:
        """Say where to pay; asked again, the same payment is the answer. Raises: WrongState."""
        customer_only(self)
        self.require(*TRANSITIONS[PayBooking])
        price = self.state.price
        if self.state.payment_status is not PaymentStatus.UNPAID:
            raise WrongState(status=self.state.status.value, reason=f"payment_{self.state.payment_status.lower()}")
        if self.state.payment_id is None:
            escrow.ask_for_payment(self)
        assert self.state.payment_id is not None
        return PaymentReply(
            payment_id=self.state.payment_id,
            booking_id=self._id,
            amount=major_number(price.total_minor, price.currency),
            amount_minor=price.total_minor,
            currency=price.currency,
            checkout_path=checkout_path(self.state.payment_id),
        )

    @handles(RecordPayment, facts=LateBooking, asks=late_ask)
    def record_payment(self, cmd: RecordPayment, facts: LateBooking) -> None:
        """Take the captured payment into escrow; a late one revives a booking that could be made now (rule B-5)."""
        state = self.state
        if cmd.payment_id != state.payment_id:
            paying.send_back(self, cmd.payment_id)
            return
        if cmd.payment_version <= state.payment_version:
            return
        fits = (cmd.amount_minor, cmd.currency) == (state.price.total_minor, state.price.currency)
        late = state.status is S.EXPIRED
        if late and fits and revivable(state, facts, self.now):
            self.emit(BookingRevived(hold_id=self.new_id()))
            self._hold()
            self._secure(cmd.payment_id, cmd.payment_version)
        elif fits and state.status in (S.PENDING, S.DECLINED):
            self._secure(cmd.payment_id, cmd.payment_version)
        else:
            escrow.send_back(self, cmd)

    @handles(RecordRefund)
    def record_refund(self, cmd: RecordRefund) -> None:
        """The payment that had no place is back at its source."""
        state = self.state
        if cmd.payment_id == state.payment_id and cmd.payment_version > state.payment_version and state.unplaced:
            escrow.returned(self, cmd)

    @handles(ApproveBooking)
    def approve(self, cmd: ApproveBooking) -> BookingReply:
        """Take the job. Raises: WrongState."""
        provider_only(self)
        self.require(*TRANSITIONS[ApproveBooking])
        if self.state.approved:
            raise WrongState(status=self.state.status.value, reason="already_approved")
        self.emit(BookingApproved(by=self.principal.user_id))
        self._confirm_if_ready()
        return self._reply()

    @handles(DeclineBooking)
    def decline(self, cmd: DeclineBooking) -> BookingReply:
        """Refuse the job and give its time back. Raises: WrongState."""
        provider_only(self)
        self.require(*TRANSITIONS[DeclineBooking])
        if cmd.reason_code is DeclineReason.NO_ANSWER:
            raise Invalid(reason_code="unknown_value")
        self._decline(cmd.reason_code)
        self._remark(RemarkAbout.DECLINE, RemarkAudience.BUSINESS, cmd.note)
        return self._reply()

    @handles(CancelBooking)
    def cancel(self, cmd: CancelBooking) -> BookingReply:
        """Call it off before it starts; the customer gets everything back. Raises: WrongState."""
        if self.principal.user_id != self.state.customer_id:
            provider_only(self)
        self.require(*TRANSITIONS[CancelBooking])
        timing.require_cancellable(self)
        was = self.state.status
        self.emit(BookingCancelled(by=self.principal.user_id))
        if was is not S.DECLINED:
            self.free(self.actor_id)
        endings.wind_up(self)
        self._drop_timers()
        self._remark(RemarkAbout.CANCEL, RemarkAudience.PARTIES, cmd.reason)
        return self._reply()

    @handles(StartBooking)
    def start(self, cmd: StartBooking) -> BookingReply:
        """Begin the job. Raises: WrongState, TooEarly."""
        provider_only(self)
        self.require(*TRANSITIONS[StartBooking])
        timing.require_startable(self)
        self.emit(BookingStarted(at=self.now))
        self.cancel_timer("remind")
        overdue.await_end(self)
        return self._reply()

    @handles(CompleteBooking)
    def complete(self, cmd: CompleteBooking) -> BookingReply:
        """Finish the job; the money waits for the customer's word, 24 hours at most. Raises: WrongState, TooEarly."""
        provider_only(self)
        self.require(*TRANSITIONS[CompleteBooking])
        timing.require_completable(self)
        endings.complete(self, CompletionCause.PROVIDER)
        self.cancel_timer(overdue.END_TIMER)
        return self._reply()

    @handles(ConfirmRelease)
    def confirm_release(self, cmd: ConfirmRelease) -> BookingReply:
        """Give the business its money now. Raises: WrongState, HoldSpent."""
        customer_only(self)
        self.require(*TRANSITIONS[ConfirmRelease])
        if self.state.hold.status is not HoldStatus.PENDING_CLEARANCE:
            raise WrongState(status=self.state.status.value, reason="already_released")
        escrow.release(self, ReleaseCause.CUSTOMER)
        self.cancel_timer("release")
        return self._reply()

    # Timers

    @handles(ExpireBooking)
    def expire(self, cmd: ExpireBooking) -> None:
        """Nobody has paid, or not the right amount: the slot is free. Raises: WrongState."""
        self.require(*TRANSITIONS[ExpireBooking])
        if self.state.payment_status is PaymentStatus.SECURED:
            return
        self.emit(BookingExpired())
        self.free(self.actor_id)
        endings.wind_up(self)

    @handles(LapseApproval)
    def lapse(self, cmd: LapseApproval) -> None:
        """Nobody has approved in time: as a decline that does not count. Raises: WrongState."""
        self.require(*TRANSITIONS[LapseApproval])
        self._decline(DeclineReason.NO_ANSWER)

    @handles(GiveUpBooking)
    def give_up(self, cmd: GiveUpBooking) -> None:
        """Declined, and nobody has found another way: cancelled, refund in full. Raises: WrongState."""
        self.require(*TRANSITIONS[GiveUpBooking])
        self.emit(BookingAbandoned())
        endings.wind_up(self)

    @handles(RemindCustomer)
    def remind(self, cmd: RemindCustomer) -> None:
        """One hour to go. Raises: WrongState."""
        self.require(*TRANSITIONS[RemindCustomer])
        self.emit(BookingReminded(starts_at=self.state.starts_at))

    @handles(AutoRelease)
    def auto_release(self, cmd: AutoRelease) -> None:
        """The window for the customer has passed: the money goes to the business. Raises: WrongState, HoldSpent."""
        self.require(*TRANSITIONS[AutoRelease])
        if self.state.hold.status is HoldStatus.PENDING_CLEARANCE:
            escrow.release(self, ReleaseCause.TIME)

    # Steps

    def _note(self, cmd: CreateBooking) -> None:
        """Keep what the customer wrote, and where they want it to be, where it can be erased."""
        if cmd.notes or cmd.address or cmd.user_lat is not None:
            self.put(
                BookingNotesRow(
                    booking_id=self._id,
                    notes=cmd.notes,
                    address=cmd.address,
                    latitude=cmd.user_lat,
                    longitude=cmd.user_long,
                )
            )

    def _hold(self) -> None:
        """Claim the time, and promise the price."""
        state = self.state
        self.reserve(self.actor_id, state.staff_id, state.busy_from, state.busy_until)
        escrow.promise(self)

    def _secure(self, payment_id: PaymentId, payment_version: int = 0) -> None:
        """The money is here, and the first gate is open."""
        escrow.take(self, payment_id, payment_version)
        self.cancel_timer("expire")
        self._await_approval()
        self._confirm_if_ready()

    def _await_approval(self) -> None:
        """Paid and not approved: somebody must answer in time."""
        state = self.state
        if state.status is S.PENDING and not state.approved:
            due_at = min(max(state.approve_by, self.now + APPROVAL_MIN), state.starts_at)
            self.set_timer("lapse", due_at, LapseApproval(booking_id=self._id))

    def _confirm_if_ready(self) -> None:
        """Both gates, in either order (rule B-7)."""
        state = self.state
        if not (state.status is S.PENDING and state.approved and state.payment_status is PaymentStatus.SECURED):
            return
        self.emit(BookingConfirmed())
        self.cancel_timer("lapse")
        remind_at = state.starts_at - REMIND_BEFORE
        if remind_at > self.now:
            self.set_timer("remind", remind_at, RemindCustomer(booking_id=self._id), expires_at=state.starts_at)
        overdue.await_start(self)
        endings.tell_thread(
            self,
            OpenConversation(
                conversation_id=self._thread_id,
                booking_id=self._id,
                business_id=state.business_id,
                members=(
                    Participant(user_id=state.customer_id, role=Role.CUSTOMER),
                    provider_of(state),
                ),
            ),
        )

    @handles(FlagStaffLeft)
    def staff_left(self, cmd: FlagStaffLeft) -> None:
        """Tell the owner that the staff member left; a booking that is over stays as it is. Raises: WrongState."""
        if cmd.staff_id not in self.state.staff:
            return
        self.require(*TRANSITIONS[FlagStaffLeft])
        self.emit(BookingStaffLeft(staff_id=cmd.staff_id, at=self.now))

    def _remark(self, about: RemarkAbout, audience: RemarkAudience, text: str | None) -> None:
        """Keep what the sender wrote to a step, where it can be erased."""
        if text:
            self.put(
                RemarkRow(
                    id=self.new_id(),
                    booking_id=self._id,
                    author_id=self.principal.user_id,
                    about=about,
                    audience=audience,
                    text=text,
                    written_at=self.now,
                )
            )

    def _decline(self, reason: DeclineReason) -> None:
        state = self.state
        by = self.principal.user_id
        counted = by == state.staff_id and reason not in UNCOUNTED
        self.emit(BookingDeclined(by=by, staff_id=state.staff_id, reason_code=reason, counted=counted))
        endings.tell_thread(self, ReplaceMember(conversation_id=self._thread_id, leaves=state.staff_id))
        self.free(self.actor_id)
        for name in ("expire", "lapse", "remind", overdue.START_TIMER):
            self.cancel_timer(name)
        self.set_timer("give_up", state.starts_at, GiveUpBooking(booking_id=self._id))

    def _drop_timers(self) -> None:
        for name in ("expire", "lapse", "remind", "give_up", overdue.START_TIMER):
            self.cancel_timer(name)

    # What it shows

    @property
    def _thread_id(self) -> ConversationId:
        return ConversationId(self.actor_id)

    def _reply(self) -> BookingReply:
        return booking_reply(self._id, self.state)

    @staticmethod
    def public(actor_id: UUID, state: BookingState) -> BookingView:
        return booking_view(booking_row(BookingId(actor_id), state))

    def audience(self) -> Iterable[UserId]:
        """All parties hear of everything, so that what each of them keeps has the booking's version."""
        return (self.state.customer_id, *self.state.staff, self.state.owner_id)

    def parties(self) -> Mapping[Party, Iterable[UserId]]:
        state = self.state
        return {
            Party.CUSTOMER: (state.customer_id,),
            Party.STAFF: state.staff,
            Party.OWNER: (state.owner_id,),
        }

    def rows(self) -> Iterable[Row]:
        yield booking_row(self._id, self.state)

    @staticmethod
    def evolve(state: BookingState | None, event: Event) -> BookingState:
        return after(state, event)
