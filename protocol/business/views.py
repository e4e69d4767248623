"""Views of businesses, and the queries that return them."""

from datetime import datetime
from typing import Literal

from protocol.business.rows import InvitationRow
from protocol.business.terms import InvitationStatus
from protocol.ids import BookingId, BusinessId, InvitationId, ServiceId, UserId
from protocol.instants import OpenHours
from protocol.money import Currency
from protocol.registry import Query, View, query
from protocol.roles import ANYONE, PROVIDERS, PUBLIC, Role

# Replies


class OpenBooking(View, frozen=True, kw_only=True):
    """A booking whose staff member left, for the managers to see to."""

    id: BookingId
    number: str


class BusinessReply(View, frozen=True, kw_only=True):
    """The reply to a command about a business; its texts are in the query's view."""

    business_id: BusinessId
    owner_id: UserId
    zone: str
    currency: Currency
    is_active: bool


class MemberRemovedReply(BusinessReply, frozen=True, kw_only=True):
    """The reply to the removal of a member."""

    #: Their open bookings, which the managers have to see to; the first 50 by id.
    open_bookings: tuple[OpenBooking, ...] = ()


class MemberReply(View, frozen=True, kw_only=True):
    """The reply to a command about a member."""

    business_id: BusinessId
    user_id: UserId
    role: Role
    manager: bool
    serves: bool


class InvitationReply(View, frozen=True, kw_only=True):
    """The reply to a command about an invitation. Holds no data of the invited person."""

    invitation_id: InvitationId
    business_id: BusinessId
    user_id: UserId
    role: Role
    manager: bool
    #: Does jobs, as staff do.
    serves: bool
    status: InvitationStatus
    expires_at: datetime


def invitation_reply(row: InvitationRow) -> InvitationReply:
    """The reply that shows an invitation as its row has it."""
    return InvitationReply(
        invitation_id=row.id,
        business_id=row.business_id,
        user_id=row.user_id,
        role=row.role,
        manager=row.manager,
        serves=row.role is Role.STAFF,
        status=row.status,
        expires_at=row.expires_at,
    )


# Queries


class BusinessView(View, frozen=True, kw_only=True):
    """The public view of a business."""

    id: BusinessId
    owner_id: UserId
    name: str
    category_id: str
    description: str
    city: str
    zone: str
    currency: Currency
    latitude: float | None
    longitude: float | None
    hours: OpenHours
    #: From now to the earliest bookable start.
    lead_time_minutes: int
    is_active: bool
    #: ``individual`` when the owner is the only one who does jobs (rule P-2).
    account_type: Literal["individual", "business"]
    created_at: datetime


class StaffView(View, frozen=True, kw_only=True):
    """The public view of a staff member."""

    staff_id: UserId
    name: str
    profile_image_url: str | None
    is_owner: bool
    bio: str
    #: The Bayesian mean of their reviews, 0 to 5.
    rating: float
    service_ids: tuple[ServiceId, ...]


class StaffList(View, frozen=True, kw_only=True):
    """The staff of a business, in the order in which they joined."""

    business_id: BusinessId
    items: tuple[StaffView, ...]


class AvailabilityView(View, frozen=True, kw_only=True):
    """A member's working hours, with the hours of the business."""

    business_id: BusinessId
    staff_id: UserId
    zone: str
    #: None: whenever the business is open.
    working: OpenHours | None
    hours: OpenHours
    #: ``epoch:seq`` of the requesting user's inbox when this was read.
    as_of: str


@query("business.get", by=PUBLIC, view=BusinessView, routes=("GET /providers/{business_id}/",))
class GetBusiness(Query, frozen=True, kw_only=True):
    """One business, with its opening hours."""

    business_id: BusinessId


@query("business.staff", by=PUBLIC, view=StaffList, routes=("GET /providers/{business_id}/staff",))
class ListStaff(Query, frozen=True, kw_only=True):
    """The staff of a business, with their services."""

    business_id: BusinessId


@query("business.availability", by=PROVIDERS, view=AvailabilityView, routes=("GET /staff/availability",))
class GetAvailability(Query, frozen=True, kw_only=True):
    """My working hours in the acting business; managers may query those of others."""

    #: None: the sender.
    staff_id: UserId | None = None


class MyInvitation(View, frozen=True, kw_only=True):
    """An open invitation, as the invited person sees it."""

    id: InvitationId
    business_id: BusinessId
    business_name: str
    role: Role
    manager: bool
    invited_at: datetime
    expires_at: datetime


class MyInvitations(View, frozen=True, kw_only=True):
    """The open invitations of the sender, newest first."""

    items: tuple[MyInvitation, ...]


class InvitationView(View, frozen=True, kw_only=True):
    """An invitation as the business sees it, without data of the invited person."""

    id: InvitationId
    user_id: UserId
    role: Role
    manager: bool
    status: InvitationStatus
    invited_at: datetime
    expires_at: datetime


class InvitationList(View, frozen=True, kw_only=True):
    """The invitations of a business that have not expired, newest first."""

    business_id: BusinessId
    items: tuple[InvitationView, ...]


@query("invitation.list", by=ANYONE, view=MyInvitations, routes=("GET /invitations/",))
class ListMyInvitations(Query, frozen=True, kw_only=True):
    """The open invitations to become a member of a business."""


@query(
    "business.invitations",
    by=PROVIDERS,
    view=InvitationList,
    routes=("GET /providers/{business_id}/invitations",),
)
class ListInvitations(Query, frozen=True, kw_only=True):
    """The invitations of a business, to its managers."""

    business_id: BusinessId
