"""The story of a booking as anybody would live it, through the public interface alone (rule B-1).

Request, validation, creation, payment by the gateway's webhook, update, completion; and the talk on the way.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from protocol.booking.commands import ApproveBooking, CompleteBooking, ConfirmRelease, CreateBooking, StartBooking
from protocol.booking.terms import BookingStatus, EscrowStatus, PaymentStatus, Phase
from protocol.booking.views import BookingDetail, GetBooking, GetTimeline, ListJobs
from protocol.business.commands import AddMember, RegisterBusiness
from protocol.business.terms import MemberRole
from protocol.conversation.commands import MarkRead, PostMessage
from protocol.conversation.views import GetConversation, ListConversations, ListMessages
from protocol.errors import Forbidden, NotFound, SlotTaken
from protocol.ids import BookingId, ConversationId, MessageId, ServiceId
from protocol.roles import Role
from protocol.service.commands import CreateService
from protocol.service.views import FindSlots, ListServices
from protocol.snapshot import GetSnapshot
from protocol.wallet.views import GetBalance, GetStatement
from server.client import Rest
from tests.support.server import ALWAYS, PASSWORD, Person, Site

PRICE_MINOR = 8_000
COMMISSION_MINOR = 800
NOTES = "Third floor. Please call +49 30 901820 if the bell is silent."


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part, each with a live connection, in the role that they play."""

    server: Site
    customer: Person
    staff: Person
    owner: Person
    service_id: ServiceId

    @property
    def everybody(self) -> tuple[Person, Person, Person]:
        return self.customer, self.staff, self.owner

    async def all_hear(self, type_: str, entity: str) -> None:
        """Each of the three users gets the event live."""
        for person in self.everybody:
            await person.hears(type_, entity)

    async def book(self) -> BookingId:
        """The first free slot, a day ahead."""
        from_ = (self.server.node.clock.now() + timedelta(days=1)).isoformat()
        slots = await self.customer.call(FindSlots(service_id=self.service_id, from_=from_))
        command = CreateBooking(
            service_id=self.service_id, start_at=slots.slots[0].start_at, notes=NOTES, user_lat=52.5, user_long=13.4
        )
        reply = await self.customer.call(command)
        assert (reply.status, reply.payment_status) == (BookingStatus.PENDING, PaymentStatus.UNPAID)
        assert reply.total_amount_minor == PRICE_MINOR
        return BookingId(reply.booking_id)

    async def seen(self, person: Person, booking_id: BookingId) -> BookingDetail:
        detail: BookingDetail = await person.call(GetBooking(booking_id=booking_id))
        return detail

    async def confirmed(self) -> BookingId:
        """Booked, paid at the gateway, approved by the staff member."""
        booking_id = await self.book()
        await self.staff.hears("booking.created", entity := f"booking/{booking_id}")
        await self.server.pay(self.customer, booking_id)
        await self.staff.hears("booking.paid", entity)
        await self.staff.send(ApproveBooking(booking_id=booking_id))
        await self.all_hear("booking.confirmed", entity)
        return booking_id


async def signed_up(server: Site, stack: AsyncExitStack, name: str) -> Person:
    """A user with a new account."""
    person = Person(await stack.enter_async_context(Rest(server.url)))
    await person.rest.sign_up(f"{uuid4().hex}@people.test", PASSWORD, name)
    return person


@pytest.fixture
async def cast(server: Site) -> AsyncIterator[Cast]:
    """A business with one staff member, and a customer; all of it made through the public interface."""
    async with AsyncExitStack() as stack:
        customer, staff, owner = [await signed_up(server, stack, name) for name in ("Carla", "Sam", "Olga")]
        register = RegisterBusiness(
            name="Salon Olga",
            category_id="hair",
            city="Berlin",
            zone="Europe/Berlin",
            currency="EUR",
            hours=ALWAYS,
            owner_serves=False,
        )
        business_id = (await owner.call(register)).business_id
        await server.at_rest()
        owner = await acting(server, owner, Role.OWNER)
        await server.join(owner, staff, AddMember(business_id=business_id, user_id=staff.id, role=MemberRole.STAFF))
        await owner.call(CreateService(category_id="hair", title="Cut", price=80, duration_minutes=60))
        await server.at_rest()
        staff = await acting(server, staff, Role.STAFF)
        (service,) = (await customer.call(ListServices(search="cut salon"))).items
        people = customer, staff, owner
        await server.connect(*people)
        yield Cast(server, *people, service.id)


async def acting(server: Site, person: Person, role: Role) -> Person:
    """The same person, who has signed in anew and acts as that."""
    person = await server.sign_in(person.me.email)
    assert (await person.rest.act_as(role)).user.role is role
    return person


async def test_a_booking_from_sign_up_to_released_money(cast: Cast) -> None:
    server, customer, staff, owner = cast.server, *cast.everybody

    # Request, validation, creation: the slot is held, the transaction too.
    booking_id = await cast.book()
    entity = f"booking/{booking_id}"
    await cast.all_hear("booking.created", entity)
    view = await cast.seen(customer, booking_id)
    assert (view.escrow_status, view.phase, view.notes) == (EscrowStatus.HELD, Phase.UPCOMING, NOTES)
    with pytest.raises(SlotTaken):
        await (await server.person("Late")).call(
            CreateBooking(service_id=cast.service_id, start_at=view.start_at, staff_id=staff.id)
        )
    with pytest.raises(NotFound):
        await cast.seen(await server.person("Stranger"), booking_id)
    (job,) = (await staff.call(ListJobs())).items
    assert job.id == booking_id
    waiting = await cast.seen(staff, booking_id)
    assert (waiting.customer_contact, waiting.notes) == (None, None)

    # Payment: the gateway's signed webhook arrives, and the staff member sees it live.
    payment = await server.pay(customer, booking_id)
    paid = await staff.hears("booking.paid", entity)
    assert (paid.data["amount_minor"], paid.data["currency"]) == (payment.amount_minor, "EUR")
    assert (await owner.call(GetBalance())).pending_escrow_minor == PRICE_MINOR
    view = await cast.seen(customer, booking_id)
    assert (view.status, view.payment_status) == (BookingStatus.PENDING, PaymentStatus.SECURED)

    # Update: approved, so confirmed; now the staff member may know how to reach the customer.
    with pytest.raises(Forbidden):
        await customer.send(ApproveBooking(booking_id=booking_id))
    approved = await staff.send(ApproveBooking(booking_id=booking_id))
    assert approved.status is BookingStatus.CONFIRMED
    await customer.hears("booking.confirmed", entity)
    await owner.hears("booking.confirmed", entity)
    known = await cast.seen(staff, booking_id)
    assert known.customer_contact is not None
    assert known.customer_contact.email == customer.me.email

    await talk(cast, booking_id)

    # The reminder comes an hour before the start, not a second earlier.
    to_reminder = view.start_at - timedelta(hours=1) - server.node.clock.now()
    await server.advance(to_reminder - timedelta(seconds=30))
    assert "booking.reminded" not in await told(customer, booking_id)
    await server.advance(timedelta(seconds=31))
    reminded = await customer.hears("booking.reminded", entity)
    assert reminded.data["starts_at"].startswith(f"{view.start_at:%Y-%m-%dT%H:%M}")

    # The job, its time kept by the server.
    await server.advance(timedelta(hours=1))
    await staff.send(StartBooking(booking_id=booking_id))
    await customer.hears("booking.started", entity)
    assert (await cast.seen(customer, booking_id)).phase is Phase.ONGOING
    await server.advance(timedelta(minutes=50))
    await staff.send(CompleteBooking(booking_id=booking_id))
    await customer.hears("booking.completed", entity)
    done = await cast.seen(customer, booking_id)
    assert (done.status, done.escrow_status) == (BookingStatus.COMPLETED, EscrowStatus.PENDING_CLEARANCE)
    assert done.duration_minutes == 50
    assert (await cast.seen(staff, booking_id)).customer_contact is None
    assert (await owner.call(GetBalance())).available_payout_minor == 0

    # Completion: the customer confirms, and the money is the business's less commission.
    await customer.send(ConfirmRelease(booking_id=booking_id))
    await owner.hears("booking.released", entity)
    assert (await cast.seen(customer, booking_id)).escrow_status is EscrowStatus.RELEASED
    await the_business_has(cast, PRICE_MINOR - COMMISSION_MINOR)
    assert (await told(customer, booking_id))[-1] == "booking.released"
    timeline = await customer.call(GetTimeline(booking_id=booking_id))
    assert [entry.type for entry in timeline.entries] == [
        "booking.created",
        "payment.requested",
        "booking.paid",
        "booking.approved",
        "booking.confirmed",
        "booking.reminded",
        "booking.started",
        "booking.completed",
        "booking.released",
    ]
    assert [entry.by for entry in timeline.entries if entry.type == "booking.approved"] == [staff.id]
    assert "Carla booked Cut with Sam" in timeline.entries[0].text
    assert "at 80.00 EUR" in timeline.entries[0].text
    assert not (await customer.call(GetSnapshot())).bookings
    await server.prove()


async def test_without_the_customers_word_24_hours_release_the_money(cast: Cast) -> None:
    server, customer, staff, owner = cast.server, *cast.everybody
    booking_id = await cast.confirmed()
    entity = f"booking/{booking_id}"
    view = await cast.seen(customer, booking_id)
    await server.until(view.start_at)
    await staff.send(StartBooking(booking_id=booking_id))
    await staff.send(CompleteBooking(booking_id=booking_id))

    await server.until(view.end_at + timedelta(hours=24) - timedelta(seconds=30))
    assert "booking.released" not in await told(customer, booking_id)
    await server.advance(timedelta(seconds=31))

    released = await owner.hears("booking.released", entity)
    assert (released.data["cause"], released.data["commission_minor"]) == ("time", COMMISSION_MINOR)
    assert (await owner.call(GetBalance())).available_payout_minor == PRICE_MINOR - COMMISSION_MINOR
    await server.prove()


async def test_a_gateway_that_repeats_and_confuses_itself_pays_once(cast: Cast) -> None:
    server, customer, owner = cast.server, cast.customer, cast.owner
    booking_id = await cast.book()
    payment = await server.pay(customer, booking_id, "twice", "out_of_order")
    await owner.hears("booking.paid", f"booking/{booking_id}")
    await server.request("POST", f"{payment.checkout_path}/pay")  # the button once more
    other = await cast.book()
    await server.pay(customer, other)
    await owner.hears("booking.paid", f"booking/{other}")

    assert (await told(customer, booking_id)).count("booking.paid") == 1
    assert (await owner.call(GetBalance())).pending_escrow_minor == 2 * PRICE_MINOR
    await server.prove()


async def test_a_late_payment_revives_the_booking_or_goes_back(cast: Cast) -> None:
    server, customer = cast.server, cast.customer
    revived, lost = await cast.book(), await cast.book()
    start_at = (await cast.seen(customer, lost)).start_at
    for booking_id in (revived, lost):
        await server.pay(customer, booking_id, "late")
    await server.advance(timedelta(minutes=15))
    for booking_id in (revived, lost):
        await customer.hears("booking.expired", f"booking/{booking_id}")
    await (await server.person("Quick")).call(CreateBooking(service_id=cast.service_id, start_at=start_at))

    await server.advance(timedelta(minutes=2))
    await customer.hears("payment.returned", f"booking/{lost}")

    view = await cast.seen(customer, revived)
    assert (view.status, view.payment_status) == (BookingStatus.PENDING, PaymentStatus.SECURED)
    view = await cast.seen(customer, lost)
    assert (view.status, view.payment_status) == (BookingStatus.EXPIRED, PaymentStatus.REFUNDED)
    await server.prove()


# Steps and looks


async def talk(cast: Cast, booking_id: BookingId) -> None:
    """Customer and staff chat in the booking's conversation; no other user gets its events."""
    customer, staff = cast.customer, cast.staff
    thread, entity = ConversationId(booking_id), f"conversation/{booking_id}"
    for person in (customer, staff):
        await person.hears("conversation.opened", entity)
        await person.phone.subscribe(f"typing/{thread}")
    await customer.phone.signal(f"typing/{thread}", "typing")
    typing = await staff.hears("conversation.typing", entity)
    assert (typing.data["user_id"], typing.seq) == (str(customer.id), None)

    sent = await customer.send(PostMessage(conversation_id=thread, text="Is there a parking space? 🚗"))
    heard = await staff.hears("message.posted", entity)
    assert heard.data["content"]["text"] == "Is there a parking space? 🚗"
    (listed,) = (await staff.call(ListConversations())).items
    assert (listed.unread_count, listed.job_context.job_title) == (1, "Cut")
    await staff.send(MarkRead(conversation_id=thread, message_id=MessageId(sent.message_id)))
    read = await customer.hears("messages.read", entity)
    assert read.data == {"user_id": str(staff.id), "message_id": str(sent.message_id)}
    await staff.send(PostMessage(conversation_id=thread, text="Right behind the house."))
    await customer.hears("message.posted", entity)

    marks = {member.user_id: member.read_message_id for member in await members(customer, thread)}
    assert marks == {customer.id: None, staff.id: sent.message_id}
    texts = [message.text for message in (await customer.call(ListMessages(conversation_id=thread))).items]
    assert texts == ["Right behind the house.", "Is there a parking space? 🚗"]
    with pytest.raises(NotFound):
        await cast.owner.call(ListMessages(conversation_id=thread))


async def members(person: Person, thread: ConversationId) -> Any:
    return (await person.call(GetConversation(conversation_id=thread))).members


async def told(person: Person, booking_id: BookingId) -> list[str]:
    """The types of the timeline's entries."""
    return [entry.type for entry in (await person.call(GetTimeline(booking_id=booking_id))).entries]


async def the_business_has(cast: Cast, amount_minor: int) -> None:
    """The owner's wallet holds that much, and its statement says so too; staff and customer have nothing of it."""
    wallet = await cast.owner.call(GetBalance())
    assert (wallet.available_payout_minor, wallet.pending_escrow_minor) == (amount_minor, 0)
    assert wallet.total_revenue_minor == amount_minor
    (line,) = (await cast.owner.call(GetStatement())).items
    assert (line.reason, line.amount_minor) == ("release", amount_minor)
    assert (await cast.customer.call(GetBalance())).balance_minor == 0
    assert (await cast.staff.call(GetBalance())).tips_only_minor == 0
