"""A simulation of bookings and messages: users with replicas of their data, and planned or random steps."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from protocol.booking.commands import (
    ApproveBooking,
    CancelBooking,
    CompleteBooking,
    ConfirmRelease,
    CreateBooking,
    DeclineBooking,
    PayBooking,
    StartBooking,
)
from protocol.booking.terms import DeclineReason
from protocol.booking.views import PaymentReply
from protocol.conversation.commands import (
    DeleteMessage,
    EditMessage,
    KeepConversationOpen,
    MarkRead,
    PostMessage,
    ReplaceMember,
)
from protocol.conversation.terms import Participant
from protocol.errors import NotFound, Rejected
from protocol.ids import BookingId, ConversationId, MessageId
from protocol.registry import Command
from protocol.roles import Role
from protocol.snapshot import GetSnapshot, Snapshot
from server.client import Client, Event, Replica
from tests.support.server import TIMEOUT_S, Market, Person, Site

#: Random steps concern one of this many latest bookings.
RECENT = 5
#: How far the clock moves in one step at most.
LEAPS = (timedelta(minutes=5), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=25))


@dataclass
class ClientCopy:
    """A user's replica, and the connection that updates it."""

    person: Person
    first: Snapshot
    replica: Replica
    client: Client
    heard: set[str] = field(default_factory=set)

    @classmethod
    async def of(cls, site: Site, person: Person, first: Snapshot | None = None) -> "ClientCopy":
        """A copy from a new or an earlier snapshot."""
        first = first or await person.call(GetSnapshot())
        replica = Replica(first, person.me)
        return cls(person, first, replica, await site.listen(person, replica.as_of))

    async def converges(self) -> None:
        """Apply all events up to a fresh snapshot, fetch what events do not contain, and assert equality."""
        fresh: Snapshot = await self.person.call(GetSnapshot())
        await self.catch_up(fresh.as_of)
        await self.fill()
        assert self.replica.bookings == {booking.id: booking for booking in fresh.bookings}
        assert self.replica.conversations == {thread.id: thread for thread in fresh.conversations}

    async def catch_up(self, as_of: str | None = None) -> None:
        """Apply all events up to a position, or up to now."""
        as_of = as_of or (await self.person.call(GetSnapshot())).as_of
        async with asyncio.timeout(TIMEOUT_S):
            while self.replica.as_of != as_of:
                self.take(await anext(self.client.events()))

    def take(self, event: Event) -> None:
        self.heard.add(event.type)
        self.replica.apply(event)

    async def fill(self) -> None:
        for query in list(self.replica.to_fetch):
            try:
                self.replica.put(await self.person.call(query))
            except NotFound:
                self.replica.lost(query)
        assert not self.replica.to_fetch


@dataclass
class Simulation:
    """A market, its users with their copies, and the steps of the simulation."""

    site: Site
    market: Market
    customer: Person
    copies: list[ClientCopy]
    chance: random.Random
    bookings: list[BookingId] = field(default_factory=list)
    payments: list[PaymentReply] = field(default_factory=list)
    messages: dict[BookingId, list[tuple[Person, MessageId]]] = field(default_factory=dict)

    @property
    def staff(self) -> Person:
        return self.market.staff[0]

    @property
    def other(self) -> Person:
        return self.market.staff[1]

    async def converge(self) -> None:
        await self.site.at_rest()
        for copy in self.copies:
            await copy.converges()

    # Steps

    async def book(self, staff: Person | None = None) -> BookingId:
        """A slot of its own for each booking, within the reach of the leaps."""
        start_at = self.site.node.clock.now() + timedelta(hours=2 + 2 * len(self.bookings))
        staff = staff or self.staff
        command = CreateBooking(service_id=self.market.service_id, staff_id=staff.id, start_at=start_at, notes="Hello")
        booking_id = BookingId((await self.customer.call(command)).booking_id)
        self.bookings.append(booking_id)
        return booking_id

    async def pay(self, booking_id: BookingId, *, short_minor: int = 0) -> None:
        """Go to the gateway, which captures the amount, or somewhat less."""
        await self.ask_to_pay(booking_id)
        await self.capture(self.payments[-1], short_minor=short_minor)

    async def ask_to_pay(self, booking_id: BookingId) -> None:
        self.payments.append(await self.customer.call(PayBooking(booking_id=booking_id)))

    async def capture(self, payment: PaymentReply, *, short_minor: int = 0) -> None:
        await self.site.capture(payment.payment_id, payment.amount_minor - short_minor, payment.currency)

    async def confirmed(self) -> BookingId:
        booking_id = await self.book()
        await self.pay(booking_id)
        await self.staff.call(ApproveBooking(booking_id=booking_id))
        await self.site.at_rest()
        return booking_id

    async def say(self, who: Person, booking_id: BookingId, text: str) -> MessageId:
        said = PostMessage(conversation_id=ConversationId(booking_id), text=text)
        message_id = MessageId((await who.call(said)).message_id)
        self.messages.setdefault(booking_id, []).append((who, message_id))
        return message_id

    async def read(self, who: Person, booking_id: BookingId, message_id: MessageId) -> None:
        await who.call(MarkRead(conversation_id=ConversationId(booking_id), message_id=message_id))

    async def replace(self, booking_id: BookingId, leaves: Person, joins: Person) -> None:
        command = ReplaceMember(
            conversation_id=ConversationId(booking_id),
            leaves=leaves.id,
            joins=Participant(user_id=joins.id, role=Role.STAFF),
        )
        await self.site.system(command)

    # Random steps

    async def something(self) -> None:
        """One random step; what is refused changes nothing."""
        steps: list[tuple[int, Callable[[], Awaitable[Any]]]] = [
            (3, lambda: self.book(self.chance.choice([self.staff, self.other]))),
            (3, lambda: self.pay(self.any_booking())),
            (1, lambda: self.pay(self.any_booking(), short_minor=1)),
            (1, lambda: self.ask_to_pay(self.any_booking())),
            (2, lambda: self.capture(self.chance.choice(self.payments))),
            (4, lambda: self.order(self.staff, ApproveBooking)),
            (1, lambda: self.order(self.market.owner, ApproveBooking)),
            (1, lambda: self.decline(self.any_booking())),
            (1, lambda: self.order(self.chance.choice([self.customer, self.market.owner]), CancelBooking)),
            (2, lambda: self.order(self.staff, StartBooking)),
            (2, lambda: self.order(self.market.owner, CompleteBooking)),
            (1, lambda: self.order(self.customer, ConfirmRelease)),
            (1, lambda: self.site.advance(self.chance.choice(LEAPS))),
            (8, self.talk),
            (1, lambda: self.replace(self.any_booking(), *self.chance.sample([self.staff, self.other], 2))),
            (1, lambda: self.site.system(KeepConversationOpen(conversation_id=ConversationId(self.any_booking())))),
        ]
        (step,) = self.chance.choices([step for _, step in steps], [weight for weight, _ in steps])
        with suppress(Rejected, IndexError):  # refused, or there is nothing yet to choose from
            await step()

    def any_booking(self) -> BookingId:
        return self.chance.choice(self.bookings[-RECENT:])

    async def order(self, who: Person, command: type[Command]) -> None:
        await who.call(command(booking_id=self.any_booking()))

    async def decline(self, booking_id: BookingId) -> None:
        await self.staff.call(DeclineBooking(booking_id=booking_id, reason_code=DeclineReason.TOO_FAR))

    async def talk(self) -> None:
        """Post, edit, delete or read a message in a conversation."""
        booking_id = self.any_booking()
        who = self.chance.choice([self.customer, self.staff])
        messages = self.messages.get(booking_id, [])
        thread = ConversationId(booking_id)
        match self.chance.randrange(6) if messages else 0:
            case 0 | 1 | 2:
                await self.say(who, booking_id, f"{len(messages)} " + "x" * self.chance.choice([0, 300]))
            case 3:
                sender, message_id = self.chance.choice(messages)
                await sender.call(EditMessage(conversation_id=thread, message_id=message_id, text="changed"))
            case 4:
                sender, message_id = self.chance.choice(messages)
                await sender.call(DeleteMessage(conversation_id=thread, message_id=message_id))
            case _:
                await self.read(who, booking_id, self.chance.choice(messages)[1])
