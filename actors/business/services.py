"""The services of a business, and the staff who do them.

a service:  create ──▶ active ◀─ update is_active ── inactive ◀── deactivate
"""

from msgspec import UnsetType
from msgspec.structs import replace

from actors.actor import Actor, applies, handles
from actors.business.permissions import emit_to_managers, managers_only
from actors.business.state import BusinessState, Services
from actors.business.validation import Validator, changes, service_reply, service_row
from protocol.errors import LimitReached, NotFound
from protocol.events import Event
from protocol.ids import BusinessId, ServiceId
from protocol.service.commands import CreateService, DeactivateService, SetServiceStaff, UpdateService
from protocol.service.events import ServiceCreated, ServiceDeactivated, ServiceStaffChanged, ServiceUpdated
from protocol.service.facts import ServiceRecord
from protocol.service.rows import ServiceRow, ServiceStaffRow
from protocol.service.terms import SERVICES_MAX
from protocol.service.views import ServiceReply

#: Fields of ``UpdateService`` that are copied into the row.
_SETTINGS = (
    *("category_id", "title", "description", "credits_required", "duration_minutes"),
    *("buffer_before_minutes", "buffer_after_minutes", "images", "is_active"),
)


#: This part of the state.
FIELD = "services"


@handles(CreateService)
def create_service(business: Actor[BusinessState], cmd: CreateService) -> ServiceReply:
    """Create a service. Raises: Invalid, Forbidden, LimitReached."""
    managers_only(business)
    serving = business.state.serving()
    staff_ids = tuple(dict.fromkeys(serving if cmd.staff_ids is None else cmd.staff_ids))
    check = Validator()
    check.names(title=cmd.title)
    check.category(cmd.category_id)
    check.currency(cmd.currency, business.state.currency)
    price = check.price(cmd.price, business.state.currency)
    check.staff(staff_ids, serving)
    check.raise_problems()
    if business.state.services.made >= SERVICES_MAX:
        raise LimitReached(limit="services", max=SERVICES_MAX)
    row = service_row(cmd, ServiceId(business.new_id()), BusinessId(business.actor_id), price, business.now)
    event = ServiceCreated(
        service_id=row.id,
        category=row.category,
        price_minor=row.price_minor,
        currency=row.currency,
        duration_minutes=row.duration_minutes,
        staff_ids=staff_ids,
    )
    emit_to_managers(business, event, *staff_ids)
    business.put(row)
    for staff_id in staff_ids:
        business.put(ServiceStaffRow(service_id=row.id, staff_id=staff_id))
    return service_reply(row, staff_ids)


def _service_id(business: Actor[BusinessState], cmd: UpdateService | DeactivateService | SetServiceStaff) -> ServiceId:
    return cmd.service_id


@handles(UpdateService, facts=ServiceRecord, asks=_service_id)
def update_service(business: Actor[BusinessState], cmd: UpdateService, facts: ServiceRecord) -> ServiceReply:
    """Change a service. Raises: Invalid, Forbidden, NotFound."""
    managers_only(business)
    row = _own_service(business, cmd.service_id, facts)
    changed = changes(cmd, row, _SETTINGS)
    check = Validator()
    check.names(title=cmd.title)
    check.category(cmd.category_id)
    check.currency(cmd.currency, business.state.currency)
    if not isinstance(cmd.price, UnsetType):
        price_minor = check.price(cmd.price, business.state.currency).amount_minor
        if price_minor != row.price_minor:
            changed["price_minor"] = price_minor
    check.raise_problems()
    if changed:
        row = replace(row, **changed)
        event = ServiceUpdated(
            service_id=row.id,
            fields=tuple(changed),
            price_minor=row.price_minor,
            duration_minutes=row.duration_minutes,
            is_active=row.is_active,
        )
        emit_to_managers(business, event, *facts.staff_ids)
        business.put(row)
    return service_reply(row, facts.staff_ids)


@handles(DeactivateService, facts=ServiceRecord, asks=_service_id)
def deactivate_service(business: Actor[BusinessState], cmd: DeactivateService, facts: ServiceRecord) -> ServiceReply:
    """Deactivate a service; repeating it does nothing. Raises: Forbidden, NotFound."""
    managers_only(business)
    row = _own_service(business, cmd.service_id, facts)
    if row.is_active:
        row = replace(row, is_active=False)
        emit_to_managers(business, ServiceDeactivated(service_id=row.id), *facts.staff_ids)
        business.put(row)
    return service_reply(row, facts.staff_ids)


@handles(SetServiceStaff, facts=ServiceRecord, asks=_service_id)
def set_service_staff(business: Actor[BusinessState], cmd: SetServiceStaff, facts: ServiceRecord) -> ServiceReply:
    """Set the staff of a service. Raises: Invalid, Forbidden, NotFound."""
    managers_only(business)
    row = _own_service(business, cmd.service_id, facts)
    staff_ids = tuple(dict.fromkeys(cmd.staff_ids))
    check = Validator()
    check.staff(staff_ids, business.state.serving())
    check.raise_problems()
    added = tuple(staff_id for staff_id in staff_ids if staff_id not in facts.staff_ids)
    removed = tuple(staff_id for staff_id in facts.staff_ids if staff_id not in staff_ids)
    if added or removed:
        emit_to_managers(
            business, ServiceStaffChanged(service_id=row.id, added=added, removed=removed), *added, *removed
        )
    for staff_id in added:
        business.put(ServiceStaffRow(service_id=row.id, staff_id=staff_id))
    for staff_id in removed:
        business.drop("service_staff", service_id=row.id, staff_id=staff_id)
    return service_reply(row, staff_ids)


@applies(ServiceCreated)
def _created(services: Services, event: ServiceCreated) -> Services:
    return Services(services.made + 1)


@applies(ServiceUpdated, ServiceDeactivated, ServiceStaffChanged)
def _kept_in_rows(services: Services, event: Event) -> Services:
    return services


# Guards


def _own_service(business: Actor[BusinessState], service_id: ServiceId, facts: ServiceRecord) -> ServiceRow:
    """Raises: NotFound."""
    if facts.row is None or facts.row.business_id != BusinessId(business.actor_id):
        raise NotFound(entity="service", id=str(service_id))
    return facts.row
