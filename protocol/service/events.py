"""Events of services: what happened, in the past tense."""

from protocol.events import Event, event
from protocol.ids import ServiceId, UserId
from protocol.money import Currency

# Events


@event("service.created")
class ServiceCreated(Event, frozen=True, kw_only=True):
    """A service was created."""

    service_id: ServiceId
    category: str
    price_minor: int
    currency: Currency
    duration_minutes: int
    staff_ids: tuple[UserId, ...]


@event("service.updated")
class ServiceUpdated(Event, frozen=True, kw_only=True):
    """A service changed. ``fields`` names the changed fields; texts are in the row."""

    service_id: ServiceId
    fields: tuple[str, ...]
    price_minor: int
    duration_minutes: int
    is_active: bool


@event("service.deactivated")
class ServiceDeactivated(Event, frozen=True, kw_only=True):
    """A service was deactivated: it cannot be booked any more."""

    service_id: ServiceId


@event("service.staff_changed")
class ServiceStaffChanged(Event, frozen=True, kw_only=True):
    """The staff of a service changed."""

    service_id: ServiceId
    added: tuple[UserId, ...]
    removed: tuple[UserId, ...]
