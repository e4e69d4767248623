"""Bookings and their stories as their parties see them, on a real database (rules B-24, B-27)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from protocol.booking.commands import (
    ApproveBooking,
    CancelBooking,
    CompleteBooking,
    ConfirmRelease,
    DeclineBooking,
)
from protocol.booking.terms import BookingStatus, DeclineReason
from protocol.booking.views import BookingDetail, BookingPage, GetBooking, GetTimeline, ListBookings, ListJobs, Timeline
from protocol.errors import Forbidden, Invalid, NotFound
from protocol.ids import BookingId, BusinessId, human_number
from protocol.roles import Principal, Role
from server.queries.timeline import timeline
from storage.database import Pool
from storage.queries.booking import get_booking, list_bookings, list_jobs, listing
from tests.support.jobs import ADDRESS, book, brought_to, done
from tests.support.query_plans import generic_plan
from tests.support.sample_business import SampleBusiness, acting, open_sample_business, sign_up


@pytest.fixture
async def salon(database_dsn: str, pool: Pool) -> AsyncIterator[SampleBusiness]:
    async with open_sample_business(database_dsn, pool) as salon:
        yield salon


async def detail(salon: SampleBusiness, booking_id: BookingId, who: Principal) -> BookingDetail:
    view: BookingDetail = await salon.ask(get_booking, GetBooking(booking_id=booking_id), who)
    return view


async def listed(salon: SampleBusiness, who: Principal, **asked: Any) -> list[BookingId]:
    page: BookingPage = await salon.ask(list_bookings, ListBookings(**asked), who)
    return [item.id for item in page.items]


class TestOneBooking:
    async def test_it_is_shown_on_the_business_s_clock_and_in_major_units(self, salon: SampleBusiness) -> None:
        booking_id = await book(salon, "14:30")

        view = await detail(salon, booking_id, salon.customer)

        assert (view.scheduled_date, view.scheduled_time, view.zone) == ("2030-06-03", "14:30", "Europe/Berlin")
        assert (view.total_amount, view.total_amount_minor, view.currency) == (50, 5_000, "EUR")
        assert (view.status, view.phase, view.duration_minutes) == ("PENDING", "upcoming", None)
        assert view.provider_id == view.staff_id == salon.sam.user_id

    async def test_what_was_worked_is_counted_in_minutes(self, salon: SampleBusiness) -> None:
        booking_id = await brought_to(salon, BookingStatus.IN_PROGRESS)
        await salon.node.advance(timedelta(minutes=42, seconds=30))
        await done(salon, CompleteBooking(booking_id=booking_id), salon.sam)

        assert (await detail(salon, booking_id, salon.customer)).duration_minutes == 42

    async def test_what_was_written_to_a_step_is_shown_to_whom_it_is_meant_for(self, salon: SampleBusiness) -> None:
        declined, cancelled = await book(salon, "10:00"), await book(salon, "14:00")
        note = DeclineBooking(booking_id=declined, reason_code=DeclineReason.OTHER, note="My van is broken.")
        await done(salon, note, salon.sam)
        await done(salon, CancelBooking(booking_id=cancelled, reason="Found the key."), salon.customer)

        async def texts(booking_id: BookingId, who: Principal) -> list[str]:
            return [remark.text for remark in (await detail(salon, booking_id, who)).remarks]

        assert await texts(declined, salon.sam) == await texts(declined, salon.owner) == ["My van is broken."]
        assert await texts(declined, salon.customer) == []
        assert await texts(cancelled, salon.customer) == await texts(cancelled, salon.sam) == ["Found the key."]

    async def test_only_its_parties_see_it(self, salon: SampleBusiness) -> None:
        booking_id = await book(salon)
        elsewhere = BusinessId(uuid4())
        stranger = await sign_up(salon.node, "Eve")
        employee = acting(stranger, Role.EMPLOYEE, salon.business_id)
        strangers = (
            stranger,
            salon.stela,
            employee,
            acting(stranger, Role.OWNER, elsewhere, manager=True),
            Principal(user_id=stranger.user_id, role=Role.ADMIN, roles=frozenset({Role.ADMIN})),
        )

        for who in (salon.customer, salon.sam, salon.owner):
            assert (await detail(salon, booking_id, who)).id == booking_id
        for who in strangers:
            with pytest.raises(NotFound):
                await detail(salon, booking_id, who)
            with pytest.raises(NotFound):
                await salon.ask(timeline, GetTimeline(booking_id=booking_id), who)

    async def test_one_that_never_was_is_not_found(self, salon: SampleBusiness) -> None:
        with pytest.raises(NotFound):
            await detail(salon, BookingId(uuid4()), salon.customer)

    @pytest.mark.parametrize(
        ("status", "staff_sees", "manager_sees"),
        [
            (BookingStatus.PENDING, False, False),
            (BookingStatus.DECLINED, False, False),
            (BookingStatus.CANCELLED, False, False),
            (BookingStatus.CONFIRMED, True, True),
            (BookingStatus.IN_PROGRESS, True, True),
            (BookingStatus.COMPLETED, False, True),
        ],
    )
    async def test_the_customer_s_contact_is_shown_while_the_job_is_on(
        self, salon: SampleBusiness, status: BookingStatus, staff_sees: bool, manager_sees: bool
    ) -> None:
        booking_id = await brought_to(salon, status)

        for who, sees in ((salon.customer, True), (salon.sam, staff_sees), (salon.owner, manager_sees)):
            view = await detail(salon, booking_id, who)
            assert (view.customer_contact is not None) == sees, who.role
            assert view.notes == ("Please ring twice" if sees else None)

    async def test_the_contact_says_how_to_reach_the_customer_and_where_to_go(self, salon: SampleBusiness) -> None:
        view = await detail(salon, await brought_to(salon, BookingStatus.CONFIRMED), salon.sam)

        assert view.customer_contact is not None
        contact = view.customer_contact
        assert (contact.name, contact.email, contact.phone_number) == ("Carla", "carla@salon.test", None)
        assert (contact.address, contact.latitude, contact.longitude) == (ADDRESS, 52.5, 13.4)

    async def test_managers_know_a_customer_who_has_another_confirmed_booking(self, salon: SampleBusiness) -> None:
        await brought_to(salon, BookingStatus.COMPLETED, "09:00")
        request = await book(salon, "14:00")

        assert (await detail(salon, request, salon.owner)).customer_contact is not None
        assert (await detail(salon, request, salon.sam)).customer_contact is None

    async def test_a_staff_member_who_acts_for_another_business_does_not_find_it(self, salon: SampleBusiness) -> None:
        booking_id = await brought_to(salon, BookingStatus.CONFIRMED)
        elsewhere = acting(salon.sam, Role.STAFF, BusinessId(uuid4()))

        with pytest.raises(NotFound):
            await detail(salon, booking_id, elsewhere)

    async def test_an_erased_customer_leaves_the_booking_without_contact(self, salon: SampleBusiness) -> None:
        booking_id = await brought_to(salon, BookingStatus.CONFIRMED)
        await salon.pool.execute("DELETE FROM people WHERE user_id = $1", salon.customer.user_id)

        assert (await detail(salon, booking_id, salon.sam)).customer_contact is None

    async def test_as_of_is_where_the_reader_s_inbox_ends(self, salon: SampleBusiness) -> None:
        view = await detail(salon, await book(salon), salon.customer)

        seq = await salon.pool.fetchval("SELECT seq FROM inbox_counters WHERE user_id = $1", salon.customer.user_id)
        assert view.as_of.endswith(f":{seq}")


class TestLists:
    async def test_each_role_sees_its_own(self, salon: SampleBusiness) -> None:
        eve = await sign_up(salon.node, "Eve")
        carlas = await book(salon, "09:00", staff=salon.sam)
        eves = await book(salon, "09:00", who=eve, staff=salon.stela)

        assert await listed(salon, salon.customer) == [carlas]
        assert await listed(salon, eve) == [eves]
        assert await listed(salon, salon.sam) == [carlas]
        assert await listed(salon, salon.stela) == [eves]
        assert set(await listed(salon, salon.owner)) == {carlas, eves}
        assert await listed(salon, acting(salon.sam, Role.STAFF, BusinessId(uuid4()))) == []
        assert await listed(salon, acting(salon.sam, Role.OWNER, BusinessId(uuid4()), manager=True)) == []

    async def test_an_admin_has_no_bookings_to_list(self, salon: SampleBusiness) -> None:
        admin = Principal(user_id=salon.owner.user_id, role=Role.ADMIN, roles=frozenset({Role.ADMIN}))

        with pytest.raises(Forbidden):
            await listed(salon, admin)

    async def test_pages_hold_everything_once_the_latest_start_first(self, salon: SampleBusiness) -> None:
        clocks = ("09:00", "10:15", "13:00", "14:15", "15:30")
        made = [await book(salon, clock) for clock in clocks]
        same_start = [await book(salon, "09:00", staff=salon.stela)]

        seen: list[BookingId] = []
        cursor = None
        for _ in range(3):
            page: BookingPage = await salon.ask(list_bookings, ListBookings(limit=2, cursor=cursor), salon.customer)
            seen += [item.id for item in page.items]
            assert len(page.items) == 2
            cursor = page.next_cursor
        assert cursor is None
        assert seen == [*made[:0:-1], *sorted([made[0], *same_start], reverse=True)]

    async def test_a_status_or_a_phase_narrows_the_list(self, salon: SampleBusiness) -> None:
        pending = await brought_to(salon, BookingStatus.PENDING, "09:00")
        confirmed = await brought_to(salon, BookingStatus.CONFIRMED, "10:15")
        cancelled = await brought_to(salon, BookingStatus.CANCELLED, "13:00")

        assert await listed(salon, salon.customer, status="CONFIRMED") == [confirmed]
        assert await listed(salon, salon.customer, status="upcoming") == [confirmed, pending]
        assert await listed(salon, salon.owner, status="cancelled") == [cancelled]
        assert await listed(salon, salon.sam, status="ongoing") == []

    @pytest.mark.parametrize(
        "asked", [{"status": "LOST"}, {"status": "Upcoming"}, {"number": "7K3M"}, {"cursor": "nonsense"}]
    )
    async def test_a_filter_that_is_none_is_refused_by_its_field(
        self, salon: SampleBusiness, asked: dict[str, str]
    ) -> None:
        with pytest.raises(Invalid) as refused:
            await listed(salon, salon.customer, **asked)

        assert list(refused.value.fields) == list(asked)

    async def test_a_booking_is_found_by_its_number_however_it_is_spelled(self, salon: SampleBusiness) -> None:
        booking_id, other = await book(salon, "09:00"), await book(salon, "10:15")
        spelled = human_number(booking_id).lower().replace("-", " ").replace("0", "o").replace("1", "l")

        for reader in (salon.customer, salon.sam, salon.owner):
            assert await listed(salon, reader, number=spelled) == [booking_id]
        jobs: BookingPage = await salon.ask(list_jobs, ListJobs(number=human_number(other)), salon.sam)
        assert [item.id for item in jobs.items] == [other]
        assert await listed(salon, salon.customer, number="0000-0000") == []

    async def test_jobs_are_what_waits_for_the_provider_s_answer(self, salon: SampleBusiness) -> None:
        asked = await book(salon, "09:00")
        approved = await book(salon, "10:15")
        await done(salon, ApproveBooking(booking_id=approved), salon.sam)
        confirmed = await brought_to(salon, BookingStatus.CONFIRMED, "13:00")

        for who in (salon.sam, salon.owner):
            page: BookingPage = await salon.ask(list_jobs, ListJobs(), who)
            assert [item.id for item in page.items] == [asked]
            page = await salon.ask(list_jobs, ListJobs(status="CONFIRMED"), who)
            assert [item.id for item in page.items] == [confirmed]

    async def test_an_empty_list_knows_its_place_too(self, salon: SampleBusiness) -> None:
        page: BookingPage = await salon.ask(list_bookings, ListBookings(), salon.customer)

        assert page.items == []
        assert ":" in page.as_of


class TestStory:
    async def test_a_good_life_is_told_step_by_step(self, salon: SampleBusiness) -> None:
        booking_id = await brought_to(salon, BookingStatus.COMPLETED, "14:30")
        await done(salon, ConfirmRelease(booking_id=booking_id), salon.customer)

        told: Timeline = await salon.ask(timeline, GetTimeline(booking_id=booking_id), salon.customer)

        assert [entry.text for entry in told.entries] == [
            "Carla booked Cut with Sam for Mon 3 June 2030, 14:30 CEST, at 50.00 EUR.",
            "Carla started to pay 50.00 EUR.",
            "50.00 EUR was paid and is held until the job is done.",
            "Sam took the job.",
            "The booking is confirmed.",
            "The job began.",
            "The job was done. The money is released by Tue 4 June 2030, 15:30 CEST at the latest.",
            "Carla confirmed the job: 50.00 EUR was released.",
        ]
        assert [entry.version for entry in told.entries] == list(range(1, 9))
        by = [entry.by for entry in told.entries]
        assert by[:4] == [salon.customer.user_id, salon.customer.user_id, None, salon.sam.user_id]

    async def test_a_decline_is_told_with_its_reason_and_who_it_was(self, salon: SampleBusiness) -> None:
        booking_id = await brought_to(salon, BookingStatus.DECLINED)
        await done(salon, CancelBooking(booking_id=booking_id), salon.owner)

        told: Timeline = await salon.ask(timeline, GetTimeline(booking_id=booking_id), salon.sam)

        assert [entry.text for entry in told.entries][-3:] == [
            "Sam declined the job: too far away.",
            "Olga cancelled the booking.",
            "50.00 EUR went back to Carla’s wallet.",
        ]

    async def test_whose_account_is_gone_has_no_name_any_more(self, salon: SampleBusiness) -> None:
        booking_id = await book(salon)
        await salon.pool.execute("DELETE FROM people WHERE user_id = $1", salon.customer.user_id)

        told: Timeline = await salon.ask(timeline, GetTimeline(booking_id=booking_id), salon.sam)

        assert told.entries[0].text.startswith("A deleted account booked Cut with Sam")

    async def test_the_server_s_own_doing_is_told_as_such(self, salon: SampleBusiness) -> None:
        booking_id = await book(salon)
        await salon.node.advance(timedelta(minutes=15))

        told: Timeline = await salon.ask(timeline, GetTimeline(booking_id=booking_id), salon.customer)

        assert (told.entries[-1].text, told.entries[-1].by) == ("Nobody paid in time, so the booking expired.", None)

    async def test_each_party_reads_it_in_their_own_language(self, salon: SampleBusiness) -> None:
        booking_id = await brought_to(salon, BookingStatus.DECLINED)
        await salon.pool.execute("UPDATE people SET language = 'de-AT' WHERE user_id = $1", salon.customer.user_id)
        await salon.pool.execute("UPDATE people SET language = 'it' WHERE user_id = $1", salon.sam.user_id)

        german: Timeline = await salon.ask(timeline, GetTimeline(booking_id=booking_id), salon.customer)
        italian: Timeline = await salon.ask(timeline, GetTimeline(booking_id=booking_id), salon.sam)

        assert german.entries[0].text.startswith("Carla hat Cut mit Sam für Montag, 3. Juni 2030,")
        assert german.entries[0].text.endswith(" CEST gebucht, zu 50,00 EUR.")
        assert german.entries[-1].text == "Sam hat den Auftrag abgelehnt: zu weit entfernt."
        assert italian.entries[-1].text == "Sam ha rifiutato il lavoro: troppo lontano."


class TestPlans:
    """Lists go by an index, however much there is."""

    @pytest.fixture(autouse=True)
    async def much(self, pool: Pool) -> None:
        """5,000 bookings of one business, 20 customers and 10 staff members, most of them long done."""
        await pool.execute(
            """
            INSERT INTO bookings
            SELECT gen_random_uuid(), n::text, CASE WHEN n % 50 = 0 THEN 'PENDING' ELSE 'COMPLETED' END,
                   md5('c' || n % 20)::uuid, md5('b' || n % 3)::uuid, md5('s' || n % 10)::uuid, md5('v')::uuid, 'Cut',
                   now() + n * interval '1 hour', now() + n * interval '1 hour', now(), 'Europe/Berlin', 5000, 'EUR',
                   'card', 'SECURED', 'HELD', false, NULL, NULL, NULL, now(), 1
              FROM generate_series(1, 5000) n
            """
        )
        await pool.execute("ANALYZE bookings")

    @pytest.mark.parametrize(
        ("whose", "which", "index"),
        [
            ("b.customer_id = $1 AND $2::uuid IS NULL", "true", "bookings_customer"),
            ("b.staff_id = $1 AND b.business_id = $2", "true", "bookings_staff"),
            ("b.business_id = $2", "true", "bookings_business"),
            ("b.business_id = $2", "b.status = 'PENDING' AND NOT b.approved", "bookings_open"),
            ("b.business_id = $2", "b.status IN ('PENDING', 'CONFIRMED', 'DECLINED')", "bookings_open"),
        ],
    )
    async def test_each_list_of_bookings_has_its_index(self, pool: Pool, whose: str, which: str, index: str) -> None:
        plan = await generic_plan(pool, listing(whose, which))

        assert f"using {index} on bookings" in plan
        assert "Seq Scan on bookings" not in plan
