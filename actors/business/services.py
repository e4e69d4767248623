"""What a business offers, and who does it.

a service:  create ──▶ on offer ◀─ update is_active ── off the market ◀── deactivate
"""

from msgspec import UnsetType
from msgspec.structs import replace

from actors.actor import handles
from actors.business.permissions import Managed
from actors.business.validation import Check, changes, service_reply, service_row
from protocol.errors import LimitReached, NotFound
from protocol.ids import ServiceId
from protocol.service.commands import CreateService, DeactivateService, SetServiceStaff, UpdateService
from protocol.service.events import ServiceCreated, ServiceDeactivated, ServiceStaffChanged, ServiceUpdated
from protocol.service.facts import ServiceRecord
from protocol.service.rows import ServiceRow, ServiceStaffRow
from protocol.service.terms import SERVICES_MAX
from protocol.service.views import ServiceReply

#: What ``UpdateService`` changes in the row just as it is said.
_SETTINGS = (
    *("category_id", "title", "description", "credits_required", "duration_minutes"),
    *("buffer_before_minutes", "buffer_after_minutes", "images", "is_active"),
)


class Services(Managed):
    """The part of a business that its services are."""

    @handles(CreateService)
    def create_service(self, cmd: CreateService) -> ServiceReply:
        """Offer something more. Raises: Invalid, Forbidden, LimitReached."""
        self._managers_only()
        serving = self.state.serving()
        staff_ids = tuple(dict.fromkeys(serving if cmd.staff_ids is None else cmd.staff_ids))
        check = Check()
        check.names(title=cmd.title)
        check.category(cmd.category_id)
        check.currency(cmd.currency, self.state.currency)
        price = check.price(cmd.price, self.state.currency)
        check.staff(staff_ids, serving)
        check.done()
        if self.state.services >= SERVICES_MAX:
            raise LimitReached(limit="services", max=SERVICES_MAX)
        row = service_row(cmd, ServiceId(self.new_id()), self._id, price, self.now)
        event = ServiceCreated(
            service_id=row.id,
            category=row.category,
            price_minor=row.price_minor,
            currency=row.currency,
            duration_minutes=row.duration_minutes,
            staff_ids=staff_ids,
        )
        self._tell(event, *staff_ids)
        self.put(row)
        for staff_id in staff_ids:
            self.put(ServiceStaffRow(service_id=row.id, staff_id=staff_id))
        return service_reply(row, staff_ids)

    @handles(UpdateService, facts=ServiceRecord)
    def update_service(self, cmd: UpdateService, facts: ServiceRecord) -> ServiceReply:
        """Change a service. Raises: Invalid, Forbidden, NotFound."""
        self._managers_only()
        row = self._own_service(cmd.service_id, facts)
        changed = changes(cmd, row, _SETTINGS)
        check = Check()
        check.names(title=cmd.title)
        check.category(cmd.category_id)
        check.currency(cmd.currency, self.state.currency)
        if not isinstance(cmd.price, UnsetType):
            price_minor = check.price(cmd.price, self.state.currency).amount_minor
            if price_minor != row.price_minor:
                changed["price_minor"] = price_minor
        check.done()
        if changed:
            row = replace(row, **changed)
            event = ServiceUpdated(
                service_id=row.id,
                fields=tuple(changed),
                price_minor=row.price_minor,
                duration_minutes=row.duration_minutes,
                is_active=row.is_active,
            )
            self._tell(event, *facts.staff_ids)
            self.put(row)
        return service_reply(row, facts.staff_ids)

    @handles(DeactivateService, facts=ServiceRecord)
    def deactivate_service(self, cmd: DeactivateService, facts: ServiceRecord) -> ServiceReply:
        """Take a service off the market; again is harmless. Raises: Forbidden, NotFound."""
        self._managers_only()
        row = self._own_service(cmd.service_id, facts)
        if row.is_active:
            row = replace(row, is_active=False)
            self._tell(ServiceDeactivated(service_id=row.id), *facts.staff_ids)
            self.put(row)
        return service_reply(row, facts.staff_ids)

    @handles(SetServiceStaff, facts=ServiceRecord)
    def set_service_staff(self, cmd: SetServiceStaff, facts: ServiceRecord) -> ServiceReply:
        """Say who does a service. Raises: Invalid, Forbidden, NotFound."""
        self._managers_only()
        row = self._own_service(cmd.service_id, facts)
        staff_ids = tuple(dict.fromkeys(cmd.staff_ids))
        check = Check()
        check.staff(staff_ids, self.state.serving())
        check.done()
        added = tuple(staff_id for staff_id in staff_ids if staff_id not in facts.staff_ids)
        removed = tuple(staff_id for staff_id in facts.staff_ids if staff_id not in staff_ids)
        if added or removed:
            self._tell(ServiceStaffChanged(service_id=row.id, added=added, removed=removed), *added, *removed)
        for staff_id in added:
            self.put(ServiceStaffRow(service_id=row.id, staff_id=staff_id))
        for staff_id in removed:
            self.drop("service_staff", service_id=row.id, staff_id=staff_id)
        return service_reply(row, staff_ids)

    # Guards

    def _own_service(self, service_id: ServiceId, facts: ServiceRecord) -> ServiceRow:
        """Raises: NotFound."""
        if facts.row is None or facts.row.business_id != self._id:
            raise NotFound(entity="service", id=str(service_id))
        return facts.row
