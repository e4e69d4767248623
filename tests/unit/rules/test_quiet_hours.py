"""Quiet hours, contact times and digests go by the reader's wall clock, also when the clocks change.

Rules N-2, N-4.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from actors.rules.quiet_hours import (
    DIGEST_CLOSES_S,
    PARTS,
    SEARCH_DAYS_MAX,
    may_disturb,
    minute_of,
    next_digest,
    next_noisy,
)
from protocol.ids import UserId
from protocol.instants import zone_info
from protocol.preference.rows import NotificationPreferences
from protocol.preference.terms import ContactTimes, PartOfDay, QuietHours
from tests.support.preference_strategies import instants, preferences_of_all_kinds

ADA = UserId(UUID(int=1))
M, A, E, ANY = PartOfDay.MORNING, PartOfDay.AFTERNOON, PartOfDay.EVENING, PartOfDay.ANY


def preferring(zone: str, quiet: str | None = None, **more: Any) -> NotificationPreferences:
    """Preferences; quiet hours like ``22:00-07:00``."""
    hours = None if quiet is None else QuietHours(*quiet.split("-"))
    return NotificationPreferences(user_id=ADA, zone=zone, quiet_hours=hours, **more)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "quiet", "at", "expected"),
    [
        # An ordinary night, by the reader's own clock.
        ("Europe/Berlin", "22:00-07:00", "2026-01-15T20:59", "2026-01-15T20:59"),
        ("Europe/Berlin", "22:00-07:00", "2026-01-15T21:00", "2026-01-16T06:00"),
        ("Europe/Berlin", "22:00-07:00", "2026-01-16T05:59", "2026-01-16T06:00"),
        ("Europe/Berlin", "22:00-07:00", "2026-01-16T06:00", "2026-01-16T06:00"),
        ("Europe/Berlin", "12:00-14:00", "2026-01-15T10:59", "2026-01-15T10:59"),
        ("Europe/Berlin", "12:00-14:00", "2026-01-15T11:00", "2026-01-15T13:00"),
        ("Europe/Berlin", "12:00-14:00", "2026-01-15T11:30", "2026-01-15T13:00"),
        ("Asia/Kathmandu", "22:00-07:00", "2026-01-15T16:20", "2026-01-16T01:15"),
        ("Asia/Kolkata", "22:00-07:00", "2026-01-15T16:30", "2026-01-16T01:30"),
        # The night in which the clocks go forward: an hour, or in Lord Howe half of one, is skipped.
        ("Europe/Berlin", "22:00-07:00", "2026-03-28T22:00", "2026-03-29T05:00"),
        ("America/New_York", "22:00-07:00", "2026-03-08T04:00", "2026-03-08T11:00"),
        ("Australia/Lord_Howe", "22:00-07:00", "2026-10-03T14:00", "2026-10-03T20:00"),
        # Quiet hours that would end at a skipped time end at the change.
        ("Europe/Berlin", "22:00-02:30", "2026-03-28T23:00", "2026-03-29T01:00"),
        ("America/New_York", "22:00-02:30", "2026-03-08T05:00", "2026-03-08T07:00"),
        ("Australia/Lord_Howe", "22:00-02:15", "2026-10-03T14:00", "2026-10-03T15:30"),
        # The night in which the clocks go back: an hour, or half of one, is repeated.
        ("Europe/Berlin", "22:00-07:00", "2026-10-24T22:00", "2026-10-25T06:00"),
        ("America/New_York", "22:00-07:00", "2026-11-01T04:00", "2026-11-01T12:00"),
        ("Australia/Lord_Howe", "22:00-07:00", "2026-04-04T14:00", "2026-04-04T20:30"),
        # Quiet hours that end at a repeated time end at its first occurrence, and begin again with the second.
        ("Europe/Berlin", "22:00-02:30", "2026-10-24T23:00", "2026-10-25T00:30"),
        ("Europe/Berlin", "22:00-02:30", "2026-10-25T00:45", "2026-10-25T00:45"),
        ("Europe/Berlin", "22:00-02:30", "2026-10-25T01:10", "2026-10-25T01:30"),
        ("America/New_York", "22:00-01:30", "2026-11-01T06:10", "2026-11-01T06:30"),
        ("Australia/Lord_Howe", "22:00-01:45", "2026-04-04T14:35", "2026-04-04T14:45"),
    ],
)
def test_quiet_ends_when_the_readers_clock_says_so(zone: str, quiet: str, at: str, expected: str) -> None:
    assert next_noisy(utc(at), preferring(zone, quiet)) == utc(expected)


@pytest.mark.parametrize(
    ("weekdays", "weekends", "quiet", "at", "expected"),
    [
        # Friday, 16 January 2026; Berlin is an hour ahead of UTC.
        ((M,), (ANY,), None, "2026-01-16T10:59", "2026-01-16T10:59"),
        ((M,), (ANY,), None, "2026-01-16T11:00", "2026-01-16T23:00"),
        ((M,), (ANY,), "22:00-09:00", "2026-01-16T11:00", "2026-01-17T08:00"),
        ((M,), (), None, "2026-01-16T11:00", "2026-01-19T07:00"),
        ((E,), (A,), None, "2026-01-16T12:00", "2026-01-16T16:00"),
        ((A, E), (A,), None, "2026-01-16T20:30", "2026-01-17T11:00"),
        ((), (E,), None, "2026-01-18T20:00", "2026-01-24T16:00"),
    ],
)
def test_contact_times_hold_noise_up_until_their_next_part_of_a_day(
    weekdays: tuple[PartOfDay, ...],
    weekends: tuple[PartOfDay, ...],
    quiet: str | None,
    at: str,
    expected: str,
) -> None:
    preferences = preferring("Europe/Berlin", quiet, contact_times=ContactTimes(weekdays, weekends))

    assert next_noisy(utc(at), preferences) == utc(expected)


def test_if_quiet_hours_cover_all_contact_times_there_is_no_noisy_instant() -> None:
    preferences = preferring("Europe/Berlin", "07:00-13:00", contact_times=ContactTimes((M,), (M,)))

    assert next_noisy(utc("2026-01-16T12:00"), preferences) is None


@pytest.mark.parametrize(
    ("zone", "hour", "after", "day", "expected"),
    [
        ("Europe/Berlin", 8, "2026-01-15T06:00", "2026-01-15", "2026-01-15T07:00"),
        ("Europe/Berlin", 8, "2026-01-15T07:00", "2026-01-16", "2026-01-16T07:00"),
        ("Europe/Berlin", 0, "2026-01-15T22:00", "2026-01-16", "2026-01-15T23:00"),
        ("Asia/Kathmandu", 8, "2026-01-15T00:00", "2026-01-15", "2026-01-15T02:15"),
        # A skipped hour: at the change.
        ("Europe/Berlin", 2, "2026-03-28T12:00", "2026-03-29", "2026-03-29T01:00"),
        ("America/New_York", 2, "2026-03-08T00:00", "2026-03-08", "2026-03-08T07:00"),
        ("Australia/Lord_Howe", 2, "2026-10-03T00:00", "2026-10-04", "2026-10-03T15:30"),
        # A repeated hour: at its first occurrence only.
        ("Europe/Berlin", 2, "2026-10-24T12:00", "2026-10-25", "2026-10-25T00:00"),
        ("Europe/Berlin", 2, "2026-10-25T00:30", "2026-10-26", "2026-10-26T01:00"),
        ("America/New_York", 1, "2026-11-01T05:30", "2026-11-02", "2026-11-02T06:00"),
        # Around the change, the hour of the clock stays.
        ("America/New_York", 8, "2026-03-08T01:00", "2026-03-08", "2026-03-08T12:00"),
        ("Australia/Lord_Howe", 8, "2026-04-04T12:00", "2026-04-05", "2026-04-04T21:30"),
    ],
)
def test_a_digest_comes_once_a_local_day_at_its_hour(zone: str, hour: int, after: str, day: str, expected: str) -> None:
    found = next_digest(utc(after), preferring(zone, digest_hour=hour))

    assert found == (date.fromisoformat(day), utc(expected))


def test_what_comes_right_before_a_digest_waits_for_the_next_one() -> None:
    due_at = utc("2026-01-15T07:00")
    preferences = preferring("Europe/Berlin", digest_hour=8)
    closes_at = due_at - timedelta(seconds=DIGEST_CLOSES_S)

    assert next_digest(closes_at, preferences)[1] == due_at
    assert next_digest(closes_at + timedelta(seconds=1), preferences)[1] == due_at + timedelta(days=1)


def test_a_day_that_had_its_digest_has_no_other_when_hour_or_zone_change() -> None:
    noon, last_day = utc("2026-01-15T12:00"), date(2026, 1, 15)

    later = next_digest(noon, preferring("Europe/Berlin", digest_hour=20), last_day)
    west = next_digest(noon, preferring("Pacific/Honolulu", digest_hour=8), last_day)

    assert later == (date(2026, 1, 16), utc("2026-01-16T19:00"))
    assert west == (date(2026, 1, 16), utc("2026-01-16T18:00"))


def shown_quiet(at: datetime, preferences: NotificationPreferences) -> bool:
    """Whether the wall clock shows a time at which its reader does not want to be disturbed."""
    local = at.astimezone(zone_info(preferences.zone))
    shown = f"{local:%H:%M}"
    if (quiet := preferences.quiet_hours) is not None:
        over_midnight = quiet.from_time > quiet.until_time
        begun, over = shown >= quiet.from_time, shown >= quiet.until_time
        if (begun or not over) if over_midnight else (begun and not over):
            return True
    times = preferences.contact_times
    if times is None:
        return False
    today = times.weekends if local.isoweekday() > 5 else times.weekdays
    return not any(PARTS[part][0] <= minute_of(shown) < PARTS[part][1] for part in today)


@given(instants, preferences_of_all_kinds)
def test_noise_is_never_made_in_quiet_hours_nor_before_it_is_due(
    at: datetime, preferences: NotificationPreferences
) -> None:
    noisy_at = next_noisy(at, preferences)

    assert may_disturb(at, preferences) is not shown_quiet(at, preferences)
    if noisy_at is not None:
        assert noisy_at >= at
        assert not shown_quiet(noisy_at, preferences)
        assert noisy_at == at or shown_quiet(at, preferences)
    else:
        hours = [at + timedelta(minutes=5 * step) for step in range(SEARCH_DAYS_MAX * 24 * 12)]
        assert all(shown_quiet(one.replace(minute=one.minute // 5 * 5, second=0), preferences) for one in hours[12:])


@given(instants, preferences_of_all_kinds)
def test_a_digest_is_due_within_a_day_and_belongs_to_one_day(
    at: datetime, preferences: NotificationPreferences
) -> None:
    day, due_at = next_digest(at, preferences)

    assert timedelta(seconds=DIGEST_CLOSES_S) <= due_at - at <= timedelta(hours=26)
    assert due_at.astimezone(zone_info(preferences.zone)).date() == day
    assert next_digest(due_at, preferences)[0] == day + timedelta(days=1)
