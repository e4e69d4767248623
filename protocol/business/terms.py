"""Terms of businesses: bounds, enums, small structs and refusals."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.errors import Conflict
from protocol.instants import CLOSED_DATES_MAX, DaySpans, LocalSpan, OpenHours
from protocol.roles import Role
from protocol.texts import TextKind, kind

#: Members of one business, the owner included.
MEMBERS_MAX = 50


LEAD_TIME_MINUTES_MAX = 365 * 24 * 60


BusinessName = Annotated[str, Meta(min_length=1, max_length=120, extra=kind(TextKind.NAME))]


Description = Annotated[str, Meta(max_length=4000)]


City = Annotated[str, Meta(min_length=1, max_length=120, extra=kind(TextKind.NAME))]


CategoryId = Annotated[str, Meta(min_length=1, max_length=40, description="The id of a category", examples=["hair"])]


LeadTime = Annotated[int, Meta(ge=0, le=LEAD_TIME_MINUTES_MAX)]


Bio = Annotated[str, Meta(max_length=2000)]


_NINE_TO_FIVE = (LocalSpan(9 * 60, 17 * 60),)


class MemberRole(StrEnum):
    """The roles that a business can grant; the owner has theirs from the start."""

    EMPLOYEE = Role.EMPLOYEE.value
    STAFF = Role.STAFF.value


class Week(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weekly hours in the business's own zone."""

    #: Monday first; minutes of wall clock time, like ``[[540, 720], [780, 1080]]``.
    week: tuple[DaySpans, DaySpans, DaySpans, DaySpans, DaySpans, DaySpans, DaySpans]
    closed_dates: Annotated[tuple[date, ...], Meta(max_length=CLOSED_DATES_MAX)] = ()

    def in_zone(self, zone: str) -> OpenHours:
        """Raises: HoursInvalid, UnknownZone."""
        return OpenHours(zone=zone, week=self.week, closed_dates=self.closed_dates)


#: The default opening hours.
DEFAULT_WEEK = Week(week=(*(_NINE_TO_FIVE,) * 5, (), ()))


class OwnerStays(Conflict):
    """The owner can neither be removed nor take another role."""


class AlreadyMember(Conflict):
    """The user is a member already."""
