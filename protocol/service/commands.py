"""Commands about services, to businesses."""

from msgspec import UNSET, UnsetType

from protocol.business.terms import CategoryId, Description
from protocol.errors import Forbidden, Invalid, LimitReached, NotFound
from protocol.ids import Kind, ServiceId
from protocol.money import Currency
from protocol.registry import Command, command
from protocol.roles import PROVIDERS
from protocol.service.terms import (
    BUFFER_AFTER_MINUTES_DEFAULT,
    Buffer,
    Credits,
    Duration,
    Images,
    Price,
    StaffIds,
    Title,
)
from protocol.service.views import ServiceReply


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
    """Create a service of the acting business."""

    category_id: CategoryId
    title: Title
    description: Description = ""
    price: Price
    #: If given, it must be the currency of the business.
    currency: Currency | None = None
    credits_required: Credits = 0
    duration_minutes: Duration
    buffer_before_minutes: Buffer = 0
    buffer_after_minutes: Buffer = BUFFER_AFTER_MINUTES_DEFAULT
    images: Images = ()
    #: None: all present staff of the business.
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
    """Change a service of the acting business; omitted fields stay. Existing bookings keep their terms."""

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
    """Deactivate a service of the acting business. Existing bookings stay; an update can activate it again."""

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
    """Set the staff of a service of the acting business."""

    service_id: ServiceId
    staff_ids: StaffIds
