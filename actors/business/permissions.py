"""What every part of a business shares: who may change it, and who hears of it."""

from collections.abc import Iterable

from actors.actor import Actor
from actors.business.state import BusinessState
from protocol.errors import Forbidden
from protocol.events import Event
from protocol.ids import BusinessId, UserId


class Managed(Actor[BusinessState]):
    """A business that its managers run."""

    @property
    def _id(self) -> BusinessId:
        return BusinessId(self.actor_id)

    def _managers_only(self) -> None:
        """The sender manages this business, and acts for it. Raises: NotFound, Forbidden."""
        member = self.state.members.get(self.principal.user_id)
        if member is None or not member.manager or self.principal.business_id != self._id:
            raise Forbidden(reason="managers_only")

    def _tell(self, event: Event, *concerned: UserId) -> None:
        """Let the event have happened, and let the managers and the people concerned hear of it."""
        self.emit(event, to=[*self.state.managers(), *concerned])

    def audience(self) -> Iterable[UserId]:
        """The owner and the managers."""
        return self.state.managers()
