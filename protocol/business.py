"""Businesses: settings, opening hours, the people who work there, and the customers they do not deal with."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from protocol.catalogue import Command, Query, View, command, query
from protocol.errors import Conflict, Forbidden, Invalid, LimitReached, NotFound
from protocol.events import Event, Row
from protocol.ids import BusinessId, Kind, ServiceId, UserId
from protocol.instants import CLOSED_DATES_MAX, DaySpans, LocalSpan, OpenHours, ZoneName
from protocol.money import Currency
from protocol.places import Latitude, Longitude
from protocol.rates import per_hour, per_minute
from protocol.roles import ANYONE, PROVIDERS, PUBLIC, Role

#: People who work for one business, the owner included.
MEMBERS_MAX = 50
LEAD_TIME_MINUTES_MAX = 365 * 24 * 60

BusinessName = Annotated[str, Meta(min_length=1, max_length=120)]
Description = Annotated[str, Meta(max_length=4000)]
City = Annotated[str, Meta(min_length=1, max_length=120)]
CategoryId = Annotated[str, Meta(min_length=1, max_length=40, description="The id of a category", examples=["hair"])]
LeadTime = Annotated[int, Meta(ge=0, le=LEAD_TIME_MINUTES_MAX)]
Bio = Annotated[str, Meta(max_length=2000)]

_NINE_TO_FIVE = (LocalSpan(9 * 60, 17 * 60),)


class MemberRole(StrEnum):
    """The roles that a business gives; its owner is there from the beginning."""

    EMPLOYEE = Role.EMPLOYEE.value
    STAFF = Role.STAFF.value


class Week(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours as a business writes them: they are in its own zone."""

    #: Monday first; minutes of wall clock time, like ``[[540, 720], [780, 1080]]``.
    week: tuple[DaySpans, DaySpans, DaySpans, DaySpans, DaySpans, DaySpans, DaySpans]
    closed_dates: Annotated[tuple[date, ...], Meta(max_length=CLOSED_DATES_MAX)] = ()

    def in_zone(self, zone: str) -> OpenHours:
        """Raises: HoursInvalid, UnknownZone."""
        return OpenHours(zone=zone, week=self.week, closed_dates=self.closed_dates)


#: What a business starts with unless it says otherwise.
DEFAULT_WEEK = Week(week=(*(_NINE_TO_FIVE,) * 5, (), ()))


class OwnerStays(Conflict):
    """The owner can neither be removed nor take another role."""


class AlreadyMember(Conflict):
    """The user works there already."""


# Rows


class BusinessRow(Row, frozen=True, kw_only=True):
    """A business as queries see it."""

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


class MemberRow(Row, frozen=True, kw_only=True):
    """Somebody who works for a business, or did."""

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


class BlockedPairRow(Row, frozen=True, kw_only=True):
    """A customer whom a business does not serve any more."""

    table: ClassVar[str] = "blocked_pairs"
    key: ClassVar[tuple[str, ...]] = ("business_id", "customer_id")

    business_id: BusinessId
    customer_id: UserId
    blocked_at: datetime


# Facts: rows of the business itself, which its version check keeps from going stale


class BusinessRecord(Struct, frozen=True, kw_only=True):
    """The business's own row, and those of its active members."""

    row: BusinessRow | None
    members: tuple[MemberRow, ...]


class MemberRecord(Struct, frozen=True, kw_only=True):
    """A user, seen from the business."""

    user_exists: bool
    #: None: never worked there.
    row: MemberRow | None
    #: The business's services that they offer.
    service_ids: tuple[ServiceId, ...]


# Events


class BusinessRegistered(Event, frozen=True, kw_only=True):
    """A business opened its doors; its founder is the owner."""

    owner_id: UserId
    serves: bool
    category: str
    zone: str
    currency: Currency
    commission_bp: int


class BusinessUpdated(Event, frozen=True, kw_only=True):
    """Settings changed. ``fields`` names them; what they say now is in the row."""

    fields: tuple[str, ...]
    zone: str
    is_active: bool


class BusinessHoursChanged(Event, frozen=True, kw_only=True):
    """The business opens at other times."""


class BusinessMemberAdded(Event, frozen=True, kw_only=True):
    """Somebody works for the business now."""

    user_id: UserId
    role: Role
    manager: bool
    serves: bool


class BusinessMemberChanged(Event, frozen=True, kw_only=True):
    """Somebody has another role, other rights, or another text about them."""

    user_id: UserId
    role: Role
    manager: bool
    serves: bool


class BusinessMemberRemoved(Event, frozen=True, kw_only=True):
    """Somebody does not work for the business any more."""

    user_id: UserId


class BusinessAvailabilityChanged(Event, frozen=True, kw_only=True):
    """Somebody works at other times."""

    user_id: UserId


class BusinessCustomerBlocked(Event, frozen=True, kw_only=True):
    """The business deals with the customer no more. The customer does not hear of it."""

    customer_id: UserId


class BusinessCustomerUnblocked(Event, frozen=True, kw_only=True):
    """The business deals with the customer again."""

    customer_id: UserId


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


# Commands


@command(
    "business.register",
    actor=Kind.BUSINESS,
    creates=True,
    status=201,
    by=ANYONE,
    routes=("POST /providers/register/",),
    reply=BusinessReply,
    errors=(Invalid,),
    rate=per_hour(20),
)
class RegisterBusiness(Command, frozen=True, kw_only=True):
    """Open a business: whoever sends this becomes its owner, and may act as that from the next token on."""

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
    """Change what the business says of itself; what is left out stays. The currency is fixed for good."""

    business_id: BusinessId
    name: BusinessName | UnsetType = UNSET
    category_id: CategoryId | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    city: City | UnsetType = UNSET
    #: Opening and working hours stay as the clocks show them, in the new zone.
    zone: ZoneName | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    latitude: Latitude | UnsetType | None = UNSET
    longitude: Longitude | UnsetType | None = UNSET
    lead_time_minutes: LeadTime | UnsetType = UNSET
    auto_approve: bool | UnsetType = UNSET
    #: False: nothing of it can be booked or found.
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
    """Open at these times from now on. Bookings made before stay as they are."""

    business_id: BusinessId
    hours: Week


@command(
    "business.add_member",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    status=201,
    routes=("POST /providers/{business_id}/members",),
    reply=MemberReply,
    errors=(Invalid, Forbidden, NotFound, AlreadyMember, LimitReached),
    rate=per_minute(60),
)
class AddMember(Command, frozen=True, kw_only=True):
    """Let a user work for the business. Only the owner gives the manager right."""

    business_id: BusinessId
    user_id: UserId
    role: MemberRole
    manager: bool = False
    bio: Bio = ""
    #: None: whenever the business is open.
    working: Week | None = None


@command(
    "business.update_member",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("PATCH /providers/{business_id}/members/{user_id}",),
    reply=MemberReply,
    errors=(Invalid, Forbidden, NotFound, OwnerStays),
)
class UpdateMember(Command, frozen=True, kw_only=True):
    """Change somebody's role, rights or text; everybody may change the text about themselves."""

    business_id: BusinessId
    user_id: UserId
    role: MemberRole | UnsetType = UNSET
    manager: bool | UnsetType = UNSET
    #: Whether the owner does jobs too; of others the role says so.
    serves: bool | UnsetType = UNSET
    bio: Bio | UnsetType = UNSET


@command(
    "business.remove_member",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("DELETE /providers/{business_id}/members/{user_id}",),
    reply=BusinessReply,
    errors=(Forbidden, NotFound, OwnerStays),
)
class RemoveMember(Command, frozen=True, kw_only=True):
    """End somebody's work for the business, or one's own. Their bookings stay and are the managers' to hand on."""

    business_id: BusinessId
    user_id: UserId


@command(
    "business.set_availability",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("PUT /staff/availability",),
    reply=MemberReply,
    errors=(Invalid, Forbidden, NotFound),
)
class SetAvailability(Command, frozen=True, kw_only=True):
    """Work at these times, in the acting business; managers may say so for others."""

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
    """Deal with a customer no more: no new bookings, no new threads; existing ones run on (SPEC §3)."""

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
    """Deal with a customer again."""

    business_id: BusinessId
    customer_id: UserId


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
    #: ``individual`` when the owner is the only one who does jobs (SPEC §1).
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
