"""A microbenchmark of the search for free slots: a large salon that is open around the clock, for a month."""

from datetime import UTC, datetime, timedelta
from time import process_time
from uuid import UUID

import msgspec

from actors.rules.hours import Span
from bench.compared import Compared
from protocol.booking.facts import BookingFacts, BusinessFacts, ServiceFacts, StaffFacts
from protocol.ids import BusinessId, ServiceId, UserId
from protocol.instants import DAY_MINUTES, LocalSpan, OpenHours
from protocol.service.terms import EXPLAINED_DAYS_MAX, SLOT_RANGE_DAYS_MAX
from server.queries.slots import show_slots

STAFF = 46
RUNS = 20
NOW = datetime(2026, 6, 1, 10, tzinfo=UTC)


async def run_slots() -> list[Compared]:
    """Measure the CPU time of the largest answers, with and without explanations."""
    return [
        Compared(workload="slots", what=what, ours=_cpu_ms(days, explain=explain), digits=1, wanted="≤ 5")
        for what, days, explain in (
            (f"ms of CPU for {STAFF} staff, {SLOT_RANGE_DAYS_MAX} days", SLOT_RANGE_DAYS_MAX, False),
            (f"ms of CPU for {STAFF} staff, {EXPLAINED_DAYS_MAX} days explained", EXPLAINED_DAYS_MAX, True),
        )
    ]


def _cpu_ms(days: int, *, explain: bool) -> float:
    """The CPU time of one answer, encoded."""
    facts, range_ = _facts(), Span(NOW, NOW + timedelta(days=days))
    msgspec.json.encode(show_slots(facts, range_, NOW, explain=explain))
    began_s = process_time()
    for _ in range(RUNS):
        msgspec.json.encode(show_slots(facts, range_, NOW, explain=explain))
    return (process_time() - began_s) / RUNS * 1_000


def _facts() -> BookingFacts:
    always = OpenHours(zone="Europe/Berlin", week=((LocalSpan(0, DAY_MINUTES),),) * 7)
    staff = tuple(UserId(UUID(int=number)) for number in range(1, STAFF + 1))
    business_id, owner_id = BusinessId(UUID(int=1_000)), UserId(UUID(int=1))
    return BookingFacts(
        service=ServiceFacts(
            id=ServiceId(UUID(int=1_001)), business_id=business_id, title="Trim", price_minor=1_000, currency="EUR",
            duration_minutes=15, buffer_before_minutes=0, buffer_after_minutes=0, is_active=True,
        ),
        business=BusinessFacts(
            id=business_id, owner_id=owner_id, zone=always.zone, hours=always, lead_time_minutes=0,
            auto_approve=True, commission_bp=0, is_active=True,
        ),
        staff=tuple(
            StaffFacts(
                staff_id=staff_id, is_owner=staff_id == owner_id, rating=4.0, working=None, busy=(), overrunning=False
            )
            for staff_id in staff
        ),
        offering=staff,
        blocked=False,
    )  # fmt: skip
