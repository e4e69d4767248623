"""Open by the business's own wall clock: over breaks, midnights, closed dates and changes of the clocks (rule K-1)."""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rules.hours import RANGE_MAX, Span, is_open, joined, open_spans
from actors.rules.zones import to_instant, to_local
from protocol.instants import CLOSES_MINUTE_MAX, DAY_MINUTES, LocalSpan, OpenHours
from tests.support.sizes import TIMES

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
#: Zone and a day on or beside which its clocks do something.
TURNS = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Asia/Kolkata", date(2026, 2, 28)),
    ("Asia/Kathmandu", date(2027, 12, 31)),
    ("Asia/Beirut", date(2026, 3, 29)),
    ("America/Havana", date(2026, 11, 1)),
    ("America/Santiago", date(2026, 4, 4)),
    ("America/St_Johns", date(2010, 11, 7)),
]

Day = tuple[LocalSpan, ...]
DaysOfWeek = tuple[Day, Day, Day, Day, Day, Day, Day]


def every_day(*spans: tuple[int, int], zone: str = "Europe/Berlin", closed_dates: tuple[date, ...] = ()) -> OpenHours:
    day = tuple(LocalSpan(*span) for span in spans)
    return OpenHours(zone=zone, week=(day,) * 7, closed_dates=closed_dates)


def on(weekday: int, *spans: tuple[int, int], zone: str = "Europe/Berlin") -> OpenHours:
    opened = tuple(LocalSpan(*span) for span in spans)

    def of(day: int) -> Day:
        return opened if day == weekday else ()

    return OpenHours(zone=zone, week=(of(0), of(1), of(2), of(3), of(4), of(5), of(6)))


def wall(text: str, zone: str = "Europe/Berlin", offset_h: float | None = None) -> datetime:
    offset = None if offset_h is None else timedelta(hours=offset_h)
    return to_instant(datetime.fromisoformat(text), zone, offset)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def minutes(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


NINE_TO_SIX_WITH_LUNCH = every_day((540, 720), (780, 1080))
EVENING_UNTIL_TWO = every_day((1080, 1560))
AROUND_THE_CLOCK = every_day((0, DAY_MINUTES))


class TestIsOpen:
    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            ("09:00", "12:00", True),
            ("13:00", "18:00", True),
            ("09:00", "10:00", True),
            ("08:59", "10:00", False),
            ("17:30", "18:01", False),
            ("11:30", "12:01", False),
            ("11:30", "13:30", False),
            ("12:15", "12:45", False),
            ("12:59", "14:00", False),
            ("20:00", "21:00", False),
        ],
    )
    def test_the_whole_job_lies_inside_one_span_and_touches_no_break(
        self, start: str, end: str, expected: bool
    ) -> None:
        start_at, end_at = wall(f"2026-06-10T{start}"), wall(f"2026-06-10T{end}")

        assert is_open(NINE_TO_SIX_WITH_LUNCH, start_at, end_at) is expected

    def test_each_weekday_has_its_own_hours(self) -> None:
        saturdays = on(5, (540, 720))

        assert is_open(saturdays, wall("2026-06-13T09:00"), wall("2026-06-13T10:00"))
        assert not is_open(saturdays, wall("2026-06-12T09:00"), wall("2026-06-12T10:00"))
        assert not is_open(saturdays, wall("2026-06-14T09:00"), wall("2026-06-14T10:00"))

    @pytest.mark.parametrize(
        ("zone", "at"),
        [
            ("Asia/Kolkata", "2026-06-10T03:30"),
            ("Asia/Kathmandu", "2026-06-10T03:15"),
            ("America/New_York", "2026-06-10T13:00"),
            ("Pacific/Kiritimati", "2026-06-09T19:00"),
            ("Australia/Lord_Howe", "2026-06-09T22:30"),
        ],
    )
    def test_nine_o_clock_is_the_business_s_nine_o_clock(self, zone: str, at: str) -> None:
        wednesdays = on(2, (540, 600), zone=zone)

        assert is_open(wednesdays, utc(at), utc(at) + timedelta(hours=1))
        assert not is_open(wednesdays, utc(at) - MINUTE, utc(at) + timedelta(minutes=30))
        assert not is_open(wednesdays, utc(at) + MINUTE, utc(at) + timedelta(minutes=61))

    @pytest.mark.parametrize("day", ["2026-03-28", "2026-03-29", "2026-03-30", "2026-10-25", "2026-10-26"])
    def test_afternoon_hours_stay_where_the_clock_shows_them_when_the_clocks_change(self, day: str) -> None:
        afternoons = every_day((840, 1080))

        assert is_open(afternoons, wall(f"{day}T14:00"), wall(f"{day}T18:00"))
        assert not is_open(afternoons, wall(f"{day}T13:59"), wall(f"{day}T15:00"))
        assert not is_open(afternoons, wall(f"{day}T17:00"), wall(f"{day}T18:01"))

    def test_a_night_that_spring_shortens_holds_an_hour_less(self) -> None:
        nights = every_day((minutes("22:00"), minutes("30:00")))
        start_at = wall("2026-03-28T22:00")

        assert is_open(nights, start_at, start_at + timedelta(hours=7))
        assert not is_open(nights, start_at, start_at + timedelta(hours=7) + MINUTE)

    def test_a_night_that_autumn_lengthens_holds_an_hour_more(self) -> None:
        nights = every_day((minutes("22:00"), minutes("30:00")))
        start_at = wall("2026-10-24T22:00")

        assert is_open(nights, start_at, start_at + timedelta(hours=9))
        assert not is_open(nights, start_at, start_at + timedelta(hours=9) + MINUTE)

    def test_a_job_across_midnight_fits_an_evening_that_ends_the_next_day(self) -> None:
        assert is_open(EVENING_UNTIL_TWO, wall("2026-06-10T23:30"), wall("2026-06-11T01:30"))
        assert is_open(EVENING_UNTIL_TWO, wall("2026-06-11T00:30"), wall("2026-06-11T02:00"))
        assert not is_open(EVENING_UNTIL_TWO, wall("2026-06-11T01:30"), wall("2026-06-11T02:01"))

    @pytest.mark.parametrize(
        ("evening", "morning"),
        [("2026-06-30", "2026-07-01"), ("2026-12-31", "2027-01-01"), ("2028-02-28", "2028-02-29"),
         ("2026-02-28", "2026-03-01"), ("2026-06-14", "2026-06-15")],
    )  # fmt: skip
    def test_a_job_runs_across_the_ends_of_months_years_and_weeks(self, evening: str, morning: str) -> None:
        start_at, end_at = wall(f"{evening}T23:00"), wall(f"{morning}T01:00")

        assert is_open(EVENING_UNTIL_TWO, start_at, end_at)
        assert is_open(AROUND_THE_CLOCK, start_at, end_at)
        assert not is_open(every_day((540, 1439)), start_at, end_at)

    def test_spans_that_touch_are_one(self) -> None:
        morning_and_afternoon = every_day((540, 720), (720, 1080))

        assert is_open(morning_and_afternoon, wall("2026-06-10T11:30"), wall("2026-06-10T12:30"))

    def test_a_longer_job_than_a_day_fits_only_a_business_that_never_closes(self) -> None:
        start_at = wall("2026-03-28T10:00")

        assert is_open(AROUND_THE_CLOCK, start_at, start_at + 3 * DAY)
        assert not is_open(NINE_TO_SIX_WITH_LUNCH, start_at, start_at + 3 * DAY)

    def test_a_closed_date_is_closed_in_the_business_s_zone(self) -> None:
        hours = every_day((0, DAY_MINUTES), zone="Asia/Kathmandu", closed_dates=(date(2026, 6, 10),))
        zone = hours.zone

        assert not is_open(hours, wall("2026-06-10T00:00", zone), wall("2026-06-10T00:30", zone))
        assert not is_open(hours, wall("2026-06-10T23:30", zone), wall("2026-06-11T00:00", zone))
        assert is_open(hours, wall("2026-06-09T23:30", zone), wall("2026-06-10T00:00", zone))
        assert is_open(hours, wall("2026-06-11T00:00", zone), wall("2026-06-11T00:30", zone))

    def test_a_closed_date_takes_the_night_that_begins_on_it_and_leaves_the_one_that_ends_on_it(self) -> None:
        hours = every_day((1080, 1560), closed_dates=(date(2026, 6, 10), date(2026, 8, 1)))

        assert is_open(hours, wall("2026-06-10T00:30"), wall("2026-06-10T01:30"))
        assert not is_open(hours, wall("2026-06-10T19:00"), wall("2026-06-10T20:00"))
        assert not is_open(hours, wall("2026-06-11T00:30"), wall("2026-06-11T01:30"))

    def test_a_business_without_hours_is_never_open(self) -> None:
        assert not is_open(every_day(), wall("2026-06-10T12:00"), wall("2026-06-10T12:30"))

    @pytest.mark.parametrize("length", [timedelta(0), -MINUTE, RANGE_MAX + MINUTE])
    def test_a_range_without_length_or_past_the_limit_is_refused(self, length: timedelta) -> None:
        start_at = utc("2026-06-10T12:00")

        with pytest.raises(ValueError, match="range"):
            is_open(AROUND_THE_CLOCK, start_at, start_at + length)


class TestHoursThatTheClocksChange:
    """Bounds inside a leap are the leap, bounds that come twice are the first."""

    def day_of(self, hours: OpenHours, day: str) -> list[tuple[str, str]]:
        start_at = wall(f"{day}T00:00")
        spans = open_spans(hours, start_at, wall(f"{date.fromisoformat(day) + DAY}T00:00"))
        return [(span.from_at.strftime("%H:%M"), span.to_at.strftime("%H:%M")) for span in spans]

    def test_opening_inside_the_leap_is_opening_at_the_leap(self) -> None:
        assert self.day_of(every_day((150, 300)), "2026-03-29") == [("01:00", "03:00")]

    def test_closing_inside_the_leap_is_closing_at_the_leap(self) -> None:
        assert self.day_of(every_day((60, 150)), "2026-03-29") == [("00:00", "01:00")]

    def test_hours_inside_the_leap_do_not_take_place(self) -> None:
        assert self.day_of(every_day((125, 175)), "2026-03-29") == []

    def test_opening_at_a_time_that_comes_twice_is_opening_the_first_time(self) -> None:
        assert self.day_of(every_day((150, 300)), "2026-10-25") == [("00:30", "04:00")]

    def test_closing_at_a_time_that_comes_twice_is_closing_the_first_time(self) -> None:
        assert self.day_of(every_day((60, 150)), "2026-10-25") == [("23:00", "00:30")]

    def test_a_day_that_has_begun_stays_open_while_the_clocks_show_the_day_before_once_more(self) -> None:
        # St. John's fell back from Sunday 00:01 to Saturday 23:01, until 2011.
        sundays = on(6, (0, 600), zone="America/St_Johns")
        repeated_at = wall("2010-11-06T23:10", sundays.zone, offset_h=-3.5)

        assert is_open(sundays, repeated_at, repeated_at + 10 * MINUTE)
        assert not is_open(sundays, repeated_at - timedelta(hours=1), repeated_at - timedelta(minutes=50))


class TestOpenSpans:
    def test_spans_that_overlap_the_range_are_given_whole_and_in_utc(self) -> None:
        spans = open_spans(NINE_TO_SIX_WITH_LUNCH, wall("2026-06-10T10:00"), wall("2026-06-10T13:01"))

        assert spans == [
            Span(utc("2026-06-10T07:00"), utc("2026-06-10T10:00")),
            Span(utc("2026-06-10T11:00"), utc("2026-06-10T16:00")),
        ]
        assert all(at.tzinfo is UTC for span in spans for at in span)

    def test_spans_that_only_touch_the_range_are_left_out(self) -> None:
        assert open_spans(NINE_TO_SIX_WITH_LUNCH, wall("2026-06-10T12:00"), wall("2026-06-10T13:00")) == []

    def test_around_the_clock_is_one_span_a_day_and_joined_is_one(self) -> None:
        spans = open_spans(AROUND_THE_CLOCK, wall("2026-03-28T12:00"), wall("2026-03-30T12:00"))

        assert [span.to_at - span.from_at for span in spans] == [DAY, timedelta(hours=23), DAY]
        assert joined(spans) == [Span(wall("2026-03-28T00:00"), wall("2026-03-31T00:00"))]


@st.composite
def weeks(draw: st.DrawFn) -> DaysOfWeek:
    def day() -> Day:
        bounds = sorted(draw(st.sets(st.integers(0, CLOSES_MINUTE_MAX // 15), max_size=6)))
        pairs = zip(bounds[::2], bounds[1::2], strict=False)
        return tuple(LocalSpan(opens * 15, closes * 15) for opens, closes in pairs if opens * 15 < DAY_MINUTES)

    return day(), day(), day(), day(), day(), day(), day()


@cache
def readings(zone: str, day: date) -> tuple[list[datetime], list[datetime]]:
    """Scan the wall clock around a day, minute by minute: instants, and the latest face shown until each."""
    start_at = datetime.combine(day, time(), UTC) - 6 * DAY
    instants = [start_at + minute * MINUTE for minute in range(12 * DAY_MINUTES)]
    faces = [to_local(at, zone).replace(tzinfo=None) for at in instants]
    return instants, list(accumulate(faces, max))


def open_minutes(hours: OpenHours, day: date) -> set[datetime]:
    """Say by scanning in which minutes a business is open, three days around a day."""
    instants, faces = readings(hours.zone, day)
    result: set[datetime] = set()
    for nearby in (day + DAY * step for step in range(-5, 5)):
        if nearby in hours.closed_dates:
            continue
        midnight = datetime.combine(nearby, time())
        for span in hours.week[nearby.weekday()]:
            first = bisect_left(faces, midnight + span.opens_minute * MINUTE)
            last = bisect_left(faces, midnight + span.closes_minute * MINUTE)
            result.update(instants[first:last])
    return result


@pytest.mark.sized
@settings(max_examples=100 * TIMES)
@given(
    st.sampled_from(TURNS),
    weeks(),
    st.sets(st.integers(-2, 2), max_size=2),
    st.integers(-3 * 96, 3 * 96),
    st.integers(1, 6 * 4),
)
def test_open_means_open_in_each_minute_of_the_wall_clock(
    turn: tuple[str, date],
    week: DaysOfWeek,
    closed: set[int],
    start_quarter: int,
    quarters: int,
) -> None:
    zone, day = turn
    hours = OpenHours(zone=zone, week=week, closed_dates=tuple(day + DAY * step for step in closed))
    start_at = datetime.combine(day, time(12), UTC) + start_quarter * 15 * MINUTE
    end_at = start_at + quarters * 15 * MINUTE

    wanted = {start_at + minute * MINUTE for minute in range(quarters * 15)}
    expected = open_minutes(hours, day) & wanted

    assert is_open(hours, start_at, end_at) == (expected == wanted)
    laid_out = joined(open_spans(hours, start_at, end_at))
    assert expected == {at for at in wanted if any(span.from_at <= at < span.to_at for span in laid_out)}
