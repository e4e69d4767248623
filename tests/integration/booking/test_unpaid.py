"""A customer's unpaid holds are bounded by claims of the commit (rule B-31)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from protocol.booking.commands import CancelBooking, CreateBooking, DeclineBooking
from protocol.booking.terms import DeclineReason
from protocol.business.commands import RegisterBusiness
from protocol.errors import LimitReached, OwnBooking
from protocol.ids import BookingId, BusinessId, ServiceId, human_number
from protocol.roles import Role
from storage.database import Pool
from storage.verify import CHECKS, run_check
from tests.support.jobs import done, pay
from tests.support.sample_business import (
    WEEK,
    ZONE,
    SampleBusiness,
    acting,
    berlin,
    offer,
    open_sample_business,
    sign_up,
)

HOLDS_MAX = 3


@pytest.fixture
async def salon(database_dsn: str, pool: Pool) -> AsyncIterator[SampleBusiness]:
    async with open_sample_business(database_dsn, pool, unpaid_holds_max=HOLDS_MAX) as salon:
        yield salon


def create(service_id: ServiceId, clock: str) -> CreateBooking:
    return CreateBooking(service_id=service_id, start_at=berlin(clock))


async def book(salon: SampleBusiness, clock: str, service_id: ServiceId | None = None) -> BookingId:
    return BookingId((await done(salon, create(service_id or salon.cut, clock), salon.customer)).to.id)


async def refused(salon: SampleBusiness, clock: str, service_id: ServiceId | None = None) -> Exception:
    outcome = await salon.do(create(service_id or salon.cut, clock), salon.customer)
    assert outcome.error is not None
    return outcome.error


async def other_services(salon: SampleBusiness, count: int) -> list[ServiceId]:
    """Services of other businesses, one each."""
    services = []
    for number in range(count):
        person = await sign_up(salon.node, f"Olaf{number}")
        register = RegisterBusiness(
            name=f"Other {number}", category_id="hair", city="Berlin", zone=ZONE, currency="EUR", hours=WEEK
        )
        business_id = BusinessId((await salon.node.send(register, person)).to.id)
        services.append(await offer(salon.node, acting(person, Role.OWNER, business_id, manager=True)))
    await salon.node.at_rest()
    return services


async def test_a_business_has_one_unpaid_hold_of_a_customer(salon: SampleBusiness) -> None:
    await book(salon, "09:00")
    await salon.node.advance(timedelta(minutes=5))

    error = await refused(salon, "14:00")

    assert isinstance(error, LimitReached)
    assert error.fields["limit"] == "unpaid_holds_per_business"
    assert 590 <= error.fields["retry_after_s"] <= 600


async def test_a_customer_has_three_unpaid_holds(salon: SampleBusiness) -> None:
    services = await other_services(salon, 3)
    for clock, service_id in zip(("09:00", "10:15", "13:00"), services, strict=True):
        await book(salon, clock, service_id)

    error = await refused(salon, "14:30")

    assert isinstance(error, LimitReached)
    assert error.fields["limit"] == "unpaid_holds"


async def test_of_64_concurrent_requests_three_are_held(salon: SampleBusiness) -> None:
    services = await other_services(salon, 4)
    clocks = ("09:00", "10:15", "13:00", "14:30")
    commands = [create(service_id, clock) for service_id, clock in zip(services, clocks, strict=True)] * 16

    outcomes = await asyncio.gather(*[salon.node.send(command, salon.customer) for command in commands])

    assert sum(outcome.error is None for outcome in outcomes) == HOLDS_MAX
    refusals = {type(outcome.error) for outcome in outcomes if outcome.error is not None}
    assert refusals <= {LimitReached, OwnBooking}
    assert await salon.pool.fetchval("SELECT count(*) FROM bookings") == HOLDS_MAX


async def test_of_64_concurrent_requests_at_one_business_one_is_held(salon: SampleBusiness) -> None:
    commands = [create(salon.cut, clock) for clock in ("09:00", "10:15", "13:00", "14:30")] * 16

    await asyncio.gather(*[salon.node.send(command, salon.customer) for command in commands])

    assert await salon.pool.fetchval("SELECT count(*) FROM bookings") == 1


@pytest.mark.parametrize("how", ["paid", "cancelled", "declined", "expired"])
async def test_a_hold_that_is_paid_or_over_makes_room(salon: SampleBusiness, how: str) -> None:
    first = await book(salon, "09:00")
    match how:
        case "paid":
            await pay(salon, first)
        case "cancelled":
            await done(salon, CancelBooking(booking_id=first), salon.customer)
        case "declined":
            await done(salon, DeclineBooking(booking_id=first, reason_code=DeclineReason.OTHER), salon.owner)
        case "expired":
            await salon.node.advance(timedelta(minutes=15))

    second = await book(salon, "14:00")

    owners = await salon.pool.fetch("SELECT owner FROM unique_keys WHERE scope LIKE 'unpaid_hold%'")
    assert {row["owner"] for row in owners} == {second}


async def test_after_two_that_expired_a_customer_waits_a_day_for_that_business(salon: SampleBusiness) -> None:
    (elsewhere,) = await other_services(salon, 1)
    for clock in ("09:00", "10:15"):
        await book(salon, clock)
        await salon.node.advance(timedelta(minutes=15))

    error = await refused(salon, "14:00")

    assert isinstance(error, LimitReached)
    assert error.fields["limit"] == "expired_unpaid_holds"
    assert 23.7 * 3600 <= error.fields["retry_after_s"] <= 23.8 * 3600
    await book(salon, "14:00", elsewhere)
    await salon.node.advance(timedelta(hours=23, minutes=46))
    await book(salon, "14:00")


async def test_one_s_own_hold_is_named(salon: SampleBusiness) -> None:
    held = await book(salon, "09:00")

    error = await refused(salon, "09:30")

    assert isinstance(error, OwnBooking)
    assert error.fields == {"booking_id": str(held), "number": human_number(held)}


async def test_an_unpaid_hold_at_another_business_at_that_time_is_named(salon: SampleBusiness) -> None:
    (elsewhere,) = await other_services(salon, 1)
    held = await book(salon, "09:00", elsewhere)

    error = await refused(salon, "09:30")

    assert isinstance(error, OwnBooking)
    assert error.fields["booking_id"] == str(held)


async def test_slots_list_the_reader_s_own_holds(salon: SampleBusiness) -> None:
    held = await book(salon, "09:00")

    own = await salon.slots(salon.customer, from_="2030-06-03", to="2030-06-03")
    others = await salon.slots(from_="2030-06-03", to="2030-06-03")

    shown = [(hold.booking_id, hold.number, hold.start_at) for hold in own.own_holds]
    assert shown == [(held, human_number(held), berlin("09:00"))]
    assert others.own_holds == ()


async def test_free_services_need_no_place(salon: SampleBusiness) -> None:
    free = await offer(salon.node, salon.owner, price=0, title="Consultation")
    for clock in ("09:00", "10:15", "13:00", "14:30"):
        await book(salon, clock, free)

    assert await salon.pool.fetchval("SELECT count(*) FROM unique_keys WHERE scope LIKE 'unpaid_hold%'") == 0


async def test_a_place_that_is_kept_too_long_is_found(salon: SampleBusiness) -> None:
    booking_id = await book(salon, "09:00")
    await pay(salon, booking_id)
    (check,) = [one for one in CHECKS if one.name == "a place of an unpaid hold belongs to an unpaid booking"]
    assert (await run_check(salon.pool, check)).broken == 0

    await salon.pool.execute("INSERT INTO unique_keys VALUES ('unpaid_hold', $1, $2)", "someone/0", booking_id)

    assert (await run_check(salon.pool, check)).broken == 1
