"""Bookable time: whether a start can be booked with a staff member, or why not (rules B-2, F-1).

``slot_grid.py`` lists and explains many starts by the same rules.

A job takes its staff member's time from its start, less the buffer before, to its end, plus the buffer after. The job
itself lies inside the opening and the working hours; its buffers may extend past them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from actors.rules.hours import Span, is_open
from protocol.instants import OpenHours

#: How far ahead a booking may start, unless the business says otherwise.
AHEAD_MAX_DEFAULT = timedelta(days=365)
#: A staff member whose job overruns its estimate cannot be booked for starts within this time from now.
OVERRUN_MARGIN = timedelta(minutes=30)
#: The longest job.
DURATION_MAX = timedelta(days=31)
BUFFER_MAX = timedelta(days=1)
LEAD_TIME_MAX = timedelta(days=365)
AHEAD_MAX = timedelta(days=3 * 366)

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

    Bookings are checked by this function, and ``SlotGrid`` lists and explains starts as it does.
    """
    wanted = busy_for(start_at, terms)
    return (
        _too_soon_or_late(start_at, terms, now)
        or _outside(wanted.job, schedule)
        or _overrun(start_at, schedule, now)
        or _collision(wanted, schedule.busy)
    )


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
