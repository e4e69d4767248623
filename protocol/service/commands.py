"""Commands to services."""

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
