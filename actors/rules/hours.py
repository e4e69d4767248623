"""Opening hours: the spans in which a business is open or a staff member works, always in the business's zone."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

from actors.rules.zones import first_instant, to_local
from protocol.instants import LocalSpan, OpenHours

#: The longest range of ``open_spans``: a quarter of a year, and a day at either end.
RANGE_MAX = timedelta(days=94)
#: Days in the cache. Businesses with the same hours and zone share them.
DAYS_KEPT_MAX = 4_096

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_MIDNIGHT = time()


class Span(NamedTuple):
    """Time from an instant to another, half open."""

    from_at: datetime
    to_at: datetime

    def overlaps(self, other: "Span") -> bool:
        return self.from_at < other.to_at and other.from_at < self.to_at

    def contains(self, other: "Span") -> bool:
        return self.from_at <= other.from_at and other.to_at <= self.to_at


def is_open(hours: OpenHours, start_at: datetime, end_at: datetime) -> bool:
    """Whether the whole of [start, end) is inside the opening hours, without a break in between (rule B-2)."""
    wanted = Span(start_at, end_at)
    return any(span.contains(wanted) for span in joined(open_spans(hours, start_at, end_at)))


def open_spans(hours: OpenHours, from_at: datetime, to_at: datetime) -> list[Span]:
    """Return the opening spans that overlap a range, in UTC, uncut and in order of opening.

    There is one span for each opening: a business open around the clock has one for each day. ``joined`` merges spans
    that touch.

    Opening and closing are wall clock times. When the clocks change, a skipped time means the moment of the change,
    and an ambiguous time means the earlier instant.

    Raises: ValueError for a range that is empty, or longer than RANGE_MAX.
    """
    if not from_at < to_at <= from_at + RANGE_MAX:
        raise ValueError(f"a range is not empty and has at most {RANGE_MAX.days} days")
    first_day = to_local(from_at, hours.zone).date()
    last_at = to_local(to_at, hours.zone)
    # Clocks that fall back past midnight show the old date again, after the new one's first hours.
    last_day = last_at.date() + _DAY * last_at.fold
    spans: list[Span] = []
    # Yesterday's spans may reach past midnight.
    day = first_day - _DAY
    while day <= last_day:
        if not _is_closed(hours, day):
            spans += _day_spans(hours.week[day.weekday()], day, hours.zone)
        day += _DAY
    return [span for span in spans if span.from_at < to_at and span.to_at > from_at]


def joined(spans: Iterable[Span]) -> list[Span]:
    """Merge spans that touch or overlap; argument and result are in order of opening."""
    result: list[Span] = []
    for span in spans:
        if result and span.from_at <= result[-1].to_at:
            last = result[-1]
            result[-1] = Span(last.from_at, max(last.to_at, span.to_at))
        else:
            result.append(span)
    return result


@lru_cache(maxsize=DAYS_KEPT_MAX)
def _day_spans(spans: tuple[LocalSpan, ...], day: date, zone: str) -> tuple[Span, ...]:
    """Return the spans of one day, without those that a clock change skips. Cached."""
    midnight = datetime.combine(day, _MIDNIGHT)
    laid_out = (
        Span(
            first_instant(midnight + _MINUTE * span.opens_minute, zone),
            first_instant(midnight + _MINUTE * span.closes_minute, zone),
        )
        for span in spans
    )
    return tuple(span for span in laid_out if span.from_at < span.to_at)


def _is_closed(hours: OpenHours, day: date) -> bool:
    dates = hours.closed_dates
    index = bisect_left(dates, day)
    return index < len(dates) and dates[index] == day
