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
from protocol.events import Event
from protocol.ids import UserId
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
            return replace(state, members={**state.members, event.user_id: member})
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
