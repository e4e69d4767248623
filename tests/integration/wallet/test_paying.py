"""A booking is paid from the customer's wallet, in its own commit (rules M-3, M-10)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from actors.actor import ACTORS
from actors.rules.ledger import customer_wallet
from protocol.booking.commands import CancelBooking, CreateBooking
from protocol.booking.terms import BookingStatus
from protocol.errors import InsufficientFunds
from protocol.ids import BookingId
from protocol.payment.terms import PaymentMethod
from server.ops.verify import verify
from storage.database import Pool
from tests.support.jobs import brought_to, done
from tests.support.sample_business import SampleBusiness, berlin, open_sample_business


@pytest.fixture
async def salon(database_dsn: str, pool: Pool) -> AsyncIterator[SampleBusiness]:
    """A sample business whose customer has 50 euros in the wallet, from a cancelled booking."""
    async with open_sample_business(database_dsn, pool, unpaid_holds_max=3) as salon:
        await brought_to(salon, BookingStatus.CANCELLED)
        yield salon
        assert [finding async for finding in verify(pool, ACTORS) if finding.broken] == []


def from_wallet(salon: SampleBusiness, clock: str) -> CreateBooking:
    return CreateBooking(service_id=salon.cut, start_at=berlin(clock), payment_method=PaymentMethod.WALLET)


async def balance(salon: SampleBusiness) -> int:
    account = customer_wallet(salon.customer.user_id, "EUR")
    return int(await salon.pool.fetchval("SELECT balance_minor FROM balances WHERE account = $1", account))


async def test_the_wallet_pays_a_booking_at_once(salon: SampleBusiness) -> None:
    booking_id = (await done(salon, from_wallet(salon, "14:00"), salon.customer)).to.id

    row = await salon.pool.fetchrow("SELECT * FROM bookings WHERE id = $1", booking_id)
    assert row is not None
    assert (row["status"], row["payment_status"], row["payment_method"]) == ("PENDING", "SECURED", "wallet")
    assert await balance(salon) == 0
    timers = await salon.pool.fetch("SELECT name FROM agenda WHERE actor_id = $1", booking_id)
    assert [timer["name"] for timer in timers] == ["lapse"]


async def test_a_cancelled_booking_gives_the_wallet_its_money_back(salon: SampleBusiness) -> None:
    booking_id = BookingId((await done(salon, from_wallet(salon, "14:00"), salon.customer)).to.id)

    await done(salon, CancelBooking(booking_id=booking_id), salon.customer)

    assert await balance(salon) == 5_000


async def test_a_wallet_with_too_little_is_refused_and_holds_no_slot(salon: SampleBusiness) -> None:
    await done(salon, from_wallet(salon, "14:00"), salon.customer)

    outcome = await salon.do(from_wallet(salon, "09:00"), salon.customer)

    assert isinstance(outcome.error, InsufficientFunds)
    assert outcome.error.fields == {"balance_minor": 0, "currency": "EUR"}
    assert await salon.pool.fetchval("SELECT count(*) FROM slots") == 1


async def test_concurrent_bookings_spend_the_balance_once(salon: SampleBusiness) -> None:
    commands = [from_wallet(salon, clock) for clock in ("09:00", "10:15", "13:00", "14:30")]

    outcomes = await asyncio.gather(*[salon.node.send(command, salon.customer) for command in commands])

    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert len(errors) == len(commands) - 1
    assert all(isinstance(error, InsufficientFunds) for error in errors)
    assert await balance(salon) == 0
