"""Shared by the parts of a business: who may change it, and who gets its events."""

from actors.actor import Actor
from actors.business.state import BusinessState
from protocol.errors import Forbidden
from protocol.events import Event
from protocol.ids import BusinessId, UserId


def managers_only(business: Actor[BusinessState]) -> None:
    """Require a sender who manages this business and acts for it. Raises: NotFound, Forbidden."""
    member = business.state.members.get(business.principal.user_id)
    if member is None or not member.manager or business.principal.business_id != BusinessId(business.actor_id):
        raise Forbidden(reason="managers_only")


def owner_only(business: Actor[BusinessState]) -> None:
    """Require the owner. Raises: Forbidden."""
    if business.principal.user_id != business.state.owner_id:
        raise Forbidden(reason="owner_only")


def emit_to_managers(business: Actor[BusinessState], event: Event, *concerned: UserId) -> None:
    """Emit an event to the managers and the members concerned."""
    business.emit(event, to=[*business.state.managers(), *concerned])
