"""When a user may be disturbed, and when the digest is due, by the clock of the user's zone (rule N-2).

On days when clocks change, a skipped time counts as the instant of the change. Of a repeated time the first
occurrence ends quiet hours, and both occurrences belong to a span that begins at it.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta

from actors.rules.zones import first_instant, to_local
from protocol.instants import DAY_MINUTES, zone_info
from protocol.preference.rows import NotificationPreferences
from protocol.preference.terms import ContactTimes, PartOfDay, QuietHours

#: If no instant in this many days allows noise, there is none.
SEARCH_DAYS_MAX = 8
#: How long before its due time a digest closes: later notifications wait for the next one.
DIGEST_CLOSES_S = 300

#: Part of a day → its minutes, half open.
PARTS: Mapping[PartOfDay, tuple[int, int]] = {
    PartOfDay.MORNING: (8 * 60, 12 * 60),
    PartOfDay.AFTERNOON: (12 * 60, 17 * 60),
    PartOfDay.EVENING: (17 * 60, 21 * 60),
    PartOfDay.ANY: (0, DAY_MINUTES),
}
_DAY = timedelta(days=1)
_SATURDAY = 5


def may_disturb(at: datetime, preferences: NotificationPreferences) -> bool:
    """Whether a noisy message may be sent at an instant."""
    local = to_local(at, preferences.zone)
    minute = local.hour * 60 + local.minute
    if preferences.quiet_hours is not None and _within(minute, preferences.quiet_hours):
        return False
    if preferences.contact_times is None:
        return True
    times = preferences.contact_times
    parts = times.weekdays if local.weekday() < _SATURDAY else times.weekends
    return any(PARTS[part][0] <= minute < PARTS[part][1] for part in parts)


def next_noisy(at: datetime, preferences: NotificationPreferences) -> datetime | None:
    """The first instant from ``at`` on at which a noisy message may be sent. None: never."""
    if may_disturb(at, preferences):
        return at
    minutes = _ends_of_quiet(preferences)
    day = to_local(at, preferences.zone).date() - _DAY
    for _ in range(SEARCH_DAYS_MAX + 2):
        for end_at in sorted(_instants_of(day, minutes, preferences.zone)):
            if end_at >= at and may_disturb(end_at, preferences):
                return end_at
        day += _DAY
    return None


def next_digest(
    after: datetime, preferences: NotificationPreferences, last_day: date | None = None
) -> tuple[date, datetime]:
    """The next digest that is open for a notification at an instant: its day in the reader's zone, and its due time.

    Args:
        last_day: day of the last digest sent; there is one a day, even if hour or zone have changed since.
    """
    from_at = after + timedelta(seconds=DIGEST_CLOSES_S)
    day = to_local(from_at, preferences.zone).date() - _DAY
    while True:
        due_at = first_instant(datetime.combine(day, time(preferences.digest_hour)), preferences.zone)
        if due_at >= from_at and (last_day is None or day > last_day):
            return day, due_at
        day += _DAY


def minute_of(text: str) -> int:
    """The minute of the day of ``HH:MM``."""
    return int(text[:2]) * 60 + int(text[3:])


def _within(minute: int, quiet: QuietHours) -> bool:
    begins, ends = minute_of(quiet.from_time), minute_of(quiet.until_time)
    return begins <= minute < ends if begins < ends else minute >= begins or minute < ends


def _ends_of_quiet(preferences: NotificationPreferences) -> set[int]:
    """Minutes of the day at which quiet may end."""
    ends = set() if preferences.quiet_hours is None else {minute_of(preferences.quiet_hours.until_time)}
    return ends | {PARTS[part][0] for part in _parts(preferences.contact_times)}


def _parts(times: ContactTimes | None) -> set[PartOfDay]:
    return set() if times is None else {*times.weekdays, *times.weekends}


def _instants_of(day: date, minutes: set[int], zone: str) -> Iterator[datetime]:
    """The instants at which the wall clock shows these minutes of a day; a skipped one at the change of clocks."""
    for minute in minutes:
        local = datetime.combine(day, time(minute // 60, minute % 60))
        yield first_instant(local, zone)
        yield local.replace(tzinfo=zone_info(zone), fold=1).astimezone(UTC)
