"""A local time on the days when the clocks change: refused, the earlier, or as its offset says (rule K-2)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.zones import NonexistentLocalTime, OffsetMismatch, first_instant, to_instant, to_local
from protocol.instants import InstantOutOfRange, UnknownZone

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "America/Havana",
    "America/Santiago",
    "Pacific/Chatham",
    "Africa/Casablanca",
    "UTC",
]
#: Days when the clocks change, or do something else that is rare.
TURNS = {
    "Europe/Berlin": [(2026, 3, 29), (2026, 10, 25)],
    "America/New_York": [(2026, 3, 8), (2026, 11, 1)],
    "Australia/Lord_Howe": [(2026, 4, 5), (2026, 10, 4)],
    "Asia/Beirut": [(2026, 3, 29), (2026, 10, 25)],
    "America/Havana": [(2026, 3, 8), (2026, 11, 1)],
    "America/Santiago": [(2026, 4, 4), (2026, 9, 6)],
    "Asia/Kathmandu": [(2026, 3, 29), (2026, 10, 25)],
    "America/St_Johns": [(2010, 3, 14), (2010, 11, 7)],
    "Pacific/Apia": [(2011, 12, 30)],
}
HOUR = timedelta(hours=1)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "at"),
    [
        ("2026-01-15T09:00", "Europe/Berlin", "2026-01-15T08:00"),
        ("2026-07-15T09:00", "Europe/Berlin", "2026-07-15T07:00"),
        ("2026-03-29T15:00", "Europe/Berlin", "2026-03-29T13:00"),
        ("2026-10-25T15:00", "Europe/Berlin", "2026-10-25T14:00"),
        ("2026-03-08T15:00", "America/New_York", "2026-03-08T19:00"),
        ("2026-11-01T15:00", "America/New_York", "2026-11-01T20:00"),
        ("2026-03-29T02:30", "Asia/Kolkata", "2026-03-28T21:00"),
        ("2026-03-29T02:30", "Asia/Kathmandu", "2026-03-28T20:45"),
        ("2026-01-15T09:00", "Australia/Lord_Howe", "2026-01-14T22:00"),
        ("2026-07-15T09:00", "Australia/Lord_Howe", "2026-07-14T22:30"),
        ("2028-02-29T23:30", "Asia/Kathmandu", "2028-02-29T17:45"),
        ("2026-12-31T23:30", "America/New_York", "2027-01-01T04:30"),
    ],
)
def test_a_local_time_is_read_by_the_clock_of_its_zone(text: str, zone: str, at: str) -> None:
    assert to_instant(local(text), zone) == utc(at)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2026-03-29T02:00", "Europe/Berlin"),
        ("2026-03-29T02:30", "Europe/Berlin"),
        ("2026-03-29T02:59:59", "Europe/Berlin"),
        ("2026-03-08T02:30", "America/New_York"),
        ("2026-10-04T02:15", "Australia/Lord_Howe"),
        ("2026-03-29T00:30", "Asia/Beirut"),
    ],
)
def test_a_time_that_the_clocks_leap_over_is_refused(text: str, zone: str) -> None:
    for offset in (None, timedelta(hours=1), timedelta(hours=2)):
        with pytest.raises(NonexistentLocalTime):
            to_instant(local(text), zone, offset)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2026-03-29T01:59:59", "Europe/Berlin"),
        ("2026-03-29T03:00", "Europe/Berlin"),
        ("2026-10-04T02:30", "Australia/Lord_Howe"),
        ("2026-03-29T02:30", "America/New_York"),
    ],
)
def test_the_edges_of_a_leap_exist(text: str, zone: str) -> None:
    assert to_local(to_instant(local(text), zone), zone).replace(tzinfo=None) == local(text)


@pytest.mark.parametrize(
    ("text", "zone", "earlier", "later"),
    [
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30", "2026-10-25T01:30"),
        ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30", "2026-11-01T06:30"),
        ("2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-04T14:45", "2026-04-04T15:15"),
    ],
)
def test_a_time_that_comes_twice_is_the_earlier_unless_an_offset_is_given(
    text: str, zone: str, earlier: str, later: str
) -> None:
    both = [utc(earlier), utc(later)]

    assert to_instant(local(text), zone) == both[0]
    for at in both:
        assert to_instant(local(text), zone, to_local(at, zone).utcoffset()) == at


@pytest.mark.parametrize("offset", [timedelta(0), 2 * HOUR, -HOUR])
def test_an_offset_that_the_zone_does_not_have_then_is_refused(offset: timedelta) -> None:
    with pytest.raises(OffsetMismatch):
        to_instant(local("2026-01-15T09:00"), "Europe/Berlin", offset)


def test_an_offset_that_the_zone_has_then_changes_nothing() -> None:
    assert to_instant(local("2026-01-15T09:00"), "Europe/Berlin", HOUR) == utc("2026-01-15T08:00")


@pytest.mark.parametrize("at", [datetime.min, datetime.max])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_ends_of_the_calendar_are_refused_not_tripped_over(at: datetime, zone: str) -> None:
    with pytest.raises(InstantOutOfRange):
        to_instant(at, zone)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(UnknownZone):
        to_instant(local("2026-01-15T09:00"), "Mars/Olympus")


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2037, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(ZONES),
)
def test_what_a_wall_clock_shows_is_read_back_as_the_same_instant(at: datetime, zone: str) -> None:
    shown = to_local(at, zone)

    assert to_instant(shown.replace(tzinfo=None), zone, shown.utcoffset()) == at


@pytest.mark.parametrize(("zone", "day"), [(zone, day) for zone, days in TURNS.items() for day in days])
def test_the_first_instant_is_when_the_clock_first_shows_that_time_or_a_later_one(
    zone: str, day: tuple[int, int, int]
) -> None:
    midnight = datetime(*day)
    start_at = midnight.replace(tzinfo=UTC) - 30 * HOUR
    scanned = [start_at + timedelta(minutes=minute) for minute in range(70 * 60)]
    shown = [(to_local(at, zone).replace(tzinfo=None), at) for at in scanned]

    for minute in range(-90, 26 * 60, 15):
        wall = midnight + timedelta(minutes=minute)
        assert first_instant(wall, zone) == next(at for face, at in shown if face >= wall), wall


@given(
    st.sampled_from(sorted(TURNS)),
    st.integers(0, 1),
    st.integers(-2000, 4000),
    st.integers(0, 600),
)
def test_a_later_local_time_never_begins_earlier(zone: str, turn: int, minute: int, more: int) -> None:
    days = TURNS[zone]
    wall = datetime(*days[turn % len(days)]) + timedelta(minutes=minute)

    assert first_instant(wall, zone) <= first_instant(wall + timedelta(minutes=more), zone)
