"""The state of a business; all other data is in its rows."""

from msgspec import Struct
from msgspec.structs import replace

from protocol.business.events import (
    BusinessAvailabilityChanged,
    BusinessCustomerBlocked,
    BusinessCustomerUnblocked,
    BusinessHoursChanged,
    BusinessMemberAdded,
    BusinessMemberChanged,
    BusinessMemberRemoved,
    BusinessRegistered,
    BusinessUpdated,
)
from protocol.business.terms import InvitationStatus
from protocol.events import Event
from protocol.ids import InvitationId, UserId
from protocol.money import Currency
from protocol.roles import Role


class Member(Struct, frozen=True, array_like=True):
    """An active member."""

    role: Role
    manager: bool
    #: Whether the member does jobs.
    serves: bool


class Services(Struct, frozen=True):
    """The services of the business; the services themselves are rows."""

    #: Services created so far, inactive ones included; they are never deleted.
    made: int = 0


class Invited(Struct, frozen=True, array_like=True):
    """An invitation that was neither accepted nor has expired."""

    invitation_id: InvitationId
    role: Role
    manager: bool
    #: The invited person's place for an open invitation.
    place: int
    status: InvitationStatus = InvitationStatus.INVITED

    @property
    def is_open(self) -> bool:
        """Whether it was neither declined nor withdrawn."""
        return self.status is InvitationStatus.INVITED


class Invitations(Struct, frozen=True):
    """The invitations of the business, by the invited person."""

    people: dict[UserId, Invited] = {}

    @property
    def open(self) -> int:
        """How many can be accepted: each of them keeps a member's place."""
        return sum(one.is_open for one in self.people.values())

    def find(self, invitation_id: InvitationId) -> tuple[UserId, Invited] | None:
        """The invitation of that id, and the person."""
        return next((item for item in self.people.items() if item[1].invitation_id == invitation_id), None)

    def without(self, user_id: UserId) -> "Invitations":
        """A copy without the invitation of that person."""
        return Invitations({one: invited for one, invited in self.people.items() if one != user_id})


class BusinessState(Struct, frozen=True, kw_only=True):
    """A business: about 60 bytes for each member, and nothing that grows with services or customers."""

    owner_id: UserId
    zone: str
    #: Never changes: prices, holds and wallets are in it.
    currency: Currency
    commission_bp: int
    is_active: bool = True
    members: dict[UserId, Member]
    services: Services = Services()
    invitations: Invitations = Invitations()

    def managers(self) -> list[UserId]:
        """The owner, and the employees with the manager right."""
        return [user_id for user_id, member in self.members.items() if member.manager]

    def serving(self) -> list[UserId]:
        """The members who do jobs, in the order in which they joined."""
        return [user_id for user_id, member in self.members.items() if member.serves]


def after(state: BusinessState | None, event: Event) -> BusinessState:
    """The state after the event; pure."""
    if isinstance(event, BusinessRegistered):
        return BusinessState(
            owner_id=event.owner_id,
            zone=event.zone,
            currency=event.currency,
            commission_bp=event.commission_bp,
            members={event.owner_id: Member(Role.OWNER, True, event.serves)},
        )
    assert state is not None, f"{event.type} came before the business was registered"
    match event:
        case BusinessUpdated():
            return replace(state, zone=event.zone, is_active=event.is_active)
        case BusinessMemberAdded() | BusinessMemberChanged():
            member = Member(event.role, event.manager, event.serves)
            invitations = state.invitations
            if isinstance(event, BusinessMemberAdded):
                invitations = invitations.without(event.user_id)
            return replace(state, members={**state.members, event.user_id: member}, invitations=invitations)
        case BusinessMemberRemoved():
            left = {user_id: member for user_id, member in state.members.items() if user_id != event.user_id}
            return replace(state, members=left)
        case (
            BusinessHoursChanged()
            | BusinessAvailabilityChanged()
            | BusinessCustomerBlocked()
            | BusinessCustomerUnblocked()
        ):
            return state  # kept in rows
    raise AssertionError(f"a business does not know {event.type}")
