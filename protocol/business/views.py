"""Views of businesses, and the queries that return them."""

from datetime import datetime
from typing import Literal

from protocol.ids import BusinessId, ServiceId, UserId
from protocol.instants import OpenHours
from protocol.money import Currency
from protocol.registry import Query, View, query
from protocol.roles import PROVIDERS, PUBLIC, Role

# Replies


class BusinessReply(View, frozen=True, kw_only=True):
    """A business right after a command; its texts are for the query to tell."""

    business_id: BusinessId
    owner_id: UserId
    zone: str
    currency: Currency
    is_active: bool


class MemberReply(View, frozen=True, kw_only=True):
    """A member right after a command."""

    business_id: BusinessId
    user_id: UserId
    role: Role
    manager: bool
    serves: bool


# Queries


class BusinessView(View, frozen=True, kw_only=True):
    """A business as everybody may see it."""

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
    """Somebody who does jobs for a business, as everybody may see them."""

    staff_id: UserId
    name: str
    profile_image_url: str | None
    is_owner: bool
    bio: str
    #: The Bayesian mean of their reviews, 0 to 5.
    rating: float
    service_ids: tuple[ServiceId, ...]


class StaffList(View, frozen=True, kw_only=True):
    """Everybody who does jobs for a business, longest there first."""

    business_id: BusinessId
    items: tuple[StaffView, ...]


class AvailabilityView(View, frozen=True, kw_only=True):
    """When somebody works, beside the hours of the business."""

    business_id: BusinessId
    staff_id: UserId
    zone: str
    #: None: whenever the business is open.
    working: OpenHours | None
    hours: OpenHours
    #: ``epoch:seq`` of the asking user's inbox at the moment of reading.
    as_of: str


@query("business.get", by=PUBLIC, view=BusinessView, routes=("GET /providers/{business_id}/",))
class GetBusiness(Query, frozen=True, kw_only=True):
    """One business, with its opening hours."""

    business_id: BusinessId


@query("business.staff", by=PUBLIC, view=StaffList, routes=("GET /providers/{business_id}/staff",))
class ListStaff(Query, frozen=True, kw_only=True):
    """Who does jobs for a business, and which."""

    business_id: BusinessId


@query("business.availability", by=PROVIDERS, view=AvailabilityView, routes=("GET /staff/availability",))
class GetAvailability(Query, frozen=True, kw_only=True):
    """When I work for the acting business; managers may ask about others."""

    #: None: the sender.
    staff_id: UserId | None = None
