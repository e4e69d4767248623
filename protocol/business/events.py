"""Events of businesses: what happened, in the past tense."""

from protocol.events import Event, event
from protocol.ids import UserId
from protocol.money import Currency
from protocol.roles import Role

# Events


@event("business.registered")
class BusinessRegistered(Event, frozen=True, kw_only=True):
    """A business opened its doors; its founder is the owner."""

    owner_id: UserId
    serves: bool
    category: str
    zone: str
    currency: Currency
    commission_bp: int


@event("business.updated", refetch=("*",))
class BusinessUpdated(Event, frozen=True, kw_only=True):
    """Settings changed. ``fields`` names them; what they say now is in the row."""

    fields: tuple[str, ...]
    zone: str
    is_active: bool


@event("business.hours_changed", refetch=("hours",))
class BusinessHoursChanged(Event, frozen=True, kw_only=True):
    """The business opens at other times."""


@event("business.member_added")
class BusinessMemberAdded(Event, frozen=True, kw_only=True):
    """Somebody works for the business now."""

    user_id: UserId
    role: Role
    manager: bool
    serves: bool


@event("business.member_changed")
class BusinessMemberChanged(Event, frozen=True, kw_only=True):
    """Somebody has another role, other rights, or another text about them."""

    user_id: UserId
    role: Role
    manager: bool
    serves: bool


@event("business.member_removed")
class BusinessMemberRemoved(Event, frozen=True, kw_only=True):
    """Somebody does not work for the business any more."""

    user_id: UserId


@event("business.availability_changed")
class BusinessAvailabilityChanged(Event, frozen=True, kw_only=True):
    """Somebody works at other times."""

    user_id: UserId


@event("business.customer_blocked")
class BusinessCustomerBlocked(Event, frozen=True, kw_only=True):
    """The business deals with the customer no more. The customer does not hear of it."""

    customer_id: UserId


@event("business.customer_unblocked")
class BusinessCustomerUnblocked(Event, frozen=True, kw_only=True):
    """The business deals with the customer again."""

    customer_id: UserId
