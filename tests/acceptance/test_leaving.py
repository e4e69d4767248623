"""A staff member leaves a business: what they may still see, and who sees to their bookings (rules P-3, T-2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from protocol.booking.commands import ApproveBooking, CancelBooking, PayBooking, StartBooking
from protocol.booking.views import GetBooking, GetTimeline, ListBookings
from protocol.business.commands import AddMember, RemoveMember
from protocol.business.terms import MemberRole
from protocol.conversation.commands import MarkRead, PostMessage
from protocol.conversation.views import GetConversation, ListConversations, ListMessages
from protocol.errors import Forbidden, NotFound
from protocol.ids import BookingId, ConversationId, MessageId
from protocol.notification.views import ListNotifications
from protocol.roles import Role
from protocol.snapshot import GetSnapshot
from protocol.suggestion.views import GetSuggestions
from tests.support.server import Market, Person, Site

SECRET = "my door code is 4711"


@dataclass
class Parting:
    """A confirmed booking with a thread, whose staff member then leaves the business."""

    server: Site
    market: Market
    customer: Person
    staff: Person
    booking_id: BookingId

    @property
    def thread(self) -> ConversationId:
        return ConversationId(self.booking_id)

    async def leave(self) -> None:
        """The owner removes the staff member."""
        command = RemoveMember(business_id=self.market.business_id, user_id=self.staff.id)
        reply = await self.market.owner.call(command)
        assert [one.id for one in reply.open_bookings] == [self.booking_id]
        await self.server.at_rest()

    async def again(self) -> Person:
        """The staff member, signed in again."""
        return await self.server.sign_in(self.staff.me.email)

    async def employed_elsewhere(self) -> Person:
        """The staff member, who now works for another business."""
        other = await self.server.market()
        invite = AddMember(business_id=other.business_id, user_id=self.staff.id, role=MemberRole.STAFF)
        await self.server.join(other.owner, await self.again(), invite)
        person = await self.again()
        await person.rest.act_as(Role.STAFF, other.business_id)
        return person


@pytest.fixture
async def parting(server: Site) -> Parting:
    market, customer = await server.market(), await server.person("Carla Customer")
    (staff,) = market.staff
    booking_id = await server.confirmed(market, customer)
    parting = Parting(server, market, customer, staff, booking_id)
    await server.at_rest()
    await customer.call(PostMessage(conversation_id=parting.thread, text="Hello"))
    return parting


async def reads(person: Person, parting: Parting) -> set[str]:
    """What a user gets to see of the booking and its thread, by any query or command."""
    booking_id, thread = parting.booking_id, parting.thread

    async def listed() -> bool:
        return any(item.id == booking_id for item in (await person.call(ListBookings())).items)

    async def in_list() -> bool:
        return any(item.id == thread for item in (await person.call(ListConversations())).items)

    async def in_snapshot() -> bool:
        snapshot = await person.call(GetSnapshot())
        return any(item.id == booking_id for item in [*snapshot.bookings, *snapshot.conversations])

    async def newest() -> bool:
        newest = (await person.call(ListMessages(conversation_id=thread))).items[0]
        await person.call(MarkRead(conversation_id=thread, message_id=MessageId(newest.id)))
        return True

    async def opened() -> bool:
        answer = await parting.server.request("POST", "/conversations/", person, {"booking_id": str(booking_id)})
        assert answer.status in {200, 403, 404}, answer.body
        return answer.status == 200

    def allowed(what: object) -> Callable[[], Awaitable[bool]]:
        async def call() -> bool:
            await person.call(what)  # type: ignore[arg-type]
            return True

        return call

    ways: dict[str, Callable[[], Awaitable[bool]]] = {
        "booking": allowed(GetBooking(booking_id=booking_id)),
        "timeline": allowed(GetTimeline(booking_id=booking_id)),
        "bookings": listed,
        "thread": allowed(GetConversation(conversation_id=thread)),
        "open": opened,
        "threads": in_list,
        "messages": newest,
        "suggestions": allowed(GetSuggestions(conversation_id=thread)),
        "snapshot": in_snapshot,
        "post": allowed(PostMessage(conversation_id=thread, text="I write")),
    }
    seen = set()
    for name, way in ways.items():
        try:
            if await way():
                seen.add(name)
        except (NotFound, Forbidden):
            continue
    return seen


EVERYTHING = {
    *("booking", "timeline", "bookings", "thread", "open"),
    *("threads", "messages", "suggestions", "snapshot", "post"),
}


async def test_each_party_sees_and_writes(parting: Parting) -> None:
    for person in (parting.customer, parting.staff):
        assert await reads(person, parting) == EVERYTHING


async def test_who_left_sees_and_writes_nothing_in_any_role_at_any_business(parting: Parting) -> None:
    await parting.leave()

    assert await reads(await parting.again(), parting) == set()
    assert await reads(await parting.employed_elsewhere(), parting) == set()
    with pytest.raises((NotFound, Forbidden)):
        await (await parting.again()).call(StartBooking(booking_id=parting.booking_id))


async def test_staff_of_two_businesses_see_only_what_they_act_for(parting: Parting) -> None:
    elsewhere = await parting.employed_elsewhere()

    assert elsewhere.me.business_id != parting.market.business_id
    assert await reads(elsewhere, parting) == set()


async def test_who_left_hears_no_more_live_or_by_resume(parting: Parting) -> None:
    server = parting.server
    await parting.leave()
    gone = await parting.again()
    seq = await server.node.pool.fetchval("SELECT seq FROM inbox_counters WHERE user_id = $1", gone.id)

    await parting.customer.call(PostMessage(conversation_id=parting.thread, text=SECRET))
    await parting.customer.call(CancelBooking(booking_id=parting.booking_id))
    await server.at_rest()

    assert await server.node.pool.fetchval("SELECT seq FROM inbox_counters WHERE user_id = $1", gone.id) == seq
    epoch = (await gone.call(GetSnapshot())).as_of.partition(":")[0]
    await server.connect(gone, since=f"{epoch}:0")
    replayed = await gone.hears_all(seq)
    about = {f"booking/{parting.booking_id}", f"conversation/{parting.thread}"}
    assert [event.data for event in replayed if event.entity in about and event.data != {"redacted": True}] == []
    notices = await gone.call(ListNotifications())
    assert not [one for one in notices.items if one.type == "booking.cancelled"]
    assert not await server.node.pool.fetchval(
        "SELECT count(*) FROM deliveries WHERE user_id = $1 AND template = 'booking.cancelled'", gone.id
    )


async def test_the_owner_is_told_and_answers_the_customer(parting: Parting) -> None:
    server, owner, customer = parting.server, parting.market.owner, parting.customer
    await server.connect(owner)
    await parting.leave()

    event = await owner.hears("booking.staff_left", f"booking/{parting.booking_id}")
    assert event.data["changes"]["staff_left_at"] is not None
    assert (await owner.call(GetBooking(booking_id=parting.booking_id))).staff_left_at is not None
    assert await reads(owner, parting) == EVERYTHING
    texts = [message.text for message in (await customer.call(ListMessages(conversation_id=parting.thread))).items]
    assert texts == ["I write", "Hello"]
    notices = await owner.call(ListNotifications())
    assert [one.title for one in notices.items if one.type == "booking.staff_left"] == ["A staff member left"]


async def test_a_booking_confirmed_after_they_left_has_a_thread_with_the_owner(server: Site) -> None:
    market, customer = await server.market(), await server.person("Carla Customer")
    (staff,) = market.staff
    booking_id = await server.booked(market, customer)
    await market.owner.call(RemoveMember(business_id=market.business_id, user_id=staff.id))
    await server.at_rest()
    await server.captured(await customer.call(PayBooking(booking_id=booking_id)))
    await market.owner.call(ApproveBooking(booking_id=booking_id))
    await server.at_rest()

    thread = await customer.call(GetConversation(conversation_id=ConversationId(booking_id)))

    assert {member.user_id for member in thread.members} == {customer.id, market.owner.id}
