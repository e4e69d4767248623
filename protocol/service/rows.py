"""Read rows of services, written in the commit of their decision."""

from datetime import datetime
from typing import ClassVar

from protocol.events import Row
from protocol.ids import BusinessId, ServiceId, UserId
from protocol.money import Currency

# Rows


class ServiceRow(Row, frozen=True, kw_only=True):
    """A service."""

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
    """A staff member of a service."""

    table: ClassVar[str] = "service_staff"
    key: ClassVar[tuple[str, ...]] = ("service_id", "staff_id")

    service_id: ServiceId
    staff_id: UserId
