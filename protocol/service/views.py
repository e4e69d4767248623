"""Views of services, and the queries that return them."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from protocol.business.terms import CategoryId
from protocol.errors import Forbidden
from protocol.ids import BookingId, BusinessId, ServiceId, UserId
from protocol.money import Currency
from protocol.registry import PAGE_LIMIT_DEFAULT, PageLimit, Query, View, query
from protocol.roles import PUBLIC
from protocol.service.terms import SLOT_SEARCHES, SLOT_SEARCHES_IN_ALL, DateOrInstant, Price
from protocol.user.terms import Language

# Replies


class ServiceReply(View, frozen=True, kw_only=True):
    """The reply to a command about a service; its texts are in the query's view."""

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


# Queries


class ServiceView(View, frozen=True, kw_only=True):
    """The public view of a service (rule F-3)."""

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
    """A category, and its number of services."""

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
    """Active services, the newest first."""

    category: CategoryId | None = None
    #: Words of title, description or business name; all of them must match.
    search: Annotated[str, Meta(max_length=100)] | None = None
    business_id: BusinessId | None = None
    #: In major units of the service's currency.
    price_min: Price | None = None
    price_max: Price | None = None
    currency: Currency | None = None
    #: False: inactive services; only for managers of the business that is queried.
    is_active: bool = True
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None


@query("service.get", by=PUBLIC, view=ServiceView, routes=("GET /services/{service_id}/",))
class GetService(Query, frozen=True, kw_only=True):
    """One service."""

    service_id: ServiceId


@query("service.categories", by=PUBLIC, view=CategoryList, routes=("GET /services/categories/",))
class ListCategories(Query, frozen=True, kw_only=True):
    """All categories, with their names in one language."""

    lang: Language = "en"


# Slots


class Slot(View, frozen=True, kw_only=True):
    """A bookable start, and the staff members who are free."""

    start_at: datetime
    end_at: datetime
    staff_ids: tuple[UserId, ...]


class StaffSlots(View, frozen=True, kw_only=True):
    """One staff member's free starts, and the price of the service with them."""

    staff_id: UserId
    is_owner: bool
    total_amount: float | int
    total_amount_minor: int
    starts: tuple[datetime, ...]


class Explanation(View, frozen=True, kw_only=True):
    """Whether a start can be booked with one staff member, or why not."""

    start_at: datetime
    staff_id: UserId
    #: None: it can be booked.
    reason: Literal["blocked", "lead_time", "too_far_ahead", "hours", "staff_off", "overrun", "busy", "buffer"] | None


class OwnHold(View, frozen=True, kw_only=True):
    """An unpaid booking of the reader's own, which can still be paid."""

    booking_id: BookingId
    number: str
    start_at: datetime
    end_at: datetime


class SlotsView(View, frozen=True, kw_only=True):
    """The bookable starts of a service."""

    service_id: ServiceId
    business_id: BusinessId
    zone: str
    currency: Currency
    duration_minutes: int
    step_minutes: int
    from_at: datetime
    to_at: datetime
    #: The free starts of all staff members, earliest first.
    slots: tuple[Slot, ...]
    staff: tuple[StaffSlots, ...]
    #: Whether there may be more free starts, or explanations: continue from ``next_from``.
    truncated: bool
    #: The ``from`` of the next search, with the same ``to``; None: nothing was left out.
    next_from: datetime | None = None
    #: Every start of the grid for every staff member, if requested; empty otherwise.
    explanations: tuple[Explanation, ...]
    #: The reader's own unpaid bookings in the range, at any business.
    own_holds: tuple[OwnHold, ...] = ()


@query(
    "service.slots",
    by=PUBLIC,
    view=SlotsView,
    routes=("GET /services/{service_id}/slots",),
    rate=SLOT_SEARCHES,
    rate_in_all=SLOT_SEARCHES_IN_ALL,
)
class FindSlots(Query, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The bookable starts of a service, with any or with one staff member."""

    service_id: ServiceId
    #: None: now.
    from_: DateOrInstant | None = None
    #: Exclusive; a date includes the whole day. None: a week later.
    to: DateOrInstant | None = None
    staff_id: UserId | None = None
    #: Explain for every start of the grid, and for ``from``, why it cannot be booked; for 2 days at most.
    explain: bool = False
