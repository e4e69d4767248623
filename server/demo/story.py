"""``server demo``: plays one booking from sign-in to released money, and prints the events of three live clients.

It uses only the server's public API, like the apps of three users.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.markup import escape

from protocol.booking.commands import (
    ApproveBooking,
    CompleteBooking,
    ConfirmRelease,
    CreateBooking,
    PayBooking,
    StartBooking,
)
from protocol.booking.views import BookingDetail, GetBooking, GetTimeline, PaymentReply, Timeline
from protocol.conversation.commands import MarkRead, PostMessage
from protocol.ids import BookingId, ConversationId, MessageId
from protocol.roles import Role
from protocol.service.views import FindSlots, ListServices, ServicePage, SlotsView
from protocol.user.views import CurrentUser, UserView
from protocol.wallet.views import GetBalance, WalletBalance
from server.client import Client, Event, Rest
from server.demo.accounts import CUSTOMER_EMAIL, DEMO_PASSWORD, OWNER_EMAIL, STAFF_EMAIL
from server.ops.pid_file import read_pid_file

#: Prints one line, with markup.
Say = Callable[[str], None]

#: How long the server may take to start, and the events of one step to arrive.
START_TIMEOUT_S = 120
STEP_TIMEOUT_S = 30


class Person:
    """One user with a live client, whose events are printed as they come."""

    def __init__(self, name: str, colour: str, rest: Rest, client: Client) -> None:
        self.name, self.colour = name, colour
        self.rest, self.client = rest, client
        self._events: list[Event] = []
        #: Of these events ``receives`` has taken notice.
        self._taken = 0
        self._arrived = asyncio.Condition()

    async def listen(self, say: Say) -> None:
        """Print each event when it arrives; never ends by itself."""
        async for event in self.client.events():
            say(f"  [{self.colour}]{self.name:9}[/] ⟵ #{event.seq:<4} {event.type}")
            async with self._arrived:
                self._events.append(event)
                self._arrived.notify_all()

    async def receives(self, type_: str, entity: str) -> Event:
        """Wait for an event of an entity, after the one waited for last."""
        async with asyncio.timeout(STEP_TIMEOUT_S), self._arrived:
            while True:
                for at, event in enumerate(self._events[self._taken :], self._taken + 1):
                    if event.type == type_ and event.entity == entity:
                        self._taken = at
                        return event
                await self._arrived.wait()


async def play(url: str, console: Console) -> int:
    """Play the story on a running server, or on a temporary one; returns the exit code."""
    async with AsyncExitStack() as stack:
        own = None
        if not url:
            own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guildwire-demo-")))
            own.chmod(0o755)  # if this runs as root, the database runs as another user
            url = await stack.enter_async_context(own_server(own, console))
        people = [
            await stack.enter_async_context(_person(url, *who))
            for who in (
                ("customer", "cyan", CUSTOMER_EMAIL, Role.CUSTOMER),
                ("staff", "green", STAFF_EMAIL, Role.STAFF),
                ("owner", "yellow", OWNER_EMAIL, Role.OWNER),
            )
        ]
        say = partial(console.print, soft_wrap=True)
        listeners = [asyncio.create_task(person.listen(say)) for person in people]
        stack.callback(lambda: [listener.cancel() for listener in listeners])
        await _story(url, *people, say=say)
        return await _verify(own, console)


async def _story(url: str, customer: Person, staff: Person, owner: Person, *, say: Say) -> None:
    booking_id = await _book(customer, staff, say)
    entity = f"booking/{booking_id}"
    await staff.receives("booking.created", entity)

    payment: PaymentReply = (await customer.client.send(PayBooking(booking_id=booking_id))).reply
    say(f"[cyan]customer[/] pays {payment.amount} {payment.currency} at the sandbox payment gateway")
    await _pay(url + payment.checkout_path)
    await staff.receives("booking.paid", entity)

    say("[green]staff[/] approves")
    await staff.client.send(ApproveBooking(booking_id=booking_id))
    await customer.receives("booking.confirmed", entity)
    await _chat(customer, staff, ConversationId(booking_id), say)

    say("the clock moves on to the start")
    booking: BookingDetail = (await customer.rest.call(GetBooking(booking_id=booking_id))).reply
    await _advance_to(url, booking.start_at)
    say("[green]staff[/] starts and completes the job")
    await staff.client.send(StartBooking(booking_id=booking_id))
    await staff.client.send(CompleteBooking(booking_id=booking_id))
    completed = await customer.receives("booking.completed", entity)
    say(f"  the money is in clearance until {_when(datetime.fromisoformat(completed.data['release_at']))}")

    say("[cyan]customer[/] confirms")
    await customer.client.send(ConfirmRelease(booking_id=booking_id))
    await owner.receives("booking.released", entity)
    await _release_by_time(url, customer, staff, owner, say)

    wallet: WalletBalance = (await owner.rest.call(GetBalance())).reply
    say(f"\n[bold]the owner's wallet[/]  {wallet.available_payout} {wallet.currency}, less 10 % commission")
    timeline: Timeline = (await customer.rest.call(GetTimeline(booking_id=booking_id))).reply
    say(f"\n[bold]the timeline of {timeline.number}[/]")
    for entry in timeline.entries:
        say(f"  {entry.at:%H:%M:%S}  {entry.text}")


async def _book(customer: Person, staff: Person, say: Say) -> BookingId:
    """Book the staff member's first free slot."""
    me: UserView = (await staff.rest.call(CurrentUser())).reply
    services: ServicePage = (await customer.rest.call(ListServices(business_id=me.business_id, limit=50))).reply
    for service in services.items:
        slots: SlotsView = (await customer.rest.call(FindSlots(service_id=service.id, staff_id=me.id))).reply
        if slots.slots:
            start_at = slots.slots[0].start_at
            break
    else:
        raise AssertionError("the demo staff member has no free slot")
    say(f"[cyan]customer[/] books {escape(f'{service.title!r} of {service.business_name}')} at {_when(start_at)}")
    command = CreateBooking(
        service_id=service.id, staff_id=me.id, start_at=start_at, notes="Second floor, please ring."
    )
    reply = (await customer.client.send(command)).reply
    say(f"  held: {reply.number}, {reply.total_amount} {reply.currency}, {reply.status}")
    return BookingId(reply.booking_id)


async def _chat(customer: Person, staff: Person, conversation_id: ConversationId, say: Say) -> None:
    say("customer and staff exchange messages")
    entity = f"conversation/{conversation_id}"
    await staff.receives("conversation.opened", entity)
    await customer.client.send(PostMessage(conversation_id=conversation_id, text="Hello! Is there a parking space?"))
    message = await staff.receives("message.posted", entity)
    say(f"    “{escape(message.data['content']['text'])}”")
    message_id = MessageId(message.data["message_id"])
    await staff.client.send(MarkRead(conversation_id=conversation_id, message_id=message_id))
    await customer.receives("messages.read", entity)
    await staff.client.send(PostMessage(conversation_id=conversation_id, text="Yes, right behind the house."))
    message = await customer.receives("message.posted", entity)
    say(f"    “{escape(message.data['content']['text'])}”")


async def _release_by_time(url: str, customer: Person, staff: Person, owner: Person, say: Say) -> None:
    """A second booking, which the customer does not confirm: the money is released after 24 hours."""
    say("\na second booking, which the customer does not confirm")
    booking_id = await _book(customer, staff, say)
    entity = f"booking/{booking_id}"
    payment: PaymentReply = (await customer.client.send(PayBooking(booking_id=booking_id))).reply
    await _pay(url + payment.checkout_path)
    await staff.receives("booking.paid", entity)
    await staff.client.send(ApproveBooking(booking_id=booking_id))
    booking: BookingDetail = (await customer.rest.call(GetBooking(booking_id=booking_id))).reply
    await _advance_to(url, booking.start_at)
    for command in (StartBooking, CompleteBooking):
        await staff.client.send(command(booking_id=booking_id))
    say("the clock moves on to 24 hours after the planned end")
    await _advance_to(url, booking.end_at + timedelta(hours=24))
    await owner.receives("booking.released", entity)


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%a %d %b %Y, %H:%M} UTC"


async def _pay(checkout_url: str) -> None:
    async with aiohttp.ClientSession() as http, http.post(checkout_url + "/pay") as answer:
        answer.raise_for_status()


async def _advance_to(url: str, moment: datetime) -> None:
    """Move the server's clock forward, unless it is later already."""
    async with aiohttp.ClientSession() as http:
        async with http.get(url + "/dev/clock") as answer:
            now = datetime.fromisoformat((await answer.json())["now"])
        body = {"advance_s": max(moment - now, timedelta()).total_seconds()}
        async with http.post(url + "/dev/clock", json=body) as answer:
            answer.raise_for_status()


@asynccontextmanager
async def _person(url: str, name: str, colour: str, email: str, role: Role) -> AsyncIterator[Person]:
    async with Rest(url) as rest:
        await rest.sign_in(email, DEMO_PASSWORD)
        await rest.act_as(role)
        async with Client(rest, device=f"demo-{name}") as client:
            yield Person(name, colour, rest, client)


@asynccontextmanager
async def own_server(data_dir: Path, console: Console) -> AsyncIterator[str]:
    """Run a temporary server on a free port, with its data in the given folder."""
    console.print("starting a temporary server …")
    environ = os.environ | _environment(data_dir)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "server", "run", env=environ, stdout=-3)
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while (running := read_pid_file(data_dir)) is None:
                if process.returncode is not None:
                    raise RuntimeError(f"the server ended with {process.returncode}")
                await asyncio.sleep(0.1)
        yield running.url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _environment(data_dir: Path) -> dict[str, str]:
    settings: dict[str, Any] = {
        "SERVER__DATA_DIR": data_dir,
        "SERVER__HOST": "127.0.0.1",
        "SERVER__PORT": 0,
        "DEV__ENABLED": "true",
        "LOG__LEVEL": "warning",
    }
    return {f"GUILDWIRE_{name}": str(value) for name, value in settings.items()}


async def _verify(data_dir: Path | None, console: Console) -> int:
    if data_dir is None:
        console.print("run `server verify` with that server's data folder to audit its database", soft_wrap=True)
        return 0
    environ = os.environ | _environment(data_dir)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "server", "verify", env=environ)
    return await process.wait()
