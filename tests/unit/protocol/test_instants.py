"""Instants come in as RFC 3339 and are UTC from then on; hours of a week are checked when they are made."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
import tzdata
from hypothesis import given
from hypothesis import strategies as st

from protocol.instants import (
    CLOSED_DATES_MAX,
    INSTANT_MAX,
    INSTANT_MIN,
    SPANS_PER_DAY_MAX,
    ZONES_VERSION,
    HoursInvalid,
    Instant,
    InstantMalformed,
    InstantOutOfRange,
    LocalSpan,
    OpenHours,
    UnknownZone,
    parse_instant,
    to_utc,
    zone_info,
)
from tests.support.documents import ROOT

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(
    min_value=INSTANT_MIN.replace(tzinfo=None), max_value=INSTANT_MAX.replace(tzinfo=None), timezones=st.just(UTC)
)
NINE_TO_FIVE = (LocalSpan(540, 1020),)


def hours(*monday: LocalSpan, zone: str = "Europe/Berlin", closed_dates: tuple[date, ...] = ()) -> OpenHours:
    return OpenHours(zone=zone, week=(monday, (), (), (), (), (), ()), closed_dates=closed_dates)


class TestInstants:
    @given(instants, offsets)
    def test_an_instant_is_the_same_whatever_offset_it_is_written_in(self, at: datetime, zone: timezone) -> None:
        read = parse_instant(at.astimezone(zone).isoformat())

        assert read == at
        assert read.tzinfo is UTC

    @pytest.mark.parametrize(
        ("text", "at"),
        [
            ("2026-03-29T09:30:00+02:00", datetime(2026, 3, 29, 7, 30, tzinfo=UTC)),
            ("2026-03-29t07:30:00z", datetime(2026, 3, 29, 7, 30, tzinfo=UTC)),
            ("2026-03-29T13:15:00.250+05:45", datetime(2026, 3, 29, 7, 30, 0, 250_000, tzinfo=UTC)),
        ],
    )
    def test_rfc_3339_is_read(self, text: str, at: datetime) -> None:
        assert parse_instant(text) == at

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "2026-03-29",
            "2026-03-29T09:30:00",
            "2026-03-29T09:30Z",
            "20260329T093000Z",
            "2026-W13-7T09:30:00Z",
            "2026-02-30T09:30:00Z",
            "2026-03-29T24:00:00Z",
            "2026-03-29T09:30:60Z",
            "2026-03-29T09:30:00+25:00",
            "2026-03-29T09:30:00Z\n",
            "1774776600",
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(InstantMalformed):
            parse_instant(text)

    @pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z"])
    def test_instants_at_the_ends_of_the_calendar_are_refused(self, text: str) -> None:
        with pytest.raises(InstantOutOfRange):
            parse_instant(text)

    def test_a_naive_time_is_no_instant(self) -> None:
        with pytest.raises(InstantMalformed):
            to_utc(datetime(2026, 3, 29, 9, 30))

    def test_the_wire_type_refuses_a_time_without_offset(self) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(b'"2026-03-29T09:30:00"', type=Instant)


class TestZones:
    @pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
    def test_zones_of_the_database_are_known(self, name: str) -> None:
        assert zone_info(name).key == name

    @pytest.mark.parametrize(
        "name",
        ["", "Europe", "europe/berlin", "CEST+2", "../../etc/passwd", "/etc/localtime", "localtime", "Factory",
         "right/Europe/Berlin", "posix/Europe/Berlin", "a\0b", "x" * 10_000],
    )  # fmt: skip
    def test_other_names_are_refused(self, name: str) -> None:
        with pytest.raises(UnknownZone):
            zone_info(name)

    def test_winnipeg_keeps_summer_time_in_winter_from_2026_on(self) -> None:
        nine = datetime(2026, 12, 1, 9, tzinfo=zone_info("America/Winnipeg"))

        assert nine.astimezone(UTC) == datetime(2026, 12, 1, 14, tzinfo=UTC)

    def test_the_rules_are_not_the_host_s(self, tmp_path: Path) -> None:
        """The host says that Winnipeg has the time of Tokyo."""
        wrong = tmp_path / "America" / "Winnipeg"
        wrong.parent.mkdir()
        wrong.write_bytes((Path(tzdata.__file__).parent / "zoneinfo" / "Asia" / "Tokyo").read_bytes())
        command = [sys.executable, "-c", WINNIPEG]
        shown = subprocess.run(
            command, env={"PYTHONTZPATH": str(tmp_path)}, cwd=ROOT, capture_output=True, text=True, check=True
        )

        assert shown.stdout.split() == ["09:00", "-1", "day,", "19:00:00"]

    def test_the_version_of_the_rules_is_iana_s(self) -> None:
        assert tzdata.IANA_VERSION == ZONES_VERSION


#: Prints 9:00 in Tokyo as the host has it, and the offset of Winnipeg as the server has it.
WINNIPEG = """
from datetime import UTC, datetime
from zoneinfo import ZoneInfo
from protocol.instants import zone_info
at = datetime(2026, 12, 1, tzinfo=UTC)
print(f"{at.astimezone(ZoneInfo('America/Winnipeg')):%H:%M}", at.astimezone(zone_info('America/Winnipeg')).utcoffset())
"""


class TestOpenHours:
    def test_hours_travel_as_minutes_of_each_weekday(self) -> None:
        body = (
            b'{"zone":"Europe/Berlin","week":[[[540,720],[780,1080]],[],[],[],[[1080,1560]],[],[]],'
            b'"closed_dates":["2026-12-25"]}'
        )

        read = msgspec.json.decode(body, type=OpenHours)

        assert read.week[0] == (LocalSpan(540, 720), LocalSpan(780, 1080))
        assert read.week[4] == (LocalSpan(1080, 1560),)
        assert msgspec.json.encode(read) == body

    def test_closed_dates_are_kept_sorted_and_each_once(self) -> None:
        first, second = date(2026, 12, 25), date(2026, 12, 26)

        made = hours(closed_dates=(second, first, second))

        assert made.closed_dates == (first, second)
        assert made == hours(closed_dates=(first, second))

    @pytest.mark.parametrize(
        ("opens_minute", "closes_minute"), [(-1, 60), (1440, 1500), (540, 540), (540, 480), (0, 2881)]
    )
    def test_a_span_that_runs_backwards_or_past_the_next_day_is_refused(
        self, opens_minute: int, closes_minute: int
    ) -> None:
        with pytest.raises(HoursInvalid):
            LocalSpan(opens_minute, closes_minute)

    @pytest.mark.parametrize("spans", [((540, 720), (719, 800)), ((780, 1080), (540, 720)), ((540, 720), (540, 720))])
    def test_spans_of_a_day_that_overlap_or_are_out_of_order_are_refused(self, spans: tuple[tuple[int, int]]) -> None:
        with pytest.raises(HoursInvalid):
            hours(*(LocalSpan(*span) for span in spans))

    def test_spans_that_touch_are_allowed(self) -> None:
        assert len(hours(LocalSpan(540, 720), LocalSpan(720, 800)).week[0]) == 2

    def test_more_spans_than_the_limit_are_refused(self) -> None:
        spans = [LocalSpan(minute, minute + 1) for minute in range(SPANS_PER_DAY_MAX + 1)]

        with pytest.raises(HoursInvalid):
            hours(*spans)

    def test_more_closed_dates_than_the_limit_are_refused(self) -> None:
        dates = tuple(date(2026, 1, 1) + timedelta(days=day) for day in range(CLOSED_DATES_MAX + 1))

        with pytest.raises(HoursInvalid):
            hours(closed_dates=dates)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"zone":"Mars/Olympus","week":[[],[],[],[],[],[],[]]}',
            b'{"zone":"UTC","week":[[],[],[],[],[],[]]}',
            b'{"zone":"UTC","week":[[],[],[],[],[],[],[],[]]}',
            b'{"zone":"UTC","week":[[[540,500]],[],[],[],[],[],[]]}',
            b'{"zone":"UTC","week":[[[540]],[],[],[],[],[],[]]}',
            b'{"zone":"UTC","week":[[[540,600,1]],[],[],[],[],[],[]]}',
            b'{"zone":"UTC","week":[[[540.5,600]],[],[],[],[],[],[]]}',
            b'{"zone":"UTC","week":[[],[],[],[],[],[],[]],"closed_dates":["2026-02-30"]}',
            b'{"zone":"UTC","week":[[],[],[],[],[],[],[]],"open":true}',
        ],
    )
    def test_decoding_refuses_hours_that_cannot_be(self, body: bytes) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=OpenHours)
