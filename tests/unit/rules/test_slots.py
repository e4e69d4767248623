"""A slot is free when job, hours, staff and buffers all fit; if not, it says why (rules B-2, F-2)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rules.hours import Span, is_open
from actors.rules.slot_grid import SLOTS_MAX, SlotGrid, free_slots
from actors.rules.slots import (
    AHEAD_MAX_DEFAULT,
    BusyTime,
    SlotReason,
    SlotTerms,
    StaffSchedule,
    busy_for,
    unavailable_reason,
)
from actors.rules.zones import to_instant, to_local
from protocol.instants import DAY_MINUTES, LocalSpan, OpenHours
from tests.support.sizes import TIMES

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
#: A Wednesday.
TODAY = "2026-06-10"


def every_day(*spans: tuple[int, int], zone: str = "Europe/Berlin", closed_dates: tuple[date, ...] = ()) -> OpenHours:
    day = tuple(LocalSpan(*span) for span in spans)
    return OpenHours(zone=zone, week=(day,) * 7, closed_dates=closed_dates)


def at(clock: str, day: str = TODAY, zone: str = "Europe/Berlin") -> datetime:
    return to_instant(datetime.fromisoformat(f"{day}T{clock}"), zone)


def clocks(starts: list[datetime], zone: str = "Europe/Berlin") -> list[str]:
    return [to_local(start_at, zone).strftime("%H:%M") for start_at in starts]


OPENING = every_day((540, 720), (780, 1080))
AN_HOUR = SlotTerms(duration=HOUR)
LONG_AGO = at("09:00", "2026-01-01")


def reason(
    start: str,
    terms: SlotTerms = AN_HOUR,
    *busy: BusyTime,
    working: OpenHours | None = None,
    now: datetime = LONG_AGO,
    overrunning: bool = False,
) -> SlotReason | None:
    schedule = StaffSchedule(opening=OPENING, working=working, busy=busy, overrunning=overrunning)
    return unavailable_reason(at(start), terms, schedule, now)


class TestBusyTime:
    def test_busy_time_is_the_job_and_its_buffers(self) -> None:
        terms = SlotTerms(duration=HOUR, buffer_before=10 * MINUTE, buffer_after=20 * MINUTE)

        assert busy_for(at("09:00"), terms) == BusyTime(
            held=Span(at("08:50"), at("10:20")), job=Span(at("09:00"), at("10:00"))
        )

    def test_buffers_default_to_nothing_before_and_fifteen_minutes_after(self) -> None:
        assert busy_for(at("09:00"), AN_HOUR).held == Span(at("09:00"), at("10:15"))

    @pytest.mark.parametrize(
        "terms",
        [
            {"duration": timedelta(0)},
            {"duration": timedelta(days=32)},
            {"duration": HOUR, "buffer_before": -MINUTE},
            {"duration": HOUR, "buffer_after": timedelta(days=2)},
            {"duration": HOUR, "lead_time": -MINUTE},
            {"duration": HOUR, "ahead_max": timedelta.max},
        ],
    )
    def test_terms_out_of_bounds_are_refused(self, terms: dict[str, timedelta]) -> None:
        with pytest.raises(ValueError, match=r"at most|at least"):
            SlotTerms(**terms)


class TestWhyNot:
    @pytest.mark.parametrize("start", ["09:00", "11:00", "13:00", "17:00"])
    def test_a_start_at_which_everything_fits_can_be_booked(self, start: str) -> None:
        assert reason(start) is None

    @pytest.mark.parametrize("start", ["08:59", "11:01", "12:30", "17:01", "20:00"])
    def test_a_job_that_leaves_the_opening_hours_is_out(self, start: str) -> None:
        assert reason(start) is SlotReason.HOURS

    def test_a_buffer_may_reach_past_opening_closing_and_break(self) -> None:
        generous = SlotTerms(duration=HOUR, buffer_before=2 * HOUR, buffer_after=2 * HOUR)

        assert [reason(start, generous) for start in ("09:00", "11:00", "17:00")] == [None] * 3

    def test_a_staff_member_who_does_not_work_then_is_off(self) -> None:
        mornings = every_day((540, 720))

        assert reason("09:00", working=mornings) is None
        assert reason("13:00", working=mornings) is SlotReason.STAFF_OFF

    def test_a_day_off_is_off(self) -> None:
        holidays = every_day((540, 1080), closed_dates=(date(2026, 6, 10),))

        assert reason("09:00", working=holidays) is SlotReason.STAFF_OFF

    @pytest.mark.parametrize(
        ("now", "expected"),
        [("07:00", None), ("07:01", SlotReason.LEAD_TIME), ("09:00", SlotReason.LEAD_TIME),
         ("18:00", SlotReason.LEAD_TIME)],
    )  # fmt: skip
    def test_a_start_needs_its_lead_time(self, now: str, expected: SlotReason | None) -> None:
        assert reason("09:00", replace(AN_HOUR, lead_time=2 * HOUR), now=at(now)) is expected

    def test_the_past_cannot_be_booked(self) -> None:
        assert reason("09:00", now=at("09:00")) is None
        assert reason("09:00", now=at("09:00") + timedelta.resolution) is SlotReason.LEAD_TIME

    def test_a_start_past_the_horizon_is_too_far_ahead(self) -> None:
        week_ahead = replace(AN_HOUR, ahead_max=7 * DAY)

        assert reason("09:00", week_ahead, now=at("09:00") - 7 * DAY) is None
        assert reason("09:00", week_ahead, now=at("08:59") - 7 * DAY) is SlotReason.TOO_FAR_AHEAD
        assert reason("09:00", now=at("08:59") - AHEAD_MAX_DEFAULT) is SlotReason.TOO_FAR_AHEAD

    @pytest.mark.parametrize(
        ("start", "expected"),
        [
            ("13:00", SlotReason.BUFFER),
            ("13:01", SlotReason.BUSY),
            ("13:30", SlotReason.BUSY),
            ("14:30", SlotReason.BUSY),
            ("14:59", SlotReason.BUSY),
            ("15:00", SlotReason.BUFFER),
            ("15:14", SlotReason.BUFFER),
            ("15:15", None),
        ],
    )
    def test_a_job_in_the_way_is_busy_and_only_its_buffer_in_the_way_is_buffer(
        self, start: str, expected: SlotReason | None
    ) -> None:
        assert reason(start, AN_HOUR, busy_for(at("14:00"), AN_HOUR)) is expected

    def test_one_s_own_buffer_may_be_what_collides(self) -> None:
        taken = busy_for(at("14:00"), SlotTerms(duration=HOUR, buffer_after=timedelta(0)))
        careful = SlotTerms(duration=HOUR, buffer_before=30 * MINUTE, buffer_after=timedelta(0))

        assert reason("15:29", careful, taken) is SlotReason.BUFFER
        assert reason("15:30", careful, taken) is None
        assert reason("13:00", careful, taken) is None

    def test_a_block_without_buffers_is_busy_all_through(self) -> None:
        errand = Span(at("14:00"), at("15:00"))

        assert reason("14:45", AN_HOUR, BusyTime(held=errand, job=errand)) is SlotReason.BUSY
        assert reason("15:00", AN_HOUR, BusyTime(held=errand, job=errand)) is None

    def test_a_moved_booking_does_not_collide_with_itself_once_left_out(self) -> None:
        own = busy_for(at("14:00"), AN_HOUR)

        assert reason("14:30", AN_HOUR, own) is SlotReason.BUSY
        assert reason("14:30", AN_HOUR) is None

    @pytest.mark.parametrize(("now", "expected"), [("14:29", None), ("14:30", None), ("14:31", SlotReason.OVERRUN)])
    def test_who_over_runs_gets_nothing_within_half_an_hour(self, now: str, expected: SlotReason | None) -> None:
        assert reason("15:00", now=at(now), overrunning=True) is expected
        assert reason("15:00", now=at(now), overrunning=False) is None

    def test_a_job_across_midnight_and_the_end_of_a_month_can_be_booked(self) -> None:
        schedule = StaffSchedule(opening=every_day((1080, 1560)))
        terms = SlotTerms(duration=2 * HOUR)

        assert unavailable_reason(at("23:30", "2026-06-30"), terms, schedule, LONG_AGO) is None
        assert unavailable_reason(at("00:01", "2026-07-01"), terms, schedule, LONG_AGO) is SlotReason.HOURS


class TestFreeSlots:
    def slots(
        self, schedule: StaffSchedule, day: str = TODAY, step: timedelta = 30 * MINUTE, **more: object
    ) -> list[str]:
        zone = schedule.opening.zone
        next_day = (date.fromisoformat(day) + DAY).isoformat()
        arguments = {
            "terms": AN_HOUR,
            "range_": Span(at("00:00", day, zone), at("00:00", next_day, zone)),
            "now": LONG_AGO,
        } | more
        terms = arguments.pop("terms")
        return clocks(free_slots(terms, schedule, step=step, **arguments), zone)  # type: ignore[arg-type]

    def test_an_empty_day_offers_each_start_that_ends_in_time(self) -> None:
        assert self.slots(StaffSchedule(opening=OPENING), step=HOUR) == [
            "09:00", "10:00", "11:00", "13:00", "14:00", "15:00", "16:00", "17:00",
        ]  # fmt: skip

    def test_the_grid_starts_anew_at_each_opening(self) -> None:
        assert self.slots(StaffSchedule(opening=every_day((545, 690), (785, 900))), step=30 * MINUTE) == [
            "09:05", "09:35", "10:05", "13:05", "13:35",
        ]  # fmt: skip

    def test_all_staff_share_the_business_s_grid(self) -> None:
        assert self.slots(StaffSchedule(opening=OPENING, working=every_day((560, 720))), step=30 * MINUTE) == [
            "09:30", "10:00", "10:30", "11:00",
        ]  # fmt: skip

    def test_a_job_takes_the_starts_that_collide_with_it_or_its_buffers(self) -> None:
        busy = [busy_for(at("14:15"), AN_HOUR)]

        assert self.slots(StaffSchedule(opening=every_day((780, 1080)), busy=busy), step=15 * MINUTE) == [
            "13:00", "15:30", "15:45", "16:00", "16:15", "16:30", "16:45", "17:00",
        ]  # fmt: skip

    def test_a_gap_that_fits_to_the_minute_is_offered(self) -> None:
        busy = [busy_for(at("13:00"), AN_HOUR), busy_for(at("15:30"), AN_HOUR)]

        assert self.slots(StaffSchedule(opening=every_day((780, 990)), busy=busy), step=5 * MINUTE) == ["14:15"]

    def test_lead_time_horizon_and_over_run_bound_the_starts(self) -> None:
        terms = replace(AN_HOUR, lead_time=5 * MINUTE, ahead_max=3 * HOUR)
        schedule = StaffSchedule(opening=OPENING)

        assert self.slots(schedule, terms=terms, now=at("13:25")) == [
            "13:30", "14:00", "14:30", "15:00", "15:30", "16:00",
        ]  # fmt: skip
        assert self.slots(replace(schedule, overrunning=True), terms=terms, now=at("13:25"))[0] == "14:00"

    def test_the_range_is_half_open_and_does_not_move_the_grid(self) -> None:
        range_ = Span(at("09:10"), at("10:30"))

        assert self.slots(StaffSchedule(opening=OPENING), range_=range_) == ["09:30", "10:00"]

    def test_the_limit_keeps_the_earliest(self) -> None:
        assert self.slots(StaffSchedule(opening=OPENING), limit=2) == ["09:00", "09:30"]

    def test_a_job_that_ends_past_the_range_is_still_offered(self) -> None:
        around_the_clock = StaffSchedule(opening=every_day((0, DAY_MINUTES)))

        assert self.slots(around_the_clock)[-1] == "23:30"

    @pytest.mark.parametrize(("day", "count"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)])
    def test_a_day_has_as_many_hours_as_the_clocks_give_it(self, day: str, count: int) -> None:
        assert len(self.slots(StaffSchedule(opening=every_day((0, DAY_MINUTES))), day, step=HOUR)) == count

    @pytest.mark.parametrize("day", ["2026-04-05", "2026-10-04"])
    def test_the_grid_is_back_on_the_hour_the_day_after_a_change_by_half_an_hour(self, day: str) -> None:
        schedule = StaffSchedule(opening=every_day((0, DAY_MINUTES), zone="Australia/Lord_Howe"))
        next_day = (date.fromisoformat(day) + DAY).isoformat()

        assert self.slots(schedule, day, step=HOUR)[-1] != "23:00"
        assert self.slots(schedule, next_day, step=HOUR) == [f"{hour:02}:00" for hour in range(24)]

    @pytest.mark.parametrize("arguments", [{"step": MINUTE}, {"limit": 0}, {"limit": SLOTS_MAX + 1}])
    def test_steps_and_limits_out_of_bounds_are_refused(self, arguments: dict[str, object]) -> None:
        with pytest.raises(ValueError, match="at least"):
            self.slots(StaffSchedule(opening=OPENING), **arguments)  # type: ignore[arg-type]


FIVE = 5 * MINUTE
BASE = datetime(2026, 3, 28, 23, tzinfo=UTC)
fives = st.integers(0, 18).map(lambda n: n * FIVE)
terms_ = st.builds(
    SlotTerms,
    duration=st.integers(1, 24).map(lambda n: n * FIVE),
    buffer_before=fives,
    buffer_after=fives,
    lead_time=st.integers(0, 40).map(lambda n: n * FIVE),
    ahead_max=st.integers(100, 1000).map(lambda n: n * FIVE),
)
openings = st.sampled_from(
    [
        every_day((540, 720), (780, 1080)),
        every_day((1080, 1680)),
        every_day((0, DAY_MINUTES), closed_dates=(date(2026, 3, 30),)),
        every_day((0, 100), (105, 600), (600, 900)),
        every_day((100, 1000), zone="America/New_York"),
    ]
)
jobs = st.lists(st.tuples(st.integers(-50, 500).map(lambda n: BASE + n * FIVE), terms_), max_size=5)


@st.composite
def diaries(draw: st.DrawFn) -> StaffSchedule:
    return StaffSchedule(
        opening=draw(openings),
        working=draw(st.none() | openings),
        busy=[busy_for(start_at, terms) for start_at, terms in draw(jobs)],
        overrunning=draw(st.booleans()),
    )


def span_minutes(span: Span) -> set[datetime]:
    count = (span.to_at - span.from_at) // FIVE
    return {span.from_at + step * FIVE for step in range(count)}


nows = st.integers(-150, 50).map(lambda n: BASE + n * FIVE)


@pytest.mark.sized
@settings(max_examples=100 * TIMES)
@given(terms_, diaries(), nows, st.integers(0, 400).map(lambda n: BASE + n * FIVE))
def test_a_start_can_be_booked_exactly_when_each_of_its_minutes_can(
    terms: SlotTerms, schedule: StaffSchedule, now: datetime, start_at: datetime
) -> None:
    wanted = busy_for(start_at, terms)
    fits = all(is_open(hours, *wanted.job) for hours in (schedule.opening, schedule.working) if hours)
    taken = set().union(*(span_minutes(block.held) for block in schedule.busy))
    in_time = now + terms.lead_time <= start_at <= now + terms.ahead_max
    over = schedule.overrunning and start_at - now < 30 * MINUTE

    expected = fits and in_time and not over and not taken & span_minutes(wanted.held)

    assert (unavailable_reason(start_at, terms, schedule, now) is None) == expected


@pytest.mark.sized
@settings(max_examples=100 * TIMES)
@given(terms_, diaries(), nows, st.integers(0, 200), st.integers(1, 288))
def test_free_slots_are_the_starts_of_the_grid_without_an_unavailable_reason(
    terms: SlotTerms, schedule: StaffSchedule, now: datetime, first: int, length: int
) -> None:
    range_ = Span(BASE + first * FIVE, BASE + (first + length) * FIVE)

    free = free_slots(terms, schedule, step=FIVE, range_=range_, now=now)

    assert free == [
        start_at
        for start_at in sorted(span_minutes(range_))
        if unavailable_reason(start_at, terms, schedule, now) is None
    ]


@pytest.mark.sized
@settings(max_examples=100 * TIMES)
@given(terms_, st.lists(diaries(), min_size=1, max_size=4), nows, st.integers(0, 200), st.integers(1, 30))
def test_a_grid_that_staff_share_lists_and_explains_as_step_by_step(
    terms: SlotTerms, schedules: list[StaffSchedule], now: datetime, first: int, limit: int
) -> None:
    opening = schedules[0].opening
    range_ = Span(BASE + first * FIVE, BASE + (first + 288) * FIVE)
    grid = SlotGrid(opening, terms, step=FIVE, range_=range_, now=now)

    for schedule in (replace(one, opening=opening) for one in schedules):
        starts = sorted(span_minutes(range_))
        reasons = [unavailable_reason(start_at, terms, schedule, now) for start_at in starts]
        free = [start_at for start_at, why in zip(starts, reasons, strict=True) if why is None]

        assert list(grid.reasons(starts, schedule)) == reasons
        assert grid.free(schedule) == free
        assert grid.free(schedule, limit) == free[:limit]
