"""A snapshot and the events behind it are the next snapshot, for everybody, whatever happens (rule G-8).

The copies are kept by ``server.client.replica`` over real sockets; what they are held against is asked over REST.
"""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import pytest

import protocol.booking.events
import protocol.conversation.events
from protocol.booking.commands import CancelBooking, CompleteBooking, StartBooking
from protocol.booking.terms import BookingStatus, Phase
from protocol.conversation.commands import DeleteMessage, EditMessage
from protocol.conversation.terms import UNREAD_MAX
from protocol.events import EVENTS
from protocol.ids import ConversationId
from protocol.roles import Role
from protocol.snapshot import Snapshot
from server.client import Event, Gap, Replica
from tests.support.booking_simulation import ClientCopy, Simulation
from tests.support.server import TIMEOUT_S, Site
from tests.support.sizes import some

#: Types of the events that change what a snapshot shows.
SHOWN = {
    type_
    for type_, event in EVENTS.items()
    if event.__module__ in (protocol.booking.events.__name__, protocol.conversation.events.__name__)
} - {"booking.staff_left"}  # it ends the connections of its staff member; tests/acceptance/test_leaving.py has it
STEPS = 160
LOOK_EVERY = 10


@pytest.fixture
async def world(server: Site) -> Simulation:
    """Customer, staff member and owner; and the staff member once more, acting as the customer that they also are."""
    market = await server.market(staff=2)
    customer = await server.person("Carla Customer")
    as_customer = await server.sign_in(market.staff[0].me.email)
    await as_customer.rest.act_as(Role.CUSTOMER)
    people = [customer, market.staff[0], market.owner, as_customer]
    copies = [await ClientCopy.of(server, person) for person in people]
    return Simulation(server, market, customer, copies, random.Random(0))


async def test_after_every_kind_of_event_the_copy_is_the_next_snapshot(world: Simulation) -> None:
    customer, staff, other, site = world.customer, world.staff, world.other, world.site
    assert {"booking.created", "payment.unplaced", "message.posted", "messages.read"} <= SHOWN

    # Threads, in all that can happen to them.
    talking = await world.confirmed()
    await world.converge()
    first = await world.say(customer, talking, "Hello?")
    await world.say(customer, talking, "Anybody?")
    await world.converge()
    await world.read(staff, talking, first)
    answer = await world.say(staff, talking, "Yes")
    await staff.call(EditMessage(conversation_id=ConversationId(talking), message_id=answer, text="Yes?"))
    await world.converge()
    for message_id in (first, world.messages[talking][1][1]):
        await customer.call(DeleteMessage(conversation_id=ConversationId(talking), message_id=message_id))
        await world.converge()
    await world.replace(talking, staff, other)
    await world.converge()
    await world.say(other, talking, "I have taken over.")
    await world.replace(talking, other, staff)
    await world.converge()

    # Bookings, along each way.
    declined = await world.confirmed()
    await world.decline(declined)
    await world.converge()
    expired = await world.book()
    await world.ask_to_pay(expired)
    late = world.payments[-1]
    await world.converge()
    short = await world.book()
    await world.pay(short, short_minor=1)
    await world.converge()
    await customer.call(CancelBooking(booking_id=await world.confirmed()))
    await world.converge()
    await site.advance(timedelta(minutes=15))
    await world.converge()
    await world.capture(late)
    await world.converge()
    await site.advance(timedelta(hours=1))
    await world.converge()
    await staff.call(StartBooking(booking_id=talking))
    await world.converge()
    await site.advance(timedelta(hours=1))
    await world.converge()
    await staff.call(CompleteBooking(booking_id=talking))
    await world.converge()
    await site.advance(timedelta(hours=25))
    await world.converge()
    await world.confirmed()
    begun = await world.confirmed()
    await site.advance(timedelta(hours=13, minutes=30))
    await staff.call(StartBooking(booking_id=begun))
    await world.converge()
    for hours in (4, 26, 48):  # nobody starts the one, nobody ends the other
        await site.advance(timedelta(hours=hours))
        await world.converge()
    async with asyncio.timeout(TIMEOUT_S):  # the gateway sends the money back in its own time
        while "payment.returned" not in world.copies[0].heard:
            world.copies[0].take(await anext(world.copies[0].client.events()))
    await world.converge()

    for copy in world.copies[:2]:
        assert copy.heard >= SHOWN, f"{copy.person.me.name} never heard {SHOWN - copy.heard}"
    await the_replay_converges_too(world)


@pytest.mark.parametrize("seed", some(range(1, 7), 1, 2))
async def test_after_any_sequence_of_commands_the_copy_is_the_next_snapshot(world: Simulation, seed: int) -> None:
    world.chance = random.Random(seed)
    for _ in range(2):
        await world.confirmed()
    for step in range(STEPS):
        await world.something()
        if step % LOOK_EVERY == 0:
            await world.converge()
    await world.converge()

    heard = world.copies[0].heard & SHOWN
    assert len(heard) > len(SHOWN) / 2, f"a dull seed: {sorted(SHOWN - heard)} never happened"
    await the_replay_converges_too(world)
    await world.site.prove()


async def test_more_unread_messages_than_are_counted_are_counted_alike(world: Simulation) -> None:
    booking_id = await world.confirmed()
    for number in range(UNREAD_MAX + 5):
        await world.say(world.customer, booking_id, str(number))
        if number % 25 == 0 or number > UNREAD_MAX - 3:
            await world.converge()
    await world.read(world.staff, booking_id, world.messages[booking_id][50][1])
    await world.converge()
    (thread,) = world.copies[1].replica.conversations.values()
    assert thread.unread_count == UNREAD_MAX + 5 - 51


async def test_a_copy_of_somewhere_in_the_middle_converges(world: Simulation) -> None:
    booking_id = await world.confirmed()
    messages = [await world.say(world.customer, booking_id, str(number)) for number in range(5)]
    await world.read(world.staff, booking_id, messages[0])
    thread = ConversationId(booking_id)
    expired = await world.book()
    await world.ask_to_pay(expired)
    await world.site.advance(timedelta(minutes=15))

    world.copies = [await ClientCopy.of(world.site, copy.person) for copy in world.copies]
    await world.customer.call(DeleteMessage(conversation_id=thread, message_id=messages[2]))
    await world.converge()
    await world.read(world.staff, booking_id, messages[1])
    await world.converge()
    await world.capture(world.payments[-1])
    await world.converge()

    (view,) = [copy.replica.bookings[expired] for copy in world.copies[:1]]
    assert (view.status, view.phase) == (BookingStatus.PENDING, Phase.UPCOMING)
    (shown,) = world.copies[1].replica.conversations.values()
    assert shown.unread_count == 2


async def test_an_answer_that_events_have_overtaken_is_asked_for_again(world: Simulation) -> None:
    booking_id = await world.confirmed()
    messages = [await world.say(world.customer, booking_id, str(number)) for number in range(3)]
    middle = await ClientCopy.of(world.site, world.staff)
    await world.read(world.staff, booking_id, messages[0])
    await middle.catch_up()
    (query,) = middle.replica.to_fetch
    answer = await world.staff.call(query)
    await world.say(world.customer, booking_id, "one more")
    await middle.catch_up()

    middle.replica.put(answer)
    assert middle.replica.to_fetch == {query}
    await middle.converges()


async def test_a_gap_is_refused_and_what_is_known_changes_nothing(world: Simulation) -> None:
    replica = Replica(Snapshot(as_of="epoch:7", bookings=[], conversations=[], truncated=False), world.customer.me)
    entity, at = f"booking/{UUID(int=1)}", "2026-03-02T09:00:00Z"

    def expired(seq: int) -> Event:
        return Event(type="booking.expired", entity=entity, at=at, data={}, seq=seq, version=3)

    replica.apply(expired(7))
    with pytest.raises(Gap):
        replica.apply(expired(9))
    assert replica.as_of == "epoch:7"
    replica.apply(expired(8))
    assert replica.as_of == "epoch:8"


async def the_replay_converges_too(world: Simulation) -> None:
    """Copies that begin with the first snapshot, and hear of everything afterwards, from the log."""
    await world.site.at_rest()
    for copy in world.copies:
        again = await ClientCopy.of(world.site, copy.person, copy.first)
        await again.converges()
