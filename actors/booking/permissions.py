"""Who may do what to a booking: its customer, its staff member, and the managers of its business."""

from actors.actor import Actor
from actors.booking.state import BookingState
from protocol.errors import Forbidden, NotFound


def customer_only(booking: Actor[BookingState]) -> None:
    """Raises: NotFound to strangers, Forbidden to the other parties."""
    if booking.principal.user_id == booking.state.customer_id:
        return
    parties_only(booking)
    raise Forbidden(reason="customer_only")


def provider_only(booking: Actor[BookingState]) -> None:
    """The assigned staff member, or a manager. Raises: NotFound to strangers, Forbidden to the customer."""
    principal, state = booking.principal, booking.state
    if principal.manages(state.business_id):
        return
    if principal.business_id == state.business_id and principal.user_id in state.staff:
        return
    parties_only(booking)
    raise Forbidden(reason="provider_only")


def parties_only(booking: Actor[BookingState]) -> None:
    """Raises: NotFound to strangers."""
    principal, state = booking.principal, booking.state
    of_business = principal.business_id == state.business_id and principal.user_id in (*state.staff, state.owner_id)
    if principal.user_id != state.customer_id and not of_business and not principal.manages(state.business_id):
        raise NotFound(entity="booking", id=str(booking.actor_id))
