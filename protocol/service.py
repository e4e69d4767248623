"""Services: what a business offers, who of its staff does it, what it costs, and when it can be booked."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from protocol.business import CategoryId, Description
from protocol.catalogue import PAGE_LIMIT_DEFAULT, Command, PageLimit, Query, View, command, query
from protocol.errors import Forbidden, Invalid, LimitReached, NotFound
from protocol.events import Event, Row
from protocol.ids import BusinessId, Kind, ServiceId, UserId
from protocol.money import Currency
from protocol.roles import PROVIDERS, PUBLIC

#: Services of one business, the inactive ones included.
SERVICES_MAX = 100
IMAGES_MAX = 10
#: Staff members of one service.
SERVICE_STAFF_MAX = 50
DURATION_MINUTES_MAX = 31 * 24 * 60
BUFFER_MINUTES_MAX = 24 * 60
BUFFER_AFTER_MINUTES_DEFAULT = 15
CREDITS_MAX = 1_000_000
#: The longest range of days that one look for slots takes in.
SLOT_RANGE_DAYS_MAX = 31
SLOT_RANGE_DAYS_DEFAULT = 7
#: The same where every start is explained.
EXPLAINED_DAYS_MAX = 2

Title = Annotated[str, Meta(min_length=1, max_length=200)]
#: An amount in major units, as clients write it.
Price = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]
Credits = Annotated[int, Meta(ge=0, le=CREDITS_MAX)]
Duration = Annotated[int, Meta(ge=1, le=DURATION_MINUTES_MAX)]
Buffer = Annotated[int, Meta(ge=0, le=BUFFER_MINUTES_MAX)]
Image = Annotated[str, Meta(min_length=1, max_length=500, description="Where the picture is")]
Images = Annotated[tuple[Image, ...], Meta(max_length=IMAGES_MAX)]
StaffIds = Annotated[tuple[UserId, ...], Meta(max_length=SERVICE_STAFF_MAX)]
#: A date on the business's calendar, or an instant with its offset.
DateOrInstant = Annotated[str, Meta(max_length=40, examples=["2026-03-29", "2026-03-29T09:30:00+02:00"])]


# Rows


class ServiceRow(Row, frozen=True, kw_only=True):
    """A service as queries see it."""

    table: ClassVar[str] = "services"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: ServiceId
    business_id: BusinessId
    category: str
    title: str
    description: str
    price_minor: int
    currency: Currency
    credits_required: int
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    images: tuple[str, ...]
    is_active: bool
    created_at: datetime


class ServiceStaffRow(Row, frozen=True, kw_only=True):
    """A staff member does a service."""

    table: ClassVar[str] = "service_staff"
    key: ClassVar[tuple[str, ...]] = ("service_id", "staff_id")

    service_id: ServiceId
    staff_id: UserId


class ServiceRecord(Struct, frozen=True, kw_only=True):
    """Facts: the service's own row and who does it. The business's version check keeps them from going stale."""

    row: ServiceRow | None
    staff_ids: tuple[UserId, ...]


# Events


class ServiceCreated(Event, frozen=True, kw_only=True):
    """A business offers something more."""

    service_id: ServiceId
    category: str
    price_minor: int
    currency: Currency
    duration_minutes: int
    staff_ids: tuple[UserId, ...]


class ServiceUpdated(Event, frozen=True, kw_only=True):
    """A service changed. ``fields`` names what; texts are in the row."""

    service_id: ServiceId
    fields: tuple[str, ...]
    price_minor: int
    duration_minutes: int
    is_active: bool


class ServiceDeactivated(Event, frozen=True, kw_only=True):
    """A service cannot be booked any more."""

    service_id: ServiceId


class ServiceStaffChanged(Event, frozen=True, kw_only=True):
    """Other people do the service."""

    service_id: ServiceId
    added: tuple[UserId, ...]
    removed: tuple[UserId, ...]


# Commands, all to the acting business of the token


class ServiceReply(View, frozen=True, kw_only=True):
    """A service right after a command; its texts are for the query to tell."""

    id: ServiceId
    business_id: BusinessId
    category_id: str
    price: float | int
    price_minor: int
    currency: Currency
    credits_required: int
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    is_active: bool
    staff_ids: tuple[UserId, ...]


@command(
    "service.create",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    status=201,
    routes=("POST /services/",),
    reply=ServiceReply,
    errors=(Invalid, Forbidden, LimitReached),
)
class CreateService(Command, frozen=True, kw_only=True):
    """Offer a service in the acting business."""

    category_id: CategoryId
    title: Title
    description: Description = ""
    price: Price
    #: That of the business; may be said again, but not otherwise.
    currency: Currency | None = None
    credits_required: Credits = 0
    duration_minutes: Duration
    buffer_before_minutes: Buffer = 0
    buffer_after_minutes: Buffer = BUFFER_AFTER_MINUTES_DEFAULT
    images: Images = ()
    #: None: everybody who does jobs for the business now.
    staff_ids: StaffIds | None = None


@command(
    "service.update",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("PUT /services/{service_id}/",),
    reply=ServiceReply,
    errors=(Invalid, Forbidden, NotFound),
)
class UpdateService(Command, frozen=True, kw_only=True):
    """Change a service of the acting business; what is left out stays. Bookings made before keep their terms."""

    service_id: ServiceId
    category_id: CategoryId | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    credits_required: Credits | UnsetType = UNSET
    duration_minutes: Duration | UnsetType = UNSET
    buffer_before_minutes: Buffer | UnsetType = UNSET
    buffer_after_minutes: Buffer | UnsetType = UNSET
    images: Images | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


@command(
    "service.deactivate",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("DELETE /services/{service_id}/",),
    reply=ServiceReply,
    errors=(Forbidden, NotFound),
)
class DeactivateService(Command, frozen=True, kw_only=True):
    """Take a service of the acting business off the market. Bookings made before stay; an update brings it back."""

    service_id: ServiceId


@command(
    "service.set_staff",
    actor=Kind.BUSINESS,
    by=PROVIDERS,
    routes=("PUT /services/{service_id}/staff",),
    reply=ServiceReply,
    errors=(Invalid, Forbidden, NotFound),
)
class SetServiceStaff(Command, frozen=True, kw_only=True):
    """Say who does a service of the acting business: these, and nobody else."""

    service_id: ServiceId
    staff_ids: StaffIds


# Queries


class ServiceView(View, frozen=True, kw_only=True):
    """A service as everybody may see it (seed 002 phase 2)."""

    id: ServiceId
    business_id: BusinessId
    business_name: str
    #: The owner of the business.
    provider_id: UserId
    category_id: str
    title: str
    description: str
    price: float | int
    price_minor: int
    currency: Currency
    credits_required: int
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    images: tuple[str, ...]
    city: str
    zone: str
    latitude: float | None
    longitude: float | None
    is_active: bool
    created_at: datetime


class ServicePage(View, frozen=True, kw_only=True):
    """A page of services, the newest first."""

    items: tuple[ServiceView, ...]
    #: None: this was the last page.
    next_cursor: str | None


class CategoryView(View, frozen=True, kw_only=True):
    """A category, and how much there is in it."""

    id: str
    name: str
    icon: str
    color: str
    #: Services that can be booked now.
    services: int


class CategoryList(View, frozen=True, kw_only=True):
    """All categories, in the order of display."""

    items: tuple[CategoryView, ...]


@query("service.list", by=PUBLIC, view=ServicePage, routes=("GET /services/",), errors=(Forbidden,))
class ListServices(Query, frozen=True, kw_only=True):
    """Services on offer, the newest first."""

    category: CategoryId | None = None
    #: Words of title, description or business name; all of them must be there.
    search: Annotated[str, Meta(max_length=100)] | None = None
    business_id: BusinessId | None = None
    #: In major units of the service's currency.
    price_min: Price | None = None
    price_max: Price | None = None
    currency: Currency | None = None
    #: False: what is off the market; only for managers of the business asked about.
    is_active: bool = True
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None


@query("service.get", by=PUBLIC, view=ServiceView, routes=("GET /services/{service_id}/",))
class GetService(Query, frozen=True, kw_only=True):
    """One service."""

    service_id: ServiceId


@query("service.categories", by=PUBLIC, view=CategoryList, routes=("GET /services/categories/",))
class ListCategories(Query, frozen=True, kw_only=True):
    """All categories, with names in a language."""

    lang: Annotated[str, Meta(min_length=2, max_length=8)] = "en"


# Slots


class Slot(View, frozen=True, kw_only=True):
    """A start that can be booked, and with whom."""

    start_at: datetime
    end_at: datetime
    staff_ids: tuple[UserId, ...]


class StaffSlots(View, frozen=True, kw_only=True):
    """One staff member's free starts, and what the service costs with them."""

    staff_id: UserId
    is_owner: bool
    total_amount: float | int
    total_amount_minor: int
    starts: tuple[datetime, ...]


class Explanation(View, frozen=True, kw_only=True):
    """Why a start can be booked with one staff member, or not."""

    start_at: datetime
    staff_id: UserId
    #: None: it can be booked.
    reason: Literal["blocked", "lead_time", "too_far_ahead", "hours", "staff_off", "overrun", "busy", "buffer"] | None


class SlotsView(View, frozen=True, kw_only=True):
    """When a service can be booked."""

    service_id: ServiceId
    business_id: BusinessId
    zone: str
    currency: Currency
    duration_minutes: int
    step_minutes: int
    from_at: datetime
    to_at: datetime
    #: Everybody's free starts together, earliest first.
    slots: tuple[Slot, ...]
    staff: tuple[StaffSlots, ...]
    #: More starts were free than one answer holds: ask on from the last one.
    truncated: bool
    #: Every start of the grid for every staff member, if asked for; empty otherwise.
    explanations: tuple[Explanation, ...]


@query("service.slots", by=PUBLIC, view=SlotsView, routes=("GET /services/{service_id}/slots",))
class FindSlots(Query, frozen=True, kw_only=True, rename={"from_": "from"}):
    """When a service can be booked, with anybody or with one staff member."""

    service_id: ServiceId
    #: None: now.
    from_: DateOrInstant | None = None
    #: Half open; a date is meant whole. None: a week later.
    to: DateOrInstant | None = None
    staff_id: UserId | None = None
    #: Say of every start of the grid why it cannot be booked; for 2 days at most. ``from`` itself is always among them.
    explain: bool = False
