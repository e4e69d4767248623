"""A job that nobody starts, or nobody ends: the parties are asked, then the server decides (rule B-22).

    CONFIRMED    planned end + 2 h ─▶ all are asked ── 24 h ──▶ NO_SHOW, refund in full
    IN_PROGRESS  estimate + 12 h ──▶ the owner is alerted; estimate + 48 h ──▶ COMPLETED, with the usual window

Each wait has one timer, so no money waits without a bound.
"""

from datetime import datetime, timedelta

from actors.actor import Actor, handles
from actors.booking import endings
from actors.booking.state import TRANSITIONS, BookingState
from protocol.booking.commands import AlertOwner, AskAboutStart, CompleteOverdue, MarkNoShow
from protocol.booking.events import BookingEndOverdue, BookingNoShow, BookingStartOverdue
from protocol.booking.terms import CompletionCause
from protocol.ids import BookingId

#: How long after the planned end of a job that was not started the parties are asked, and from then to the no-show.
ASK_AFTER = timedelta(hours=2)
NO_SHOW_AFTER = timedelta(hours=24)
#: How long past its estimate a job in progress is the owner's concern, and when the server completes it.
ALERT_AFTER = timedelta(hours=12)
COMPLETE_AFTER = timedelta(hours=48)

#: The timers of the two waits.
START_TIMER, END_TIMER = "start_overdue", "end_overdue"

BookingActor = Actor[BookingState]


def await_start(booking: BookingActor) -> None:
    """Confirmed: the job has to start."""
    booking.set_timer(START_TIMER, booking.state.ends_at + ASK_AFTER, AskAboutStart(booking_id=_id(booking)))


def await_end(booking: BookingActor) -> None:
    """Started: the job has to end."""
    booking.cancel_timer(START_TIMER)
    booking.set_timer(END_TIMER, _estimated_end(booking.state) + ALERT_AFTER, AlertOwner(booking_id=_id(booking)))


@handles(AskAboutStart)
def ask_about_start(booking: BookingActor, cmd: AskAboutStart) -> None:
    """Ask staff member, owner and customer what happened. Raises: WrongState."""
    booking.require(*TRANSITIONS[AskAboutStart])
    no_show_at = booking.now + NO_SHOW_AFTER
    booking.emit(BookingStartOverdue(ends_at=booking.state.ends_at, no_show_at=no_show_at))
    booking.set_timer(START_TIMER, no_show_at, MarkNoShow(booking_id=_id(booking)))


@handles(MarkNoShow)
def mark_no_show(booking: BookingActor, cmd: MarkNoShow) -> None:
    """The staff member did not come: the customer gets everything back. Raises: WrongState."""
    booking.require(*TRANSITIONS[MarkNoShow])
    booking.emit(BookingNoShow(staff_id=booking.state.staff_id))
    booking.free(booking.actor_id)
    endings.wind_up(booking)


@handles(AlertOwner)
def alert_owner(booking: BookingActor, cmd: AlertOwner) -> None:
    """The job takes far longer than planned. Raises: WrongState."""
    booking.require(*TRANSITIONS[AlertOwner])
    complete_at = max(_estimated_end(booking.state) + COMPLETE_AFTER, booking.now)
    booking.emit(BookingEndOverdue(started_at=_started_at(booking.state), complete_at=complete_at))
    booking.set_timer(END_TIMER, complete_at, CompleteOverdue(booking_id=_id(booking)))


@handles(CompleteOverdue)
def complete_overdue(booking: BookingActor, cmd: CompleteOverdue) -> None:
    """Nobody has ended the job: it counts as done. Raises: WrongState."""
    booking.require(*TRANSITIONS[CompleteOverdue])
    endings.complete(booking, CompletionCause.TIME)


def _estimated_end(state: BookingState) -> datetime:
    """The planned end, or later for a job that started late."""
    return max(state.ends_at, _started_at(state) + (state.ends_at - state.starts_at))


def _started_at(state: BookingState) -> datetime:
    assert state.actual_start_at is not None, "the job has not started"
    return state.actual_start_at


def _id(booking: BookingActor) -> BookingId:
    return BookingId(booking.actor_id)
