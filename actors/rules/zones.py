"""Conversion between local times and instants, also on the days when the clocks change (rule K-2)."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from protocol.instants import to_utc, zone_info

_SECOND = timedelta(seconds=1)


class LocalTimeError(ValueError):
    """A local time that no instant has. ``code`` says why."""

    code: ClassVar[str] = "local_time_error"

    def __init__(self, local: datetime, zone: str) -> None:
        super().__init__(f"{local.isoformat()} in {zone}")
        self.local = local
        self.zone = zone


class NonexistentLocalTime(LocalTimeError):
    """The clock change in spring skips it."""

    code = "nonexistent_local_time"


class OffsetMismatch(LocalTimeError):
    """The zone does not have the given offset at that local time."""

    code = "offset_mismatch"


def to_instant(local: datetime, zone: str, offset: timedelta | None = None) -> datetime:
    """Return the instant in UTC at which the wall clock of the zone shows a local time.

    Args:
        local: the wall clock time, naive.
        offset: the expected offset from UTC. Without it an ambiguous time, in autumn, means the earlier instant.

    Raises: UnknownZone, NonexistentLocalTime, OffsetMismatch, InstantOutOfRange.
    """
    info = zone_info(zone)
    first, second = _offsets(local, info)
    if first < second:
        raise NonexistentLocalTime(local, zone)
    if offset not in (None, first, second):
        raise OffsetMismatch(local, zone)
    return to_utc(local.replace(tzinfo=info, fold=int(offset not in (None, first))))


def to_local(at: datetime, zone: str) -> datetime:
    """Return the aware local time that the wall clock of the zone shows at an instant."""
    return at.astimezone(zone_info(zone))


def first_instant(local: datetime, zone: str) -> datetime:
    """Return the first instant in UTC at which the wall clock shows a naive local time or a later one.

    The bounds of opening hours and local days use this. Unlike ``to_instant`` it always has a result: the moment of the
    clock change for a skipped time. The result never decreases for later local times.
    """
    info = zone_info(zone)
    shown = datetime.combine(local, local.time(), info)
    at = shown.astimezone(UTC)
    if at.astimezone(info) == shown:
        return at
    first, second = _offsets(local, info)
    return _clock_change((local - second).replace(tzinfo=UTC), (local - first).replace(tzinfo=UTC), info)


def _offsets(local: datetime, info: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Return the offsets for fold 0 and 1: equal as a rule, falling if ambiguous, rising if nonexistent."""
    if local.tzinfo is not None:
        raise AssertionError("a local time is naive")
    first = local.replace(tzinfo=info, fold=0).utcoffset()
    second = local.replace(tzinfo=info, fold=1).utcoffset()
    if first is None or second is None:
        raise AssertionError("a zone of the database always has an offset")
    return first, second


def _clock_change(before: datetime, after: datetime, info: ZoneInfo) -> datetime:
    """Find the change of offset after ``before`` and not past ``after``, by binary search, to the second."""
    offset = before.astimezone(info).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        if middle.astimezone(info).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
