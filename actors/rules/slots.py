"""Bookable time: one set of rules lists free starts, refuses other ones, and explains why (rules B-2, F-1).

A job takes its staff member's time from its start, less the buffer before, to its end, plus the buffer after. The job
itself lies inside the opening and the working hours; its buffers may extend past them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from actors.rules.hours import Span, is_open, joined, open_spans
from protocol.instants import INSTANT_MAX, INSTANT_MIN, OpenHours

#: How far ahead a booking may start, unless the business says otherwise.
AHEAD_MAX_DEFAULT = timedelta(days=365)
#: A staff member whose job overruns its estimate cannot be booked for starts within this time from now.
OVERRUN_MARGIN = timedelta(minutes=30)
#: The longest job.
DURATION_MAX = timedelta(days=31)
BUFFER_MAX = timedelta(days=1)
LEAD_TIME_MAX = timedelta(days=365)
AHEAD_MAX = timedelta(days=3 * 366)
#: The finest grid of bookable starts.
STEP_MIN = timedelta(minutes=5)
#: The most starts of one result; it has the earliest ones.
SLOTS_MAX = 2_000

_NOTHING = timedelta()


class SlotReason(StrEnum):
    """Why a start cannot be booked; checked in this order."""

    LEAD_TIME = "lead_time"
    TOO_FAR_AHEAD = "too_far_ahead"
    HOURS = "hours"
    STAFF_OFF = "staff_off"
    OVERRUN = "overrun"
    BUSY = "busy"
    BUFFER = "buffer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTerms:
    """The terms of a service that its slots depend on, as a snapshot."""

    duration: timedelta
    buffer_before: timedelta = _NOTHING
    buffer_after: timedelta = timedelta(minutes=15)
    #: From now to the earliest start.
    lead_time: timedelta = _NOTHING
    ahead_max: timedelta = AHEAD_MAX_DEFAULT

    def __post_init__(self) -> None:
        if not _NOTHING < self.duration <= DURATION_MAX:
            raise ValueError(f"a job takes time, and at most {DURATION_MAX.days} days")
        if not (_NOTHING <= self.buffer_before <= BUFFER_MAX and _NOTHING <= self.buffer_after <= BUFFER_MAX):
            raise ValueError(f"a buffer is at least 0 and at most {BUFFER_MAX.days} day")
        if not (_NOTHING <= self.lead_time <= LEAD_TIME_MAX and _NOTHING <= self.ahead_max <= AHEAD_MAX):
            raise ValueError("lead time and horizon are at least 0 and within their bounds")


class BusyTime(NamedTuple):
    """Time of a staff member that is taken."""

    #: Job and buffers: what is reserved.
    held: Span
    #: The job alone. The same as ``held`` for a block that is not a job, or whose buffers are not known.
    job: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffSchedule:
    """A staff member's hours and the time that is already taken."""

    #: The opening hours of the business.
    opening: OpenHours
    #: The staff member's working hours and days off, in the business's zone; None: whenever the business is open.
    working: OpenHours | None = None
    #: Jobs and other blocks, in any order; excludes the booking that is being moved.
    busy: Sequence[BusyTime] = ()
    #: Whether a job is in progress past its estimate.
    overrunning: bool = False


def busy_for(start_at: datetime, terms: SlotTerms) -> BusyTime:
    """Return the time that a job takes: ``[start − buffer_before, start + duration + buffer_after)``."""
    end_at = start_at + terms.duration
    return BusyTime(
        held=Span(start_at - terms.buffer_before, end_at + terms.buffer_after),
        job=Span(start_at, end_at),
    )


def unavailable_reason(
    start_at: datetime, terms: SlotTerms, schedule: StaffSchedule, now: datetime
) -> SlotReason | None:
    """Return why a start cannot be booked with this staff member; None if it can.

    Bookings are checked and missing slots are explained by this same function.
    """
    wanted = busy_for(start_at, terms)
    return (
        _too_soon_or_late(start_at, terms, now)
        or _outside(wanted.job, schedule)
        or _overrun(start_at, schedule, now)
        or _collision(wanted, schedule.busy)
    )


def free_slots(
    terms: SlotTerms,
    schedule: StaffSchedule,
    *,
    step: timedelta,
    range_: Span,
    now: datetime,
    limit: int = SLOTS_MAX,
) -> list[datetime]:
    """List the bookable starts within a range, earliest first: those of the grid without an ``unavailable_reason``.

    The grid starts anew at each opening of the business, so all of its staff share it.

    Args:
        step: the grid's width, at least STEP_MIN.
        range_: where the starts lie, half open; with a duration added, at most RANGE_MAX long.
        limit: the most starts to list, at most SLOTS_MAX.
    """
    if step < STEP_MIN or not 0 < limit <= SLOTS_MAX:
        raise ValueError(f"a step is at least {STEP_MIN}, a limit 1 to {SLOTS_MAX}")
    last_end_at = range_.to_at + terms.duration
    openings = open_spans(schedule.opening, range_.from_at, last_end_at)
    starts = _between(_grid(openings, step, _bookable(terms, schedule, range_, now)), _fitting(openings, terms))
    if schedule.working:
        starts = _between(starts, _fitting(open_spans(schedule.working, range_.from_at, last_end_at), terms))
    return _between(starts, _gaps(schedule.busy, terms))[:limit]


def _too_soon_or_late(start_at: datetime, terms: SlotTerms, now: datetime) -> SlotReason | None:
    if start_at < now + terms.lead_time:
        return SlotReason.LEAD_TIME
    return SlotReason.TOO_FAR_AHEAD if start_at > now + terms.ahead_max else None


def _outside(job: Span, schedule: StaffSchedule) -> SlotReason | None:
    if not is_open(schedule.opening, job.from_at, job.to_at):
        return SlotReason.HOURS
    if schedule.working and not is_open(schedule.working, job.from_at, job.to_at):
        return SlotReason.STAFF_OFF
    return None


def _overrun(start_at: datetime, schedule: StaffSchedule, now: datetime) -> SlotReason | None:
    return SlotReason.OVERRUN if schedule.overrunning and start_at < now + OVERRUN_MARGIN else None


def _collision(wanted: BusyTime, busy: Sequence[BusyTime]) -> SlotReason | None:
    if any(wanted.job.overlaps(block.job) for block in busy):
        return SlotReason.BUSY
    return SlotReason.BUFFER if any(wanted.held.overlaps(block.held) for block in busy) else None


def _bookable(terms: SlotTerms, schedule: StaffSchedule, range_: Span, now: datetime) -> Span:
    """Narrow a range of starts by lead time, horizon and overrun."""
    earliest = max(range_.from_at, now + terms.lead_time)
    if schedule.overrunning:
        earliest = max(earliest, now + OVERRUN_MARGIN)
    # The horizon itself is still bookable, and spans are half open.
    return Span(earliest, min(range_.to_at, now + terms.ahead_max + timedelta.resolution))


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


def _fitting(spans: Iterable[Span], terms: SlotTerms) -> Iterator[tuple[datetime, datetime]]:
    """Yield the ranges of starts, both ends included, at which a job lies inside the spans."""
    return ((span.from_at, span.to_at - terms.duration) for span in joined(spans))


def _gaps(busy: Iterable[BusyTime], terms: SlotTerms) -> Iterator[tuple[datetime, datetime]]:
    """Yield the ranges of starts, both ends included, at which a job and its buffers do not overlap other blocks."""
    earliest = INSTANT_MIN
    for taken in joined(sorted(block.held for block in busy)):
        yield earliest, taken.from_at - terms.duration - terms.buffer_after
        earliest = taken.to_at + terms.buffer_before
    yield earliest, INSTANT_MAX


def _between(starts: list[datetime], ranges: Iterable[tuple[datetime, datetime]]) -> list[datetime]:
    """Return the sorted starts that lie in one of the ranges, which are in order, disjoint and include both ends."""
    return [
        start_at
        for first_at, last_at in ranges
        for start_at in starts[bisect_left(starts, first_at) : bisect_right(starts, last_at)]
    ]
