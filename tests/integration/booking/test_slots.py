"""Free slots are what can be booked; the reasons why not are the ones a booking is refused for (rules F-1, F-2)."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from actors.rules.hours import Span
from actors.rules.zones import to_local
from protocol.booking.commands import CancelBooking, CreateBooking
from protocol.booking.facts import BookingAsk, BookingFacts, BusinessFacts, ServiceFacts, StaffFacts
from protocol.business.commands import BlockCustomer, SetAvailability, UpdateBusiness
from protocol.business.terms import Week
from protocol.errors import Invalid, NoStaffFree, NotFound, PairBlocked, SlotTaken, SlotUnavailable
from protocol.ids import BookingId, BusinessId, ServiceId, UserId
from protocol.instants import LocalSpan, OpenHours
from protocol.service.commands import DeactivateService, SetServiceStaff, UpdateService
from protocol.service.views import SlotsView
from server.queries import slots
from server.queries.slots import show_slots
from storage.database import Pool
from storage.queries.booking_facts import load_booking_facts
from tests.support.sample_business import MONDAY, NOW, ZONE, Days, SampleBusiness, berlin, open_sample_business

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TUESDAY = MONDAY + timedelta(days=1)
ON_MONDAY = Days(from_=str(MONDAY), to=str(MONDAY))


@pytest.fixture
async def salon(database_dsn: str, pool: Pool) -> AsyncIterator[SampleBusiness]:
    async with open_sample_business(database_dsn, pool) as salon:
        yield salon


def clocks(view: SlotsView, staff_id: UserId | None = None) -> list[str]:
    """The free starts as the salon's clock shows them, with anybody or with one staff member."""
    starts = [slot.start_at for slot in view.slots if staff_id is None or staff_id in slot.staff_ids]
    return [to_local(start_at, ZONE).strftime("%H:%M") for start_at in starts]


def grid(*spans: tuple[str, str]) -> list[str]:
    """The quarters of an hour from each first start to each last one, both included."""
    result = []
    for first, last in spans:
        at, end = berlin(first), berlin(last)
        while at <= end:
            result.append(to_local(at, ZONE).strftime("%H:%M"))
            at += 15 * MINUTE
    return result


WHOLE_DAY = grid(("09:00", "11:00"), ("13:00", "16:00"))


async def book(
    salon: SampleBusiness, clock: str, staff_id: UserId | None = None, day: date = MONDAY, **more: Any
) -> BookingId:
    command = CreateBooking(service_id=salon.cut, start_at=berlin(clock, day), staff_id=staff_id, **more)
    outcome = await salon.node.send(command, salon.customer)
    assert outcome.error is None, outcome.error
    return BookingId(outcome.to.id)


class TestFreeStarts:
    async def test_a_job_lies_inside_the_opening_hours_and_not_across_the_break(self, salon: SampleBusiness) -> None:
        view = await salon.slots(**ON_MONDAY)

        assert clocks(view) == WHOLE_DAY
        assert (view.zone, view.step_minutes, view.duration_minutes) == (ZONE, 15, 60)
        assert all(slot.end_at - slot.start_at == HOUR and len(slot.staff_ids) == 3 for slot in view.slots)

    async def test_a_booking_takes_its_time_and_its_buffers_from_that_staff_member_only(
        self, salon: SampleBusiness
    ) -> None:
        sam, stela = salon.sam.user_id, salon.stela.user_id

        await book(salon, "14:00", sam)

        view = await salon.slots(**ON_MONDAY)
        # 60 minutes and 15 of buffer before it, 15 of buffer behind it: 12:45 to 15:15.
        assert clocks(view, sam) == grid(("09:00", "11:00"), ("15:15", "16:00"))
        assert clocks(view, stela) == WHOLE_DAY
        assert clocks(view) == WHOLE_DAY

    async def test_staff_are_free_when_they_work(self, salon: SampleBusiness) -> None:
        afternoons = Week(week=((LocalSpan(14 * 60, 20 * 60),),) * 7)

        await salon.do(SetAvailability(working=afternoons), salon.sam)

        view = await salon.slots(staff_id=salon.sam.user_id, **ON_MONDAY)
        assert clocks(view) == grid(("14:00", "16:00"))

    async def test_only_who_offers_it_is_asked(self, salon: SampleBusiness) -> None:
        await salon.do(SetServiceStaff(service_id=salon.cut, staff_ids=(salon.sam.user_id,)))

        view = await salon.slots(**ON_MONDAY)

        assert [staff.staff_id for staff in view.staff] == [salon.sam.user_id]
        with pytest.raises(NotFound):
            await salon.slots(staff_id=salon.stela.user_id, **ON_MONDAY)

    async def test_lead_time_moves_the_first_start(self, salon: SampleBusiness) -> None:
        await salon.do(UpdateBusiness(business_id=salon.business_id, lead_time_minutes=48 * 60))

        view = await salon.slots(**ON_MONDAY)

        # Now is Saturday, 12:00 in Berlin and a few milliseconds.
        assert clocks(view) == grid(("13:00", "16:00"))

    async def test_a_job_that_over_runs_takes_the_next_half_hour(self, salon: SampleBusiness) -> None:
        await salon.node.advance(berlin("10:05") - salon.node.clock.now())
        await salon.pool.execute(
            "INSERT INTO bookings SELECT $1, 'N', 'IN_PROGRESS', $2, $3, $4, $5, 'Cut', $6::timestamptz, $7,"
            " $6::timestamptz, 'Europe/Berlin',"
            " 5000, 'EUR', 'card', 'SECURED', 'HELD', true, NULL, $6, NULL, $6, 1",
            *(uuid4(), salon.customer.user_id, salon.business_id, salon.sam.user_id, salon.cut),
            *(berlin("09:00"), berlin("10:00")),
        )

        view = await salon.slots(**ON_MONDAY)

        assert clocks(view, salon.sam.user_id)[0] == "10:45"
        assert clocks(view, salon.stela.user_id)[0] == "10:15"

    async def test_a_blocked_customer_is_offered_nothing(self, salon: SampleBusiness) -> None:
        await salon.do(BlockCustomer(business_id=salon.business_id, customer_id=salon.customer.user_id))

        view = await salon.slots(salon.customer, explain=True, **ON_MONDAY)

        assert view.slots == ()
        assert {one.reason for one in view.explanations} == {"blocked"}
        assert clocks(await salon.slots(**ON_MONDAY)) == WHOLE_DAY

    async def test_the_owner_costs_half_as_much_again_where_there_is_a_choice(self, salon: SampleBusiness) -> None:
        among_others = {one.staff_id: one for one in (await salon.slots(**ON_MONDAY)).staff}
        await salon.do(SetServiceStaff(service_id=salon.cut, staff_ids=(salon.owner.user_id,)))
        (alone,) = (await salon.slots(**ON_MONDAY)).staff

        assert among_others[salon.owner.user_id].total_amount == 75
        assert among_others[salon.sam.user_id].total_amount_minor == 5000
        assert (alone.is_owner, alone.total_amount_minor) == (True, 5000)

    async def test_what_is_off_the_market_has_no_slots(self, salon: SampleBusiness) -> None:
        await salon.do(DeactivateService(service_id=salon.cut))

        with pytest.raises(NotFound):
            await salon.slots(**ON_MONDAY)


class TestBookingAgrees:
    async def test_every_free_start_can_be_booked_and_no_other(self, salon: SampleBusiness) -> None:
        sam = salon.sam.user_id
        await salon.do(UpdateService(service_id=salon.cut, buffer_before_minutes=10))
        await book(salon, "10:00", sam)
        view = await salon.slots(staff_id=sam, explain=True, **ON_MONDAY)
        free = {slot.start_at for slot in view.slots}
        refusals = {"busy": SlotTaken, "buffer": SlotTaken, "hours": SlotUnavailable}

        for one in view.explanations:
            command = CreateBooking(service_id=salon.cut, start_at=one.start_at, staff_id=sam)
            assert (one.reason is None) == (one.start_at in free)
            if one.reason is not None:
                error = (await salon.node.send(command, salon.customer)).error
                assert isinstance(error, refusals[one.reason]), (one, error)
        assert free
        for start_at in free:
            command = CreateBooking(service_id=salon.cut, start_at=start_at, staff_id=sam)
            booked = await salon.node.send(command, salon.customer)
            assert booked.error is None, start_at
            await salon.do(CancelBooking(booking_id=BookingId(booked.to.id)), salon.customer)

    async def test_the_last_free_one_is_assigned_and_then_nobody_is(self, salon: SampleBusiness) -> None:
        for _ in range(3):
            await book(salon, "09:00")

        taken = CreateBooking(service_id=salon.cut, start_at=berlin("09:00"))

        assert isinstance((await salon.node.send(taken, salon.customer)).error, NoStaffFree)
        assert clocks(await salon.slots(**ON_MONDAY))[0] == "10:15"

    async def test_a_blocked_customer_is_refused(self, salon: SampleBusiness) -> None:
        await salon.do(BlockCustomer(business_id=salon.business_id, customer_id=salon.customer.user_id))

        refused = await salon.node.send(CreateBooking(service_id=salon.cut, start_at=berlin("09:00")), salon.customer)

        assert isinstance(refused.error, PairBlocked)


class TestExplanations:
    async def test_each_start_says_why_it_cannot_be_booked(self, salon: SampleBusiness) -> None:
        sam = salon.sam.user_id
        mornings = Week(week=((LocalSpan(540, 720),),) * 7)
        await salon.do(SetAvailability(working=mornings), salon.sam)
        await book(salon, "10:00", sam)

        view = await salon.slots(staff_id=sam, explain=True, **ON_MONDAY)

        reasons = {to_local(one.start_at, ZONE).strftime("%H:%M"): one.reason for one in view.explanations}
        assert reasons["00:00"] == "hours"  # the range's own beginning
        assert reasons["09:00"] == "buffer"
        assert reasons["09:15"] == reasons["10:00"] == "busy"
        assert reasons["11:00"] == "buffer"
        assert reasons["11:15"] == "hours"  # it would reach into the break
        assert reasons["13:00"] == "staff_off"

    async def test_any_one_time_can_be_asked_about(self, salon: SampleBusiness) -> None:
        asked_at = berlin("20:07")

        view = await salon.slots(explain=True, from_=asked_at.isoformat(), to=(asked_at + MINUTE).isoformat())

        assert {(one.start_at, one.reason) for one in view.explanations} == {(asked_at, "hours")}

    async def test_nothing_is_explained_unless_asked(self, salon: SampleBusiness) -> None:
        assert (await salon.slots(**ON_MONDAY)).explanations == ()


class TestRange:
    async def test_a_week_from_now_by_default(self, salon: SampleBusiness) -> None:
        view = await salon.slots()

        assert view.to_at - view.from_at == timedelta(days=7)
        assert NOW <= view.from_at < NOW + MINUTE
        assert {to_local(slot.start_at, ZONE).weekday() for slot in view.slots} == {0, 1, 2, 3, 4}

    async def test_dates_are_days_of_the_business(self, salon: SampleBusiness) -> None:
        view = await salon.slots(from_=str(MONDAY), to=str(TUESDAY))

        assert (view.from_at, view.to_at) == (berlin("00:00"), berlin("00:00", MONDAY + timedelta(days=2)))
        assert len(view.slots) == 2 * len(WHOLE_DAY)

    @pytest.mark.parametrize(
        ("asked", "field", "problem"),
        [
            ({"from_": "2030-06-03", "to": "2030-06-02"}, "to", "not_after_from"),
            ({"from_": "2030-06-03", "to": "2030-07-04"}, "to", "range_too_long"),
            ({"from_": "2030-06-03", "to": "2030-06-05", "explain": True}, "to", "range_too_long"),
            ({"from_": "2030-06-31"}, "from", "bad_format"),
            ({"from_": "tomorrow"}, "from", "instant_malformed"),
            ({"from_": "2030-06-03T09:00:00"}, "from", "instant_malformed"),
            ({"from_": "9999-12-31"}, "from", "out_of_range"),
            ({"from_": "9999-12-31T00:00:00Z"}, "from", "instant_out_of_range"),
            ({"to": "2199-12-31"}, "to", "out_of_range"),
        ],
    )
    async def test_what_is_no_range_is_refused_by_name(
        self, salon: SampleBusiness, asked: dict[str, Any], field: str, problem: str
    ) -> None:
        with pytest.raises(Invalid) as refused:
            await salon.slots(**asked)

        assert refused.value.fields == {field: problem}

    async def test_31_days_fit_also_when_the_clocks_fall_back(self, salon: SampleBusiness) -> None:
        view = await salon.slots(from_="2030-10-01", to="2030-10-31")

        assert view.to_at - view.from_at == timedelta(days=31) + HOUR


class TestBounds:
    def test_a_crowd_s_answer_is_cut_for_all_at_one_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(slots, "STARTS_MAX", 60)
        crowd = [person(number) for number in range(5)]
        early = person(9, working=OpenHours(zone=ZONE, week=((LocalSpan(600, 660),),) * 7))
        facts = facts_of(*crowd, early)

        view = show_slots(facts, Span(NOW, NOW + timedelta(days=7)), NOW, explain=False)

        assert view.truncated
        shared = crowd[0].staff_id
        (of_crowd,) = [one.starts for one in view.staff if one.staff_id == shared]
        assert len(of_crowd) == 10
        assert max(slot.start_at for slot in view.slots) == of_crowd[-1]

    def test_a_search_continues_from_next_from_until_nothing_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        night = OpenHours(zone=ZONE, week=((LocalSpan(1_000, 1_507),),) * 7)
        facts = facts_of(person(1), person(2, working=night), person(3), hours=every_quarter())
        whole = Span(NOW, NOW + timedelta(days=3))
        everything = show_slots(facts, whole, NOW, explain=False)
        monkeypatch.setattr(slots, "STARTS_MAX", 60)

        pages = []
        next_from: datetime | None = whole.from_at
        while next_from is not None:
            page = show_slots(facts, Span(next_from, whole.to_at), NOW, explain=False)
            pages.append(page)
            next_from = page.next_from

        assert (everything.truncated, everything.next_from) == (False, None)
        assert len(pages) > 2
        assert [page.truncated for page in pages] == [True] * (len(pages) - 1) + [False]
        assert [slot for page in pages for slot in page.slots] == list(everything.slots)

    def test_the_largest_answer_has_a_bound(self) -> None:
        crowd = facts_of(*(person(number) for number in range(46)), hours=every_quarter())

        view = show_slots(crowd, Span(NOW, NOW + timedelta(days=31)), NOW, explain=False)

        assert sum(len(staff.starts) for staff in view.staff) <= slots.STARTS_MAX
        assert len(msgspec.json.encode(view)) < ANSWER_MAX_BYTES

    def test_explanations_continue_from_next_from(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(slots, "EXPLANATIONS_MAX", 20)
        facts = facts_of(person(1), person(2))

        first = show_slots(facts, Span(NOW, NOW + timedelta(days=2)), NOW, explain=True)
        assert first.next_from is not None
        second = show_slots(facts, Span(first.next_from, NOW + timedelta(days=2)), NOW, explain=True)

        assert second.explanations[0].start_at == first.next_from > first.explanations[-1].start_at

    def test_explanations_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(slots, "EXPLANATIONS_MAX", 20)
        facts = facts_of(person(1), person(2))

        view = show_slots(facts, Span(NOW, NOW + timedelta(days=2)), NOW, explain=True)

        assert len(view.explanations) == 20
        assert view.truncated

    def test_nobody_offers_it(self) -> None:
        view = show_slots(facts_of(), Span(NOW, NOW + timedelta(days=1)), NOW, explain=True)

        assert (view.slots, view.staff, view.explanations) == ((), (), ())

    def test_a_night_across_the_change_of_clocks_has_no_start_twice(self) -> None:
        nights = OpenHours(zone=ZONE, week=((LocalSpan(22 * 60, 29 * 60),),) * 7)
        night = Span(datetime(2030, 10, 26, 19, tzinfo=UTC), datetime(2030, 10, 27, 5, tzinfo=UTC))

        view = show_slots(facts_of(person(1), hours=nights), night, NOW, explain=False)

        starts = [slot.start_at for slot in view.slots]
        assert len(starts) == len(set(starts))
        # From 22:00 in summer time to 5:00 in winter time are eight hours; the last job of an hour starts at 4:00.
        assert starts[-1] - starts[0] == 7 * HOUR


def person(number: int, **changes: Any) -> StaffFacts:
    said = {"is_owner": False, "rating": 4.0, "working": None, "busy": (), "overrunning": False, **changes}
    return StaffFacts(staff_id=UserId(UUID(int=number)), **said)


#: The most that one answer weighs.
ANSWER_MAX_BYTES = 150_000


def every_quarter() -> OpenHours:
    """Open around the clock."""
    return OpenHours(zone=ZONE, week=((LocalSpan(0, 1_440),),) * 7)


def facts_of(*staff: StaffFacts, hours: OpenHours | None = None) -> BookingFacts:
    business_id = BusinessId(UUID(int=100))
    day = (LocalSpan(540, 1020),)
    return BookingFacts(
        service=ServiceFacts(
            id=ServiceId(UUID(int=200)),
            business_id=business_id,
            title="Cut",
            price_minor=5000,
            currency="EUR",
            duration_minutes=60,
            buffer_before_minutes=0,
            buffer_after_minutes=15,
            is_active=True,
        ),
        business=BusinessFacts(
            id=business_id,
            owner_id=UserId(UUID(int=999)),
            zone=ZONE,
            hours=hours or OpenHours(zone=ZONE, week=(day,) * 7),
            lead_time_minutes=0,
            auto_approve=False,
            commission_bp=1000,
            is_active=True,
        ),
        staff=staff,
        offering=tuple(one.staff_id for one in staff),
        blocked=False,
    )


class TestFacts:
    async def test_a_round_is_answered_in_order(self, salon: SampleBusiness) -> None:
        sam, stranger = salon.sam.user_id, UserId(UUID(int=1))
        await salon.do(BlockCustomer(business_id=salon.business_id, customer_id=stranger))
        await book(salon, "10:00", sam)
        unknown = ServiceId(UUID(int=2))
        asked = [
            (salon.cut, sam, salon.customer.user_id),
            (unknown, None, salon.customer.user_id),
            (salon.cut, None, stranger),
            (salon.cut, stranger, None),
        ]

        named, missing, anybody, nobody = await load_booking_facts(
            salon.sources,
            [BookingAsk(*one, berlin("10:00"), berlin("10:00"), salon.node.clock.now()) for one in asked],
        )

        assert isinstance(missing, NotFound)
        assert isinstance(named, BookingFacts)
        assert isinstance(anybody, BookingFacts)
        assert isinstance(nobody, BookingFacts)
        assert [staff.staff_id for staff in named.staff] == [sam]
        assert len(anybody.staff) == len(anybody.offering) == 3
        assert nobody.staff == ()
        assert (named.blocked, anybody.blocked, nobody.blocked) == (False, True, False)

    async def test_busy_time_is_the_held_slot_and_the_job_in_it(self, salon: SampleBusiness) -> None:
        booking_id = await book(salon, "10:00", salon.sam.user_id)

        (facts,) = await load_booking_facts(
            salon.sources,
            [BookingAsk(salon.cut, salon.sam.user_id, None, berlin("11:00"), berlin("11:00"), NOW)],
        )

        assert isinstance(facts, BookingFacts)
        ((busy,),) = [staff.busy for staff in facts.staff]
        assert (busy.subject_id, busy.held_from_at, busy.held_to_at) == (booking_id, berlin("10:00"), berlin("11:15"))
        assert (busy.job_from_at, busy.job_to_at) == (berlin("10:00"), berlin("11:00"))

    async def test_what_does_not_touch_the_range_is_left_out(self, salon: SampleBusiness) -> None:
        await book(salon, "09:00", salon.sam.user_id)
        await book(salon, "15:15", salon.sam.user_id)

        (facts,) = await load_booking_facts(
            salon.sources,
            [BookingAsk(salon.cut, salon.sam.user_id, None, berlin("13:30"), berlin("14:00"), NOW)],
        )

        assert isinstance(facts, BookingFacts)
        assert facts.staff[0].busy == ()
        assert facts.others_offering(salon.sam.user_id) == 2
