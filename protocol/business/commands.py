"""Commands to businesses."""

from uuid import UUID

from msgspec import UNSET, UnsetType

from protocol.business.terms import (
    DEFAULT_WEEK,
    AlreadyInvited,
    AlreadyMember,
    Bio,
    BusinessName,
    CategoryId,
    City,
    Description,
    LeadTime,
    MemberRole,
    OwnerStays,
    Week,
)
from protocol.business.views import BusinessReply, InvitationReply, MemberRemovedReply, MemberReply
from protocol.errors import Forbidden, Invalid, LimitReached, NotFound
from protocol.ids import BusinessId, InvitationId, Kind, UserId
from protocol.instants import ZoneName
from protocol.money import Currency
from protocol.places import Latitude, Longitude
from protocol.rates import per_hour, per_minute
from protocol.registry import Command, command
from protocol.roles import ANYONE, INTERNAL, PROVIDERS, Role

# Commands


@command(
    "business.register",
    actor=Kind.BUSINESS,
    creates=True,
    status=201,
    by=ANYONE,
    routes=("POST /providers/register/",),
    reply=BusinessReply,
    errors=(Invalid, LimitReached),
    rate=per_hour(10),
)
class RegisterBusiness(Command, frozen=True, kw_only=True):
    """Register a business. The sender becomes its owner, and may act for it from the next token on."""

    name: BusinessName
    category_id: CategoryId
    city: City
    zone: ZoneName
    currency: Currency
    description: Description = ""
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    #: Default: Monday to Friday, nine to five.
    hours: Week = DEFAULT_WEEK
    lead_time_minutes: LeadTime = 0
    auto_approve: bool = False
    #: Whether the owner does jobs too, as a solo provider does.
    owner_serves: bool = True


@command(
    "business.update",
    actor=Kind.BUSINESS,
    by=PROVIDERS | {Role.ADMIN},
    routes=("PATCH /providers/{business_id}/",),
    reply=BusinessReply,
    errors=(Invalid, Forbidden, NotFound),
)
class UpdateBusiness(Command, frozen=True, kw_only=True):
    """Change the business's settings; omitted fields stay. The currency can never be changed."""

    business_id: BusinessId
    name: BusinessName | UnsetType = UNSET
    category_id: CategoryId | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    city: City | UnsetType = UNSET
    #: Opening and working hours keep their local times in the new zone.
    zone: ZoneName | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    latitude: Latitude | UnsetType | None = UNSET
    longitude: Longitude | UnsetType | None = UNSET
    lead_time_minutes: LeadTime | UnsetType = UNSET
    auto_approve: bool | UnsetType = UNSET
    #: False: its services can be neither booked nor found.
    is_active: bool | UnsetType = UNSET


@command(
    "business.set_hours",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("PUT /providers/{business_id}/hours",),
    reply=BusinessReply,
    errors=(Invalid, Forbidden),
)
class SetOpeningHours(Command, frozen=True, kw_only=True):
    """Set the opening hours. Existing bookings stay."""

    business_id: BusinessId
    hours: Week


@command(
    "business.add_member",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    status=201,
    routes=("POST /providers/{business_id}/members",),
    reply=InvitationReply,
    errors=(Invalid, Forbidden, AlreadyMember, AlreadyInvited, LimitReached),
    rate=per_minute(60),
)
class AddMember(Command, frozen=True, kw_only=True):
    """Invite a user to become a member (rule P-11). Only the owner grants the manager right.

    The reply is the same whether or not the user exists.
    """

    business_id: BusinessId
    user_id: UserId
    role: MemberRole
    manager: bool = False
    bio: Bio = ""
    #: None: whenever the business is open.
    working: Week | None = None


@command(
    "business.withdraw_invitation",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("DELETE /providers/{business_id}/invitations/{invitation_id}",),
    errors=(Forbidden, NotFound),
)
class WithdrawInvitation(Command, frozen=True, kw_only=True):
    """Withdraw an open invitation. The same person can be invited again when it would have expired."""

    business_id: BusinessId
    invitation_id: InvitationId


@command(
    "invitation.accept",
    actor=Kind.USER,
    by=ANYONE,
    routes=("POST /invitations/{invitation_id}/accept",),
    reply=InvitationReply,
    errors=(NotFound, LimitReached),
)
class AcceptInvitation(Command, frozen=True, kw_only=True):
    """Become a member of the business that invited me. The active role and the default one stay."""

    invitation_id: InvitationId


@command(
    "invitation.decline",
    actor=Kind.USER,
    by=ANYONE,
    routes=("POST /invitations/{invitation_id}/decline",),
    errors=(NotFound,),
)
class DeclineInvitation(Command, frozen=True, kw_only=True):
    """Decline an invitation."""

    invitation_id: InvitationId


@command("business.admit", actor=Kind.BUSINESS, by=INTERNAL)
class AdmitMember(Command, frozen=True, kw_only=True):
    """The invited person has accepted: they become a member, if the invitation still stands."""

    business_id: BusinessId
    invitation_id: InvitationId
    user_id: UserId


@command("business.record_decline", actor=Kind.BUSINESS, by=INTERNAL)
class RecordDecline(Command, frozen=True, kw_only=True):
    """The invited person has declined."""

    business_id: BusinessId
    invitation_id: InvitationId


@command("business.expire_invitation", actor=Kind.BUSINESS, by=INTERNAL)
class ExpireInvitation(Command, frozen=True, kw_only=True):
    """Delete an invitation whose time is over (a timer)."""

    business_id: BusinessId
    invitation_id: InvitationId


@command(
    "business.update_member",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("PATCH /providers/{business_id}/members/{user_id}",),
    reply=MemberReply,
    errors=(Invalid, Forbidden, NotFound, OwnerStays),
)
class UpdateMember(Command, frozen=True, kw_only=True):
    """Change a member's role, rights or bio; members may change their own bio."""

    business_id: BusinessId
    user_id: UserId
    role: MemberRole | UnsetType = UNSET
    manager: bool | UnsetType = UNSET
    #: Whether the owner does jobs too; for other members the role determines it.
    serves: bool | UnsetType = UNSET
    bio: Bio | UnsetType = UNSET


@command(
    "business.remove_member",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("DELETE /providers/{business_id}/members/{user_id}",),
    reply=MemberRemovedReply,
    errors=(Forbidden, NotFound, OwnerStays),
)
class RemoveMember(Command, frozen=True, kw_only=True):
    """Remove a member, or leave the business. They leave its conversations, and are no party to its bookings any more.

    Their open bookings stay and are marked by ``staff_left_at``; the managers join their conversations with customers.
    """

    business_id: BusinessId
    user_id: UserId


@command("business.release_leaver", actor=Kind.BUSINESS, by=INTERNAL)
class ReleaseLeaver(Command, frozen=True, kw_only=True):
    """Take a member who left out of their open bookings and conversations, one page after the other."""

    business_id: BusinessId
    user_id: UserId
    #: The last entity of the page before; None: this is the first page.
    after: UUID | None = None


@command(
    "business.set_availability",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("PUT /staff/availability",),
    reply=MemberReply,
    errors=(Invalid, Forbidden, NotFound),
)
class SetAvailability(Command, frozen=True, kw_only=True):
    """Set my working hours in the acting business; managers may set those of others."""

    #: None: the sender.
    staff_id: UserId | None = None
    #: None: whenever the business is open.
    working: Week | None


@command(
    "business.block_customer",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("POST /providers/{business_id}/customers/{customer_id}/block",),
    errors=(Forbidden,),
)
class BlockCustomer(Command, frozen=True, kw_only=True):
    """Block a customer: no new bookings and conversations; existing ones continue (rule B-26)."""

    business_id: BusinessId
    customer_id: UserId


@command(
    "business.unblock_customer",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("POST /providers/{business_id}/customers/{customer_id}/unblock",),
    errors=(Forbidden,),
)
class UnblockCustomer(Command, frozen=True, kw_only=True):
    """Unblock a customer."""

    business_id: BusinessId
    customer_id: UserId
