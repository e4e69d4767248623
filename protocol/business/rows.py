"""Read rows of businesses, written in the commit of their decision."""

from datetime import datetime
from typing import ClassVar

from protocol.business.terms import InvitationStatus
from protocol.events import Row
from protocol.ids import BusinessId, InvitationId, UserId
from protocol.instants import OpenHours
from protocol.money import Currency
from protocol.roles import Role

# Rows


class BusinessRow(Row, frozen=True, kw_only=True):
    """A business."""

    table: ClassVar[str] = "businesses"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: BusinessId
    owner_id: UserId
    name: str
    category: str
    description: str
    city: str
    zone: str
    currency: Currency
    latitude: float | None
    longitude: float | None
    hours: OpenHours
    lead_time_minutes: int
    commission_bp: int
    auto_approve: bool
    is_active: bool
    created_at: datetime


class BusinessMemberRow(Row, frozen=True, kw_only=True):
    """A present or former member of a business."""

    table: ClassVar[str] = "members"
    key: ClassVar[tuple[str, ...]] = ("business_id", "user_id")

    business_id: BusinessId
    user_id: UserId
    role: Role
    manager: bool
    #: Does jobs: a staff member, or an owner who also works.
    serves: bool
    active: bool
    bio: str
    #: None: whenever the business is open.
    working: OpenHours | None
    joined_at: datetime


class InvitationRow(Row, frozen=True, kw_only=True):
    """An invitation to become a member; deleted when it is accepted or its time is over."""

    table: ClassVar[str] = "invitations"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: InvitationId
    business_id: BusinessId
    user_id: UserId
    place: int
    role: Role
    manager: bool
    bio: str
    #: None: whenever the business is open.
    working: OpenHours | None
    status: InvitationStatus
    invited_at: datetime
    expires_at: datetime


class BlockedPairRow(Row, frozen=True, kw_only=True):
    """A customer whom a business has blocked."""

    table: ClassVar[str] = "blocked_pairs"
    key: ClassVar[tuple[str, ...]] = ("business_id", "customer_id")

    business_id: BusinessId
    customer_id: UserId
    blocked_at: datetime
