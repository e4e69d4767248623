"""Races over both transports at once: the first command wins, the others are refused, and the ledger balances."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from protocol.booking.commands import (
    ApproveBooking,
    CancelBooking,
    CompleteBooking,
    ConfirmRelease,
    CreateBooking,
    PayBooking,
    StartBooking,
)
from protocol.booking.terms import BookingStatus, EscrowStatus, PaymentStatus
from protocol.booking.views import GetBooking, GetTimeline
from protocol.errors import NoStaffFree, SlotTaken, WrongState
from protocol.ids import BookingId
from protocol.registry import Command
from protocol.service.views import FindSlots
from protocol.wallet.views import GetBalance
from tests.support.server import Person, Site, codes_of, outcome_of

ASKERS = 64
#: Minutes behind the hour; a job of 60 with 15 behind it collides with each of them, with the last two by its buffer.
OFFSETS = (0, 30, 60, 70)
PRICE_MINOR = 5_000
COMMISSION_MINOR = 500
#: Pairs of commands that race against each other in one test.
ROUNDS = 8
#: By how many turns of the event loop the pairs of one test are apart, so that they meet at different moments.
STAGGER_TURNS = 40


async def askers(server: Site) -> list[Person]:
    """Customers, every other one with a live connection."""
    people = await server.people(*[f"Asker {number}" for number in range(ASKERS)])
    await asyncio.gather(*[server.connect(person) for person in people[::2]])
    return people


async def at_once(calls: Sequence[Awaitable[Any]]) -> list[Any]:
    """The outcomes of calls that run at once."""
    return await asyncio.gather(*map(outcome_of, calls))


async def later(number: int, call: Awaitable[Any]) -> Any:
    """Let the loop turn some times before the call."""
    for _ in range(number * STAGGER_TURNS):
        await asyncio.sleep(0)
    return await call


def by_own_transport(person: Person, command: Command, **options: Any) -> Awaitable[Any]:
    """Send over the WebSocket if there is one, else over REST."""
    return person.call(command, **options) if person.client is None else person.send(command, **options)


async def story(person: Person, booking_id: BookingId) -> list[str]:
    """The types of all events of a booking."""
    return [entry.type for entry in (await person.call(GetTimeline(booking_id=booking_id))).entries]


# One slot, many askers


async def test_one_of_64_gets_the_slot_and_the_others_hear_that_it_is_taken(server: Site) -> None:
    market = await server.market(staff=2)
    asked_for = market.staff[0].id
    people = await askers(server)

    outcomes = await at_once(
        [
            by_own_transport(
                person,
                CreateBooking(
                    service_id=market.service_id,
                    staff_id=asked_for,
                    start_at=market.soon + timedelta(minutes=OFFSETS[number // 2 % len(OFFSETS)]),
                ),
            )
            for number, person in enumerate(people)
        ]
    )

    assert Counter(codes_of(outcomes)) == {"ok": 1, SlotTaken.code: ASKERS - 1}
    held = await server.node.pool.fetchval("SELECT count(*) FROM slots WHERE staff_id = $1", asked_for)
    assert held == 1
    await server.prove()


async def test_a_start_that_only_the_buffer_forbids_is_taken_too(server: Site) -> None:
    market = await server.market(staff=1)
    first, second = await server.people("First", "Second")
    await server.booked(market, first)

    behind = CreateBooking(service_id=market.service_id, start_at=market.soon + timedelta(minutes=70))
    with pytest.raises(NoStaffFree):
        await second.call(behind)
    with pytest.raises(SlotTaken):
        await second.call(
            CreateBooking(service_id=behind.service_id, start_at=behind.start_at, staff_id=market.staff[0].id)
        )
    after_the_buffer = CreateBooking(service_id=market.service_id, start_at=market.soon + timedelta(minutes=75))
    assert (await second.call(after_the_buffer)).status is BookingStatus.PENDING


async def test_three_free_staff_members_are_given_to_exactly_three_of_64(server: Site) -> None:
    market = await server.market(staff=3)
    people = await askers(server)

    outcomes = await at_once(
        [
            by_own_transport(person, CreateBooking(service_id=market.service_id, start_at=market.soon))
            for person in people
        ]
    )

    assert Counter(codes_of(outcomes)) == {"ok": 3, NoStaffFree.code: ASKERS - 3}
    winners = [outcome.staff_id for outcome in outcomes if not isinstance(outcome, Exception)]
    assert sorted(winners) == sorted(member.id for member in market.staff)
    slots = await people[0].call(FindSlots(service_id=market.service_id, from_=market.soon.isoformat()))
    assert slots.slots[0].start_at == market.soon + timedelta(minutes=75), "the hour, and the buffer behind it"
    await server.prove()


# Two commands, one booking


async def test_approve_against_cancel_always_ends_cancelled_and_refunded(server: Site) -> None:
    market = await server.market()
    (staff,) = market.staff
    ada = await server.person("Ada")
    await server.connect(ada, staff)
    booking_ids = [await server.booked(market, ada, hours=2 * number) for number in range(ROUNDS)]
    for booking_id in booking_ids:
        await server.captured(await ada.call(PayBooking(booking_id=booking_id)))

    calls: list[Awaitable[Any]] = []
    for number, booking_id in enumerate(booking_ids):
        approve, cancel = ApproveBooking(booking_id=booking_id), CancelBooking(booking_id=booking_id)
        if number % 2:
            calls += [staff.send(approve), ada.call(cancel)]
        else:
            calls += [staff.call(approve), ada.send(cancel)]
    outcomes = await at_once(calls)

    for at, booking_id in enumerate(booking_ids):
        approved, cancelled = codes_of(outcomes[2 * at : 2 * at + 2])
        assert cancelled == "ok"
        assert approved in ("ok", WrongState.code)
        assert ("booking.approved" in await story(ada, booking_id)) == (approved == "ok")
        view = await ada.call(GetBooking(booking_id=booking_id))
        assert (view.status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert (await ada.call(GetBalance())).balance_minor == ROUNDS * PRICE_MINOR
    await server.prove()


async def test_a_job_is_completed_once(server: Site) -> None:
    market = await server.market()
    (staff,) = market.staff
    ada = await server.person("Ada")
    await server.connect(staff)
    booking_ids = [await server.confirmed(market, ada, hours=2 * number) for number in range(ROUNDS)]
    await server.until(market.soon + timedelta(hours=2 * ROUNDS))
    for booking_id in booking_ids:
        await staff.call(StartBooking(booking_id=booking_id))

    outcomes = await at_once(
        [
            call
            for booking_id in booking_ids
            for call in (
                staff.send(CompleteBooking(booking_id=booking_id)),
                market.owner.call(CompleteBooking(booking_id=booking_id)),
            )
        ]
    )

    for at, booking_id in enumerate(booking_ids):
        assert sorted(codes_of(outcomes[2 * at : 2 * at + 2])) == ["ok", WrongState.code]
        assert (await story(ada, booking_id)).count("booking.completed") == 1
    await server.prove()


async def test_a_payment_at_the_moment_of_expiry_keeps_the_slot_or_brings_it_back(server: Site) -> None:
    market = await server.market()
    ada = await server.person("Ada")
    booking_ids = [await server.booked(market, ada, hours=2 * number) for number in range(ROUNDS)]
    payments = [await ada.call(PayBooking(booking_id=booking_id)) for booking_id in booking_ids]

    await asyncio.gather(
        server.advance(timedelta(minutes=15)),
        *[later(number, server.captured(payment)) for number, payment in enumerate(payments)],
    )

    for booking_id in booking_ids:
        view = await ada.call(GetBooking(booking_id=booking_id))
        assert (view.status, view.payment_status) == (BookingStatus.PENDING, PaymentStatus.SECURED)
        told = await story(ada, booking_id)
        assert told.count("booking.paid") == 1
        assert ("booking.revived" in told) == ("booking.expired" in told)
    await server.prove()


async def test_a_late_payment_against_a_new_customer_never_gives_the_time_twice(server: Site) -> None:
    market = await server.market()
    ada, bob = await server.people("Ada", "Bob")
    booking_ids = [await server.booked(market, ada, hours=2 * number) for number in range(ROUNDS)]
    payments = [await ada.call(PayBooking(booking_id=booking_id)) for booking_id in booking_ids]
    await server.advance(timedelta(minutes=15))

    outcomes = await at_once(
        [
            call
            for number, payment in enumerate(payments)
            for call in (later(number, server.captured(payment)), server.booked(market, bob, hours=2 * number))
        ]
    )

    for booking_id, other in zip(booking_ids, codes_of(outcomes[1::2]), strict=True):
        view = await ada.call(GetBooking(booking_id=booking_id))
        if other == "ok":
            assert view.status is BookingStatus.EXPIRED
            assert view.payment_status in (PaymentStatus.REFUNDING, PaymentStatus.REFUNDED)
        else:
            assert other == NoStaffFree.code
            assert (view.status, view.payment_status) == (BookingStatus.PENDING, PaymentStatus.SECURED)
    await server.prove()


async def test_the_customers_word_and_the_24_hours_release_the_money_once(server: Site) -> None:
    market = await server.market()
    ada = await server.person("Ada", live=True)
    booking_ids = [await server.confirmed(market, ada, hours=2 * number) for number in range(ROUNDS)]
    await server.until(market.soon + timedelta(hours=2 * ROUNDS))
    for booking_id in booking_ids:
        await market.owner.call(StartBooking(booking_id=booking_id))
        await market.owner.call(CompleteBooking(booking_id=booking_id))

    _, *outcomes = await at_once(
        [
            server.advance(timedelta(hours=24)),
            *[
                later(number, ada.send(ConfirmRelease(booking_id=booking_id)))
                for number, booking_id in enumerate(booking_ids)
            ],
        ]
    )

    assert set(codes_of(outcomes)) <= {"ok", WrongState.code}
    for booking_id in booking_ids:
        assert (await story(ada, booking_id)).count("booking.released") == 1
        assert (await ada.call(GetBooking(booking_id=booking_id))).escrow_status is EscrowStatus.RELEASED
    wallet = await market.owner.call(GetBalance())
    assert wallet.available_payout_minor == ROUNDS * (PRICE_MINOR - COMMISSION_MINOR)
    assert wallet.pending_escrow_minor == 0
    await server.prove()
