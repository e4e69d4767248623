"""Instants, and the hours of a week: aware UTC inside, local minutes and an IANA zone where a local day matters.

InstantError (ValueError)
├── InstantMalformed     not RFC 3339, or without an offset
└── InstantOutOfRange    before ``INSTANT_MIN`` or past ``INSTANT_MAX``
HoursInvalid (ValueError)    spans that overlap, run backwards or are too many
UnknownZone (ValueError)     no zone of the IANA database
"""

from datetime import UTC, date, datetime
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo

import tzdata
from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import force_setattr

#: The range of instants; far enough from the calendar's ends that sums with days do not overflow.
INSTANT_MIN = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT_MAX = datetime(2200, 1, 1, tzinfo=UTC)

DAY_MINUTES = 24 * 60
#: A span ends at the latest at the end of the day after the one that it opens on.
CLOSES_MINUTE_MAX = 2 * DAY_MINUTES
SPANS_PER_DAY_MAX = 12
CLOSED_DATES_MAX = 1_000
#: Zones in the cache; the database has about 600 names.
ZONES_MAX = 1_024

#: An instant on the wire: RFC 3339 with an offset. Input must pass through ``to_utc``.
Instant = Annotated[datetime, Meta(tz=True)]
#: The name of an IANA zone, such as ``Europe/Berlin``. The length is for the wire; ``zone_info`` checks the name.
ZoneName = Annotated[str, Meta(min_length=1, max_length=64, description="IANA time zone", examples=["Europe/Berlin"])]

#: The version of the zone rules, as IANA writes it: ``2026f``. The rules are those of the package, never the host's.
ZONES_VERSION: str = tzdata.IANA_VERSION
#: A name in the database that is not a zone: "not set".
_NOT_ZONES = frozenset({"Factory"})


class InstantError(ValueError):
    """An invalid instant. ``code`` says why."""

    code: ClassVar[str] = "instant_error"


class InstantMalformed(InstantError):
    """Not RFC 3339, or without an offset."""

    code = "instant_malformed"


class InstantOutOfRange(InstantError):
    """Before ``INSTANT_MIN`` or past ``INSTANT_MAX``."""

    code = "instant_out_of_range"


class HoursInvalid(ValueError):
    """Spans that overlap, run backwards, or are too many."""

    code: ClassVar[str] = "hours_invalid"


class UnknownZone(ValueError):
    """No zone of the IANA database."""

    code: ClassVar[str] = "unknown_zone"


class LocalSpan(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Open without a break, in minutes of wall clock time from the local midnight that begins the day.

    ``[540, 1020]`` is nine to five; ``[1080, 1560]`` is six in the evening until two in the morning.
    """

    opens_minute: int
    #: Half open: closed from this minute on. Past 1440 it lies on the next day.
    closes_minute: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens_minute < DAY_MINUTES:
            raise HoursInvalid("a span opens at minute 0 to 1439 of its day")
        if not self.opens_minute < self.closes_minute <= CLOSES_MINUTE_MAX:
            raise HoursInvalid("a span closes after it opens, by the end of the next day")


#: The spans of one weekday in order; gaps between them are breaks, no span is a day off.
DaySpans = Annotated[tuple[LocalSpan, ...], Meta(max_length=SPANS_PER_DAY_MAX)]


class OpenHours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a business is open, or a staff member works: a weekly schedule, without the closed dates.

    A span belongs to the day on which it opens: a closed Saturday neither ends Friday's span at midnight nor changes
    Sunday's spans.
    """

    zone: ZoneName
    #: Monday first, as in ``date.weekday()``.
    week: tuple[DaySpans, DaySpans, DaySpans, DaySpans, DaySpans, DaySpans, DaySpans]
    #: Holidays, or days off; sorted and without duplicates, so that equal hours have equal bytes.
    closed_dates: Annotated[tuple[date, ...], Meta(max_length=CLOSED_DATES_MAX)] = ()

    def __post_init__(self) -> None:
        zone_info(self.zone)
        for spans in self.week:
            if len(spans) > SPANS_PER_DAY_MAX:
                raise HoursInvalid(f"a day has at most {SPANS_PER_DAY_MAX} spans")
            for before, after in pairwise(spans):
                if after.opens_minute < before.closes_minute:
                    raise HoursInvalid("the spans of a day are in order and do not overlap")
        if len(self.closed_dates) > CLOSED_DATES_MAX:
            raise HoursInvalid(f"at most {CLOSED_DATES_MAX} dates are closed")
        force_setattr(self, "closed_dates", tuple(sorted(set(self.closed_dates))))


@lru_cache(maxsize=ZONES_MAX)
def zone_info(name: str) -> ZoneInfo:
    """Return the zone of that name, loaded once. Raises: UnknownZone."""
    if name not in zone_names():
        raise UnknownZone(f"{name!r:.70} is not an IANA time zone")
    # ``ZoneInfo(name)`` would read the host's rules first, whatever their age.
    with files(tzdata).joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


@cache
def zone_names() -> frozenset[str]:
    """Return the names of all zones."""
    return frozenset(files(tzdata).joinpath("zones").read_text("utf-8").split()) - _NOT_ZONES


def to_utc(at: datetime) -> datetime:
    """Convert an aware instant to UTC. Raises: InstantMalformed if it is naive, InstantOutOfRange."""
    if at.tzinfo is None:
        raise InstantMalformed("the instant lacks its offset from UTC")
    # Comparing aware instants cannot overflow, while a conversion can.
    if not INSTANT_MIN <= at <= INSTANT_MAX:
        raise InstantOutOfRange(f"instants lie between {INSTANT_MIN:%Y} and {INSTANT_MAX:%Y}")
    return at.astimezone(UTC)


def parse_instant(text: str) -> datetime:
    """Parse RFC 3339, like ``2026-03-29T09:30:00+02:00``, to UTC. Raises: InstantMalformed, InstantOutOfRange."""
    try:
        at = convert(text, Instant)
    except ValidationError as error:
        raise InstantMalformed("the instant is not RFC 3339 with an offset") from error
    return to_utc(at)
