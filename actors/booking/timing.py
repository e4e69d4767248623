"""When the steps of a booking are possible, and when its money is released (rules B-15, B-20, M-5)."""

from datetime import datetime, timedelta

from actors.actor import Actor
from actors.booking.state import BookingState
from protocol.errors import TooEarly, WrongState

#: How long before its start a job may begin.
START_EARLY_DEFAULT = timedelta(minutes=60)
#: How long the money waits for the customer's confirmation.
RELEASE_AFTER = timedelta(hours=24)


def require_startable(booking: Actor[BookingState]) -> None:
    """The start is near. Raises: TooEarly."""
    _not_before(booking, booking.state.starts_at - START_EARLY_DEFAULT)


def require_completable(booking: Actor[BookingState]) -> None:
    """The start has come. Raises: TooEarly."""
    _not_before(booking, booking.state.starts_at)


def require_cancellable(booking: Actor[BookingState]) -> None:
    """The start is still ahead. Raises: WrongState."""
    if booking.now >= booking.state.starts_at:
        raise WrongState(status=booking.state.status.value, reason="start_passed")


def release_at(state: BookingState, completed_at: datetime) -> datetime:
    """When the money is released without the customer's confirmation."""
    return max(completed_at, state.ends_at) + RELEASE_AFTER


def _not_before(booking: Actor[BookingState], earliest_at: datetime) -> None:
    if booking.now < earliest_at:
        raise TooEarly(earliest_at=earliest_at)
