"""Many starts at once: the free ones of a range, and why the others are not (rules F-1, F-2).

A rule of ``slots.py`` leaves ranges of starts: those at which a job fits into the opening hours, the working hours,
or between two jobs. What is free is their intersection with the grid. The work grows with the number of hours and jobs,
and with that of starts only as far as they are listed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from actors.rules.hours import Span, joined, open_spans
from actors.rules.slots import OVERRUN_MARGIN, SlotReason, SlotTerms, StaffSchedule
from protocol.instants import INSTANT_MAX, INSTANT_MIN, OpenHours

#: The finest grid of bookable starts.
STEP_MIN = timedelta(minutes=5)
#: The most starts of one result; it has the earliest ones.
SLOTS_MAX = 2_000

_NOTHING = timedelta()


class _Starts(NamedTuple):
    """Ranges of starts, in order and disjoint; both ends are included."""

    first_at: list[datetime]
    last_at: list[datetime]

    def has(self, start_at: datetime) -> bool:
        index = bisect_right(self.first_at, start_at) - 1
        return index >= 0 and start_at <= self.last_at[index]


class SlotGrid:
    """The grid of starts of one service in a range. It starts anew at each opening, so all staff share it.

    Args:
        step: the grid's width, at least STEP_MIN.
        range_: where the starts lie, half open; with a duration added, at most RANGE_MAX long.
    """

    def __init__(self, opening: OpenHours, terms: SlotTerms, *, step: timedelta, range_: Span, now: datetime) -> None:
        if step < STEP_MIN:
            raise ValueError(f"a step is at least {STEP_MIN}")
        self._terms = terms
        self._range = range_
        self._now = now
        openings = open_spans(opening, range_.from_at, range_.to_at + terms.duration)
        self._opening = self._fitting(openings)
        self._starts = _between(_grid(openings, step, range_), _pairs(self._opening))
        #: By working hours, which staff members often share.
        self._working: dict[OpenHours, _Starts] = {}

    def free(self, schedule: StaffSchedule, limit: int = SLOTS_MAX) -> list[datetime]:
        """List a staff member's bookable starts, earliest first: those without an ``unavailable_reason``.

        Args:
            limit: the most starts to list, at most SLOTS_MAX.
        """
        if not 0 < limit <= SLOTS_MAX:
            raise ValueError(f"a limit is at least 1 and at most {SLOTS_MAX}")
        ranges = _common([self._bookable(schedule)], _pairs(self._gaps(schedule)))
        if schedule.working:
            ranges = _common(ranges, _pairs(self._works(schedule.working)))
        return _between(self._starts, ranges, limit)

    def reasons(self, starts: Iterable[datetime], schedule: StaffSchedule) -> Iterator[SlotReason | None]:
        """Yield the ``unavailable_reason`` of each start; the starts lie in the range."""
        terms, now = self._terms, self._now
        earliest, latest = now + terms.lead_time, now + terms.ahead_max
        overrun_until = now + OVERRUN_MARGIN if schedule.overrunning else INSTANT_MIN
        opening, gaps = self._opening, self._gaps(schedule)
        working = self._works(schedule.working) if schedule.working else None
        idle = _free_of([block.job for block in schedule.busy], _NOTHING, terms.duration)
        for start_at in starts:
            if start_at < earliest:
                yield SlotReason.LEAD_TIME
            elif start_at > latest:
                yield SlotReason.TOO_FAR_AHEAD
            elif not opening.has(start_at):
                yield SlotReason.HOURS
            elif working and not working.has(start_at):
                yield SlotReason.STAFF_OFF
            elif start_at < overrun_until:
                yield SlotReason.OVERRUN
            elif not idle.has(start_at):
                yield SlotReason.BUSY
            else:
                yield None if gaps.has(start_at) else SlotReason.BUFFER

    def _bookable(self, schedule: StaffSchedule) -> tuple[datetime, datetime]:
        """The range of starts, both ends included, by lead time, horizon and overrun."""
        now, terms = self._now, self._terms
        earliest = max(self._range.from_at, now + terms.lead_time)
        if schedule.overrunning:
            earliest = max(earliest, now + OVERRUN_MARGIN)
        # The horizon itself is still bookable, the end of the range is not.
        return earliest, min(self._range.to_at - timedelta.resolution, now + terms.ahead_max)

    def _fitting(self, spans: Iterable[Span]) -> _Starts:
        """The ranges of starts at which a job lies inside the spans."""
        whole = joined(spans)
        return _Starts([span.from_at for span in whole], [span.to_at - self._terms.duration for span in whole])

    def _works(self, working: OpenHours) -> _Starts:
        found = self._working.get(working)
        if found is None:
            found = self._fitting(open_spans(working, self._range.from_at, self._range.to_at + self._terms.duration))
            self._working[working] = found
        return found

    def _gaps(self, schedule: StaffSchedule) -> _Starts:
        """The ranges of starts at which a job and its buffers do not overlap what the staff member has."""
        terms = self._terms
        held = [block.held for block in schedule.busy]
        return _free_of(held, terms.buffer_before, terms.duration + terms.buffer_after)


def free_slots(
    terms: SlotTerms,
    schedule: StaffSchedule,
    *,
    step: timedelta,
    range_: Span,
    now: datetime,
    limit: int = SLOTS_MAX,
) -> list[datetime]:
    """List the bookable starts of one staff member, as ``SlotGrid.free``."""
    return SlotGrid(schedule.opening, terms, step=step, range_=range_, now=now).free(schedule, limit)


def _grid(openings: Sequence[Span], step: timedelta, range_: Span) -> list[datetime]:
    """Return the grid of starts of each opening, within the range."""
    starts: set[datetime] = set()
    for span in openings:
        skipped = max(range_.from_at - span.from_at, _NOTHING)
        start_at = span.from_at - (-skipped // step) * step
        end_at = min(span.to_at, range_.to_at)
        while start_at < end_at:
            starts.add(start_at)
            start_at += step
    return sorted(starts)


def _free_of(taken: Iterable[Span], before: timedelta, after: timedelta) -> _Starts:
    """The ranges of starts that keep ``before`` and ``after`` of them free of other time."""
    found = _Starts([INSTANT_MIN], [])
    for span in joined(sorted(taken)):
        found.last_at.append(span.from_at - after)
        found.first_at.append(span.to_at + before)
    found.last_at.append(INSTANT_MAX)
    return found


def _pairs(starts: _Starts) -> Iterator[tuple[datetime, datetime]]:
    return zip(starts.first_at, starts.last_at, strict=True)


def _common(
    some: Iterable[tuple[datetime, datetime]], others: Iterable[tuple[datetime, datetime]]
) -> Iterator[tuple[datetime, datetime]]:
    """Yield what two orders of disjoint ranges have in common."""
    left, right = iter(some), iter(others)
    one, other = next(left, None), next(right, None)
    while one and other:
        first_at, last_at = max(one[0], other[0]), min(one[1], other[1])
        if first_at <= last_at:
            yield first_at, last_at
        if one[1] < other[1]:
            one = next(left, None)
        else:
            other = next(right, None)


def _between(
    starts: list[datetime], ranges: Iterable[tuple[datetime, datetime]], limit: int | None = None
) -> list[datetime]:
    """Return the sorted starts that lie in one of the ranges, which are in order and disjoint: the first ones."""
    found: list[datetime] = []
    for first_at, last_at in ranges:
        begin = bisect_left(starts, first_at)
        end = bisect_right(starts, last_at, begin)
        found += starts[begin:end] if limit is None else starts[begin : min(end, begin + limit - len(found))]
        if len(found) == limit:
            break
    return found
