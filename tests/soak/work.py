"""The load of a soak, and the ledger of its replies, which is compared with the database afterwards."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp

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
from protocol.booking.terms import DeclineReason, PaymentStatus
from protocol.booking.views import GetBooking, PaymentReply
from protocol.conversation.commands import DeleteMessage, EditMessage, MarkRead, PostMessage
from protocol.conversation.views import GetConversation
from protocol.errors import Fault, NotFound, Rejected
from protocol.ids import BookingId, ConversationId, MessageId
from protocol.registry import BY_TYPE, Command
from tests.soak.simulated_users import PATIENCE_S, RETRY_S, Device, Person, SimulatedUsers, Violation

#: A command without a reply by then is retried under the same id, from another device or over the other transport.
ATTEMPT_S = 4.0
#: A payment that is not seen by then is paid again, as a user of a hanging page does.
PAY_AGAIN_S = 4.0
LOOK_EVERY_S = 0.1
#: Conversations of one staff member: a snapshot has at most 200.
THREADS_MAX = 150
#: Bookable times of each staff member, far enough apart for the buffer between jobs; released ones are booked again.
TIMES = 4_000
APART = timedelta(hours=2)
#: Faults of the sandbox gateway, and how often there is none.
GATEWAY_MODES = ("", "", "", "slow", "twice", "out_of_order", "slow&twice", "twice&out_of_order")

#: Command → the event that it makes, exactly once. None: it may make none, as a read mark before another.
MAKES: dict[type[Command], str | None] = {
    CreateBooking: "booking.created",
    PayBooking: None,
    CancelBooking: "booking.cancelled",
    ApproveBooking: "booking.approved",
    DeclineBooking: "booking.declined",
    StartBooking: "booking.started",
    CompleteBooking: "booking.completed",
    ConfirmRelease: "booking.released",
    PostMessage: "message.posted",
    EditMessage: "message.edited",
    DeleteMessage: "message.deleted",
    MarkRead: None,
}


@dataclass
class Ledger:
    """All replies, by command id."""

    #: Accepted commands: the event that each makes.
    acked: dict[str, str | None] = field(default_factory=dict)
    #: Refused commands: the reason.
    refused: dict[str, str] = field(default_factory=dict)
    bookings: set[UUID] = field(default_factory=set)
    paid: set[UUID] = field(default_factory=set)
    asked_to_pay: set[UUID] = field(default_factory=set)
    messages: dict[ConversationId, list[UUID]] = field(default_factory=dict)
    #: Retries.
    retries: int = 0
    replayed: int = 0

    @property
    def answers(self) -> int:
        """Commands with a reply, accepted or refused."""
        return len(self.acked) + len(self.refused)


class Work:
    """The tasks of all users, which can be paused between two steps."""

    def __init__(self, crowd: SimulatedUsers, chance: random.Random) -> None:
        self.crowd = crowd
        self.ledger = Ledger()
        self._chance = chance
        self._free = {person: deque(range(TIMES)) for person in crowd.staff}
        self._threads = dict.fromkeys(crowd.staff, 0)
        #: Conversations in which users post, the latest last.
        self.talks: deque[tuple[ConversationId, Person, Person]] = deque(maxlen=12)
        self._running = asyncio.Event()
        self._parked = 0
        self._workers: list[asyncio.Task[None]] = []
        self._changed = asyncio.Condition()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ATTEMPT_S))

    # Starting and stopping

    def begin(self) -> None:
        """Start a task for each customer, and one that posts messages for each staff member."""
        for person in self.crowd.customers:
            self._workers.append(self._start(self._errands(person, self._own_chance()), f"errands of {person.name}"))
        for person in self.crowd.staff:
            self._workers.append(self._start(self._talks(person, self._own_chance()), f"talks of {person.name}"))

    def _own_chance(self) -> random.Random:
        return random.Random(self._chance.random())

    def _start(self, coroutine: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        return asyncio.create_task(coroutine, name=name)

    async def end(self) -> None:
        """Cancel all tasks."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._http.close()

    def resume(self) -> None:
        """Resume the tasks."""
        self._running.set()

    async def pause(self) -> None:
        """Pause the tasks, and wait until all commands have a reply. Raises: Violation."""
        self._running.clear()
        try:
            async with asyncio.timeout(PATIENCE_S), self._changed:
                await self._changed.wait_for(lambda: self._parked == len(self._workers) or self._dead())
        except TimeoutError:
            raise Violation(f"{len(self._workers) - self._parked} errands had no answer in {PATIENCE_S:g} s") from None
        self.check()

    def check(self) -> None:
        """Raises: the error of a failed task."""
        for worker in self._dead():
            worker.result()

    def _dead(self) -> list["asyncio.Task[None]"]:
        return [worker for worker in self._workers if worker.done()]

    async def _gate(self) -> None:
        """Wait here between two steps while the tasks are paused."""
        if self._running.is_set():
            return
        await self._park(+1)
        try:
            await self._running.wait()
        finally:
            await self._park(-1)

    async def _park(self, by: int) -> None:
        async with self._changed:
            self._parked += by
            self._changed.notify_all()

    # Sending

    async def tell(
        self,
        person: Person,
        command: Command,
        chance: random.Random,
        may: tuple[str, ...] = (),
        *,
        at_once: bool = False,
    ) -> Any | None:
        """Send a command until there is a reply; None if it was refused as expected. Raises: Violation.

        Under one id, from whatever device is at hand, over either transport.

        Args:
            may: codes that it may be refused with.
            at_once: do not stand still before it, since somebody else waits for its answer.
        """
        if not at_once:
            await self._gate()
        key, what = str(uuid4()), BY_TYPE[type(command)].name
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._insist(person, command, key, chance)
        except TimeoutError:
            raise Violation(f"{person.name}: no answer to {what} {command} (id {key}) in {PATIENCE_S:g} s") from None
        except Rejected as error:
            if error.code not in may:
                raise Violation(f"{person.name}: {what} {command} (id {key}) was refused: {error}") from error
            self.ledger.refused[key] = str(error)
            return None
        self.ledger.acked[key] = MAKES[type(command)]
        return answer

    async def _insist(self, person: Person, command: Command, key: str, chance: random.Random) -> Any:
        while True:
            device = person.any_device(chance)
            with suppress(Fault, TimeoutError):
                answer = await self._try(device, command, key, over_socket=chance.random() < 0.5)
                self.ledger.replayed += answer.replayed
                return answer.reply
            self.ledger.retries += 1
            await asyncio.sleep(RETRY_S)

    async def _try(self, device: Device, command: Command, key: str, *, over_socket: bool) -> Any:
        async with asyncio.timeout(ATTEMPT_S):
            if over_socket:
                return await device.client.send(command, id=key)
            return await device.rest.call(command, key=key)

    # Tasks

    async def _errands(self, customer: Person, chance: random.Random) -> None:
        while True:
            staff = chance.choice(self.crowd.staff)
            if chance.random() < 0.1:
                await self._contest(staff, chance)
            else:
                await self._errand(customer, staff, chance)

    async def _errand(self, customer: Person, staff: Person, chance: random.Random) -> None:
        """One booking, through its stages."""
        async with self._hour(staff) as hour:
            booking_id = await self._book(customer, staff, hour, chance)
            assert booking_id is not None, "nobody else asks for this hour"
            fate = chance.random()
            if fate < 0.35 or self._threads[staff] >= THREADS_MAX:
                await self.tell(customer, CancelBooking(booking_id=booking_id), chance)
                await self._tell_in_vain(customer, staff, booking_id, chance)
                return
            await self._pay(customer, booking_id, chance)
            if fate < 0.5:
                await self.tell(customer, CancelBooking(booking_id=booking_id), chance)
                return
            if fate < 0.6:
                decline = DeclineBooking(booking_id=booking_id, reason_code=DeclineReason.TOO_FAR)
                await self.tell(staff, decline, chance)
                await self.tell(customer, CancelBooking(booking_id=booking_id), chance)
                return
            self._threads[staff] += 1
            await self.tell(staff, ApproveBooking(booking_id=booking_id), chance)
            await self._talk_first(customer, staff, ConversationId(booking_id), chance)
            await self._finish(customer, staff, booking_id, chance)

    @asynccontextmanager
    async def _hour(self, staff: Person) -> AsyncIterator[int]:
        """Take an hour that no other task books; released if the booking ends before it has a conversation."""
        if not self._free[staff]:
            raise Violation("every hour is booked: the soak is too long for its plan")
        hour, threads = self._free[staff].popleft(), self._threads[staff]
        yield hour
        if self._threads[staff] == threads:
            self._free[staff].append(hour)

    def _start_at(self, hour: int) -> datetime:
        return self.crowd.plan.first_at + APART * hour

    async def _book(
        self, customer: Person, staff: Person, hour: int, chance: random.Random, **options: Any
    ) -> BookingId | None:
        command = CreateBooking(
            service_id=self.crowd.plan.service_id, staff_id=staff.id, start_at=self._start_at(hour), notes="soak"
        )
        reply = await self.tell(customer, command, chance, **options)
        if reply is None:
            return None
        self.ledger.bookings.add(reply.booking_id)
        return BookingId(reply.booking_id)

    async def _contest(self, staff: Person, chance: random.Random) -> None:
        """Three users book the same hour at once; one succeeds."""
        hour = self._free[staff].popleft()
        rivals = chance.sample(self.crowd.customers, min(3, len(self.crowd.customers)))
        await self._gate()  # together they are one step
        may = ("slot_taken", "slot_unavailable")
        tries = [self._book(one, staff, hour, random.Random(chance.random()), may=may, at_once=True) for one in rivals]
        booked = [(one, id_) for one, id_ in zip(rivals, await asyncio.gather(*tries), strict=True) if id_ is not None]
        if len(booked) != 1:
            refused = list(self.ledger.refused.values())[-5:]
            raise Violation(
                f"{len(booked)} of {len(rivals)} rivals got {staff.name} at {self._start_at(hour)}:"
                f" {[id_ for _, id_ in booked]}; the last refusals: {refused}"
            )
        await self.tell(booked[0][0], CancelBooking(booking_id=booked[0][1]), chance)
        self._free[staff].append(hour)

    async def _tell_in_vain(
        self, customer: Person, staff: Person, booking_id: BookingId, chance: random.Random
    ) -> None:
        """A late command is refused and changes nothing."""
        late = chance.choice([ApproveBooking, StartBooking, CompleteBooking])
        await self.tell(staff, late(booking_id=booking_id), chance, may=("wrong_state",))
        await self.tell(customer, PayBooking(booking_id=booking_id), chance, may=("wrong_state",))

    async def _pay(self, customer: Person, booking_id: BookingId, chance: random.Random) -> None:
        """Pay on the gateway's page, with retries."""
        reply = await self.tell(customer, PayBooking(booking_id=booking_id), chance)
        assert isinstance(reply, PaymentReply)
        self.ledger.asked_to_pay.add(booking_id)
        mode = chance.choice(GATEWAY_MODES)
        loop = asyncio.get_running_loop()
        pay_at = give_up_at = loop.time()
        give_up_at += PATIENCE_S * 2
        while True:
            await self._gate()
            device = customer.any_device(chance)
            if loop.time() >= pay_at:
                await self._checkout(device, reply.checkout_path, mode)
                pay_at, mode = loop.time() + PAY_AGAIN_S, ""
            with suppress(Fault, TimeoutError):
                async with asyncio.timeout(ATTEMPT_S):
                    seen = (await device.rest.call(GetBooking(booking_id=booking_id))).reply
                if seen.payment_status is PaymentStatus.SECURED:
                    break
            if loop.time() > give_up_at:
                raise Violation(f"{customer.name}: the payment of {booking_id} does not arrive")
            await asyncio.sleep(LOOK_EVERY_S)
        self.ledger.paid.add(booking_id)

    async def _checkout(self, device: Device, path: str, mode: str) -> None:
        query = "&".join(f"{option}=on" for option in mode.split("&") if option)
        with suppress(aiohttp.ClientError, TimeoutError):
            url = f"{device.line.url}{path}/pay?{query}"
            async with self._http.post(url, allow_redirects=False) as answer:
                if answer.status not in (303, 503):
                    raise Violation(f"{device.name}: the gateway's page answers {answer.status}")

    async def _talk_first(self, customer: Person, staff: Person, thread: ConversationId, chance: random.Random) -> None:
        """Wait for the booking's conversation, and post a few messages."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + PATIENCE_S
        while True:
            await self._gate()
            with suppress(Fault, NotFound, TimeoutError):
                async with asyncio.timeout(ATTEMPT_S):
                    await customer.any_device(chance).rest.call(GetConversation(conversation_id=thread))
                break
            if loop.time() > give_up_at:
                raise Violation(f"{customer.name}: the thread of {thread} is never opened")
            await asyncio.sleep(LOOK_EVERY_S)
        self.ledger.messages[thread] = []
        self.talks.append((thread, customer, staff))
        for _ in range(chance.randint(1, 4)):
            await self.say(chance.choice([customer, staff]), thread, "word " * chance.randint(1, 40), chance)

    async def say(
        self, who: Person, thread: ConversationId, text: str, chance: random.Random, **options: Any
    ) -> MessageId:
        """Post a message."""
        reply = await self.tell(who, PostMessage(conversation_id=thread, text=text), chance, **options)
        assert reply is not None
        self.ledger.messages[thread].append(reply.message_id)
        return MessageId(reply.message_id)

    async def _finish(self, customer: Person, staff: Person, booking_id: BookingId, chance: random.Random) -> None:
        started = await self.tell(staff, StartBooking(booking_id=booking_id), chance, may=("too_early",))
        if started is None:
            await self.tell(customer, CancelBooking(booking_id=booking_id), chance)
            return
        await self.tell(self.crowd.owner, CompleteBooking(booking_id=booking_id), chance)
        if chance.random() < 0.7:
            await self.tell(customer, ConfirmRelease(booking_id=booking_id), chance)

    async def _talks(self, staff: Person, chance: random.Random) -> None:
        """Post, edit, delete and read messages in the open conversations."""
        while True:
            await self._gate()
            mine = [talk for talk in self.talks if talk[2] is staff]
            if not mine:
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            thread, customer, _ = chance.choice(mine)
            who, other = chance.sample([customer, staff], 2)
            message_id = await self.say(who, thread, f"said by {who.name}", chance)
            match chance.randrange(5):
                case 0:
                    edit = EditMessage(conversation_id=thread, message_id=message_id, text="changed")
                    await self.tell(who, edit, chance)
                case 1:
                    await self.tell(who, DeleteMessage(conversation_id=thread, message_id=message_id), chance)
                case 2 | 3:
                    await self.tell(other, MarkRead(conversation_id=thread, message_id=message_id), chance)
                case _:
                    stranger = next(one for one in self.crowd.customers if one is not customer)
                    said = PostMessage(conversation_id=thread, text="let me in")
                    await self.tell(stranger, said, chance, may=("not_found",))
