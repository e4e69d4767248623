"""Events of businesses: what happened, in the past tense."""

from datetime import datetime

from protocol.business.terms import InvitationStatus
from protocol.events import Event, event
from protocol.ids import InvitationId, UserId
from protocol.money import Currency
from protocol.roles import Role

# Events


@event("business.registered")
class BusinessRegistered(Event, frozen=True, kw_only=True):
    """A business was registered; its registrant is the owner."""

    owner_id: UserId
    serves: bool
    category: str
    zone: str
    currency: Currency
    commission_bp: int


@event("business.updated", refetch=("*",))
class BusinessUpdated(Event, frozen=True, kw_only=True):
    """Settings changed. ``fields`` names them; their values are in the row."""

    fields: tuple[str, ...]
    zone: str
    is_active: bool


@event("business.hours_changed", refetch=("hours",))
class BusinessHoursChanged(Event, frozen=True, kw_only=True):
    """The opening hours changed."""


@event("business.member_invited")
class BusinessMemberInvited(Event, frozen=True, kw_only=True):
    """A person was invited to become a member."""

    invitation_id: InvitationId
    user_id: UserId
    role: Role
    manager: bool
    #: The person's place for an open invitation.
    place: int
    expires_at: datetime


@event("business.invitation_closed")
class BusinessInvitationClosed(Event, frozen=True, kw_only=True):
    """An invitation was declined or withdrawn."""

    invitation_id: InvitationId
    user_id: UserId
    status: InvitationStatus


@event("business.invitation_expired")
class BusinessInvitationExpired(Event, frozen=True, kw_only=True):
    """The time of an invitation is over, and it was deleted."""

    invitation_id: InvitationId
    user_id: UserId


@event("business.member_added")
class BusinessMemberAdded(Event, frozen=True, kw_only=True):
    """A person became a member: they accepted the invitation."""

    user_id: UserId
    role: Role
    manager: bool
    serves: bool


@event("business.member_changed")
class BusinessMemberChanged(Event, frozen=True, kw_only=True):
    """A member's role, rights or bio changed."""

    user_id: UserId
    role: Role
    manager: bool
    serves: bool


@event("business.member_removed")
class BusinessMemberRemoved(Event, frozen=True, kw_only=True):
    """A member was removed, or left."""

    user_id: UserId


@event("business.availability_changed")
class BusinessAvailabilityChanged(Event, frozen=True, kw_only=True):
    """A member's working hours changed."""

    user_id: UserId


@event("business.customer_blocked")
class BusinessCustomerBlocked(Event, frozen=True, kw_only=True):
    """The business blocked a customer. The customer is not notified."""

    customer_id: UserId


@event("business.customer_unblocked")
class BusinessCustomerUnblocked(Event, frozen=True, kw_only=True):
    """The business unblocked a customer."""

    customer_id: UserId
