"""Validation of commands about a business and its services, and the rows made from them."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct

from actors.rules.commission import COMMISSION_BP_DEFAULT
from actors.rules.pricing import PRICE_MINOR_MAX
from actors.rules.texts import text_problem
from protocol.business.commands import RegisterBusiness
from protocol.business.rows import BusinessRow
from protocol.business.terms import Week
from protocol.categories import CATEGORIES
from protocol.errors import Invalid
from protocol.ids import BusinessId, ServiceId, UserId
from protocol.instants import HoursInvalid, OpenHours, UnknownZone, zone_info
from protocol.money import AmountTooLarge, Money, MoneyError, check_currency, from_major, major_number
from protocol.roles import Role
from protocol.service.commands import CreateService
from protocol.service.rows import ServiceRow
from protocol.service.views import ServiceReply

#: Wire name → column, where they differ.
_COLUMNS = {"category_id": "category"}


class Validator:
    """Collects the problems of a command's fields; ``raise_problems`` raises them all at once."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}

    def raise_problems(self) -> None:
        """Raises: Invalid."""
        if self._problems:
            raise Invalid(**self._problems)

    def add(self, field: str, problem: str) -> None:
        """Add the problem of a field; the first one counts."""
        self._problems.setdefault(field, problem)

    def names(self, **texts: Any) -> None:
        """Names are one line of visible text; ones that are not given are valid."""
        for field, text in texts.items():
            if text is not UNSET and (problem := text_problem(text.strip(), lines=False)):
                self.add(field, problem)

    def category(self, category_id: Any) -> None:
        """The category exists, if one is given."""
        if category_id is not UNSET and category_id not in CATEGORIES:
            self.add("category_id", "unknown_category")

    def zone(self, zone: Any) -> None:
        """The zone exists, if one is given."""
        if zone is not UNSET:
            try:
                zone_info(zone)
            except UnknownZone as unknown:
                self.add("zone", unknown.code)

    def currency(self, currency: Any, fixed: str | None = None) -> None:
        """The currency exists, and is the one that the business has, if one is given."""
        if currency is UNSET or currency is None:
            return
        try:
            check_currency(currency)
        except MoneyError as unknown:
            self.add("currency", unknown.code)
            return
        if fixed is not None and currency != fixed:
            self.add("currency", "fixed")

    def price(self, price: float | int, currency: str) -> Money:
        """The price; 0 if it is invalid."""
        try:
            found = from_major(price, currency)
        except MoneyError as error:
            self.add("price", error.code)
            return Money(0, currency)
        if found.amount_minor > PRICE_MINOR_MAX:
            self.add("price", AmountTooLarge.code)
        return found

    def hours(self, field: str, week: Week | None, zone: str) -> OpenHours | None:
        """The hours in the zone; None if none are given or they are invalid."""
        try:
            return week.in_zone(zone) if week else None
        except HoursInvalid as error:
            self.add(field, error.code)
        except UnknownZone:
            pass  # the zone has a problem of its own
        return None

    def place(self, latitude: float | None, longitude: float | None) -> None:
        """Both coordinates are given, or neither."""
        if (latitude is None) != (longitude is None):
            self.add("latitude" if latitude is None else "longitude", "missing")

    def manager_right(self, role: Role, manager: bool) -> None:
        """Only employees can get the manager right; the owner always has it (rule P-2)."""
        if manager and role is not Role.EMPLOYEE:
            self.add("manager", "employees_only")

    def staff(self, staff_ids: Iterable[UserId], serving: Collection[UserId]) -> None:
        """All of these users do jobs for the business."""
        if any(staff_id not in serving for staff_id in staff_ids):
            self.add("staff_ids", "not_serving")


def changes(command: Struct, row: Struct, names: Iterable[str]) -> dict[str, Any]:
    """Return column → new value for the fields of a command that differ from the row."""
    given = {_COLUMNS.get(name, name): _stripped(getattr(command, name)) for name in names}
    return {name: value for name, value in given.items() if value is not UNSET and value != getattr(row, name)}


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def business_row(
    cmd: RegisterBusiness, business_id: BusinessId, owner_id: UserId, hours: OpenHours, now: datetime
) -> BusinessRow:
    """Make the row of a new business."""
    return BusinessRow(
        id=business_id,
        owner_id=owner_id,
        name=cmd.name.strip(),
        category=cmd.category_id,
        description=cmd.description.strip(),
        city=cmd.city.strip(),
        zone=cmd.zone,
        currency=cmd.currency,
        latitude=cmd.latitude,
        longitude=cmd.longitude,
        hours=hours,
        lead_time_minutes=cmd.lead_time_minutes,
        commission_bp=COMMISSION_BP_DEFAULT,
        auto_approve=cmd.auto_approve,
        is_active=True,
        created_at=now,
    )


def service_row(
    cmd: CreateService, service_id: ServiceId, business_id: BusinessId, price: Money, now: datetime
) -> ServiceRow:
    """Make the row of a new service."""
    return ServiceRow(
        id=service_id,
        business_id=business_id,
        category=cmd.category_id,
        title=cmd.title.strip(),
        description=cmd.description.strip(),
        price_minor=price.amount_minor,
        currency=price.currency,
        credits_required=cmd.credits_required,
        duration_minutes=cmd.duration_minutes,
        buffer_before_minutes=cmd.buffer_before_minutes,
        buffer_after_minutes=cmd.buffer_after_minutes,
        images=cmd.images,
        is_active=True,
        created_at=now,
    )


def service_reply(row: ServiceRow, staff_ids: tuple[UserId, ...]) -> ServiceReply:
    """Make the reply to a command that created or changed a service."""
    return ServiceReply(
        id=row.id,
        business_id=row.business_id,
        category_id=row.category,
        price=major_number(row.price_minor, row.currency),
        price_minor=row.price_minor,
        currency=row.currency,
        credits_required=row.credits_required,
        duration_minutes=row.duration_minutes,
        buffer_before_minutes=row.buffer_before_minutes,
        buffer_after_minutes=row.buffer_after_minutes,
        is_active=row.is_active,
        staff_ids=staff_ids,
    )
