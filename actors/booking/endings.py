"""How a booking ends: its thread, its slot and its money."""

from actors.actor import Actor
from actors.booking import escrow, timing
from actors.booking.state import BookingState
from protocol.booking.commands import AutoRelease
from protocol.booking.events import BookingCompleted
from protocol.booking.terms import CompletionCause
from protocol.conversation.commands import CloseConversation
from protocol.ids import BookingId, ConversationId, Kind, Ref
from protocol.registry import Command


def tell_thread(booking: Actor[BookingState], command: Command) -> None:
    """Let the booking's conversation follow; refused there, without harm, if nobody has opened one."""
    booking.send(Ref(Kind.CONVERSATION, booking.actor_id), command)


def end_thread(booking: Actor[BookingState]) -> None:
    """The conversation closes in a while."""
    thread_id = ConversationId(booking.actor_id)
    tell_thread(booking, CloseConversation(conversation_id=thread_id, ended_at=booking.now))


def wind_up(booking: Actor[BookingState]) -> None:
    """The promise is over, and so is the conversation in a while."""
    end_thread(booking)
    escrow.wind_up(booking)


def complete(booking: Actor[BookingState], cause: CompletionCause) -> None:
    """The job is done: the rest of its time is free, and the money waits for the customer's confirmation."""
    release_at = timing.release_at(booking.state, booking.now)
    booking.emit(BookingCompleted(at=booking.now, release_at=release_at, cause=cause))
    end_thread(booking)
    escrow.clear(booking)
    booking.set_timer("release", release_at, AutoRelease(booking_id=BookingId(booking.actor_id)))
    booking.free(booking.actor_id)
