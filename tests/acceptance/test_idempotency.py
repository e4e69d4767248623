"""One command, one effect: however often it is sent, and over whichever transport (rule G-1)."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from protocol.booking.commands import CancelBooking, ConfirmRelease, CreateBooking
from protocol.booking.views import ListBookings
from protocol.conversation.commands import PostMessage
from protocol.conversation.views import ListMessages
from protocol.errors import CommandIdReused, NoStaffFree, SlotTaken, WrongState
from protocol.ids import ConversationId
from protocol.registry import Command
from server.client import Answer
from tests.support.server import TIMEOUT_S, Market, Person, Site, codes_of, outcome_of

#: Concurrent pairs of one test.
ROUNDS = 8


async def over(transport: str, person: Person, command: Command, key: str) -> Answer:
    """Send a command under an id over ``rest`` or ``socket``."""
    if transport == "rest":
        return await person.rest.call(command, key=key)
    async with asyncio.timeout(TIMEOUT_S):
        return await person.phone.send(command, id=key)


@pytest.fixture
async def market(server: Site) -> Market:
    return await server.market()


@pytest.fixture
async def ada(server: Site) -> Person:
    return await server.person("Ada", live=True)


def create(market: Market, **more: Any) -> CreateBooking:
    return CreateBooking(service_id=market.service_id, start_at=market.soon, **more)


async def bookings(person: Person) -> int:
    return len((await person.call(ListBookings())).items)


@pytest.mark.parametrize(
    ("first", "then"), [("rest", "socket"), ("socket", "rest"), ("socket", "socket"), ("rest", "rest")]
)
async def test_a_retry_over_either_transport_gets_the_first_reply(
    server: Site, market: Market, ada: Person, first: str, then: str
) -> None:
    key = str(uuid4())
    made = await over(first, ada, create(market), key)
    again = await over(then, ada, create(market), key)

    assert (again.reply, again.version) == (made.reply, made.version)
    assert (made.replayed, again.replayed) == (False, True)
    assert await bookings(ada) == 1
    await server.prove()


async def test_one_id_over_both_transports_at_once_has_one_effect(server: Site, market: Market, ada: Person) -> None:
    for number in range(ROUNDS):
        key = f"at-once-{number}"
        command = CreateBooking(service_id=market.service_id, start_at=market.soon + timedelta(hours=2 * number))
        one, other = await asyncio.gather(over("rest", ada, command, key), over("socket", ada, command, key))
        assert one.reply == other.reply
        assert sorted([one.replayed, other.replayed]) == [False, True]

    assert await bookings(ada) == ROUNDS
    await server.prove()


async def test_a_message_sent_from_many_devices_at_once_is_said_once(server: Site, market: Market, ada: Person) -> None:
    thread = ConversationId(await server.confirmed(market, ada))
    devices = [await server.sign_in(ada.me.email, live=True) for _ in range(ROUNDS // 2)]
    command = PostMessage(conversation_id=thread, text="Hello?")

    answers = await asyncio.gather(
        *[over(transport, device, command, "hello") for device in devices for transport in ("rest", "socket")]
    )

    assert len({answer.reply for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    assert [message.text for message in (await ada.call(ListMessages(conversation_id=thread))).items] == ["Hello?"]


@pytest.mark.parametrize("then", ["rest", "socket"])
async def test_the_same_id_for_another_body_is_refused(server: Site, market: Market, ada: Person, then: str) -> None:
    await over("rest", ada, create(market), "mine")

    with pytest.raises(CommandIdReused) as refused:
        await over(then, ada, create(market, notes="Second floor"), "mine")

    assert refused.value.status == 422
    assert await bookings(ada) == 1


async def test_the_same_id_for_another_target_is_refused(server: Site, market: Market, ada: Person) -> None:
    thread = ConversationId(await server.confirmed(market, ada))
    posted = PostMessage(conversation_id=thread, text="Hello?")
    await over("rest", ada, posted, "mine")

    elsewhere = PostMessage(conversation_id=ConversationId(uuid4()), text="Hello?")
    with pytest.raises(CommandIdReused):
        await over("socket", ada, elsewhere, "mine")


async def test_the_same_id_for_another_body_is_refused_while_the_first_is_decided(
    server: Site, market: Market, ada: Person
) -> None:
    other = create(market, notes="Second floor")

    outcomes = await asyncio.gather(
        outcome_of(over("socket", ada, create(market), "mine")), outcome_of(over("rest", ada, other, "mine"))
    )

    assert sorted(codes_of(outcomes)) == [CommandIdReused.code, "ok"]
    assert await bookings(ada) == 1


async def test_defaults_that_are_written_out_do_not_make_another_body(
    server: Site, market: Market, ada: Person
) -> None:
    made = await over("rest", ada, create(market), "mine")
    body = {"service_id": str(market.service_id), "start_at": market.soon.isoformat(), "notes": "", "staff_id": None}

    again = await server.request("POST", "/bookings/", ada, body, **{"Idempotency-Key": "mine"})

    assert again.status == 201
    assert again.json["booking_id"] == str(made.reply.booking_id)
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_an_id_belongs_to_its_user(server: Site, market: Market, ada: Person) -> None:
    bob = await server.person("Bob", live=True)
    made = await over("socket", ada, create(market), "shared")

    with pytest.raises(NoStaffFree):  # his own command, decided anew
        await over("socket", bob, create(market), "shared")
    later = CreateBooking(service_id=market.service_id, start_at=market.soon + timedelta(hours=2))
    his, hers = await over("rest", bob, later, "another"), await over("rest", ada, create(market), "shared")
    assert his.reply.booking_id != made.reply.booking_id
    assert hers.reply == made.reply


@pytest.mark.parametrize(("first", "then"), [("rest", "socket"), ("socket", "rest")])
async def test_an_id_that_was_refused_is_refused_alike_when_the_command_would_be_taken_by_now(
    server: Site, market: Market, ada: Person, first: str, then: str
) -> None:
    bob = await server.person("Bob")
    in_the_way = (await bob.call(create(market))).booking_id
    command = create(market, staff_id=market.staff[0].id)
    with pytest.raises(SlotTaken):
        await over(first, ada, command, "try")
    await bob.call(CancelBooking(booking_id=in_the_way))

    with pytest.raises(SlotTaken):
        await over(then, ada, command, "try")
    assert (await over(then, ada, command, "try-again")).reply.staff_id == market.staff[0].id


async def test_a_refusal_keeps_its_fields(server: Site, market: Market, ada: Person) -> None:
    booking_id = (await ada.call(create(market))).booking_id
    refused = []
    for transport in ("rest", "socket"):
        with pytest.raises(WrongState) as refusal:
            await over(transport, ada, ConfirmRelease(booking_id=booking_id), "release")
        refused.append(refusal.value.fields)
        await outcome_of(over("rest", ada, CancelBooking(booking_id=booking_id), str(uuid4())))

    assert refused == [{"status": "PENDING"}] * 2


async def test_a_replayed_refusal_says_so(server: Site, ada: Person) -> None:
    path = f"/bookings/{uuid4()}/pay"
    first = await server.request("POST", path, ada, {}, **{"Idempotency-Key": "pay"})
    again = await server.request("POST", path, ada, {}, **{"Idempotency-Key": "pay"})

    assert (first.status, again.status) == (404, 404)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
