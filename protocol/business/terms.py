"""Terms of businesses: bounds, enums, small structs and refusals."""

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.effects import UniqueKey
from protocol.errors import Conflict
from protocol.instants import CLOSED_DATES_MAX, DaySpans, LocalSpan, OpenHours
from protocol.roles import Role
from protocol.texts import TextKind, kind

#: Members of one business, the owner included.
MEMBERS_MAX = 50


#: Invitations that a business keeps: open ones, and those declined or withdrawn that have not expired yet.
INVITATIONS_MAX = 50


#: Open invitations of one person, of all businesses.
INVITATIONS_OF_PERSON_MAX = 20


#: Businesses that one person owns.
OWNED_MAX = 16


#: How long an invitation can be accepted. Until then the business cannot invite the same person again.
INVITATION_LIFETIME = timedelta(days=14)


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


class InvitationStatus(StrEnum):
    """What an invitation's business sees of it."""

    INVITED = "invited"
    #: The invited person accepted; they are a member within moments.
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


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


class AlreadyInvited(Conflict):
    """The business has invited this person before, and that invitation has not expired. Fields: ``status``."""


#: A person's place for an open invitation.
INVITATION_PLACE = UniqueKey("invitation_place", taken=Conflict)


#: An owner's place for a business.
OWNED_PLACE = UniqueKey("owned_place", taken=Conflict)
