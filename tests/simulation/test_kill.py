"""The server and its database are killed under load: what was answered is kept, what is kept came once, the books hold.

Clients never give up on a command: they send it again under the same id until it is answered, as a person's app does.
``GUILDWIRE_ROUNDS`` sets how often each is killed.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest
from msgspec import Struct

from actors.actor import ACTORS
from protocol.booking.commands import CancelBooking, CreateBooking
from protocol.conversation.commands import PostMessage
from protocol.errors import Fault
from protocol.ids import ConversationId, ServiceId
from server.client import Client, Rest
from server.client.rest import Answer, SignedIn
from server.edge.config import LimitsConfig
from server.ops.database import open_database
from server.ops.pid_file import read_pid_file
from server.ops.verify import verify
from storage.database import Pool, connect_pool
from tests.support.process import ServerProcess, readable_directory, server_process
from tests.support.server import make_config, open_site

SERVER_ROUNDS = int(os.environ.get("GUILDWIRE_ROUNDS", "1"))
#: More in a row, and its supervisor rightly gives it up.
DATABASE_ROUNDS = min(3, SERVER_ROUNDS)
#: Answers between two kills.
ANSWERS_A_ROUND = 150
BOOKERS = 6
THREADS = 3
#: A command that is not answered by then never will be.
PATIENCE_S = 60
RETRY_S = 0.02
NO_LIMITS = {
    "GUILDWIRE_LIMITS__COMMANDS_PER_S": "100000",
    "GUILDWIRE_LIMITS__UNPAID_HOLDS_MAX": "0",
    "GUILDWIRE_LIMITS__REQUESTS_PER_ADDRESS_PER_S": "100000",
}


#: What the two members of each thread heard, in order.
Heard = dict[ConversationId, list[list[UUID]]]


@dataclass
class Plan:
    """Who is there, as it was before the first kill."""

    service_id: ServiceId
    soon: datetime
    customers: list[SignedIn]
    #: Each thread, its two members, and how many messages it has.
    threads: list[tuple[ConversationId, SignedIn, SignedIn]]


@dataclass
class Load:
    """The commands of the clients, and their replies."""

    url: str
    plan: Plan
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    answers: int = 0
    booked: list[UUID] = field(default_factory=list)
    cancelled: list[UUID] = field(default_factory=list)
    posted: dict[ConversationId, list[UUID]] = field(default_factory=dict)
    hours: int = 0

    async def told(self) -> None:
        """One more answer."""
        async with self.changed:
            self.answers += 1
            self.changed.notify_all()

    async def more(self, answers: int) -> None:
        """Wait until there are this many more."""
        goal = self.answers + answers
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: self.answers >= goal)

    def next_hour(self) -> datetime:
        """A time that no other client books."""
        self.hours += 1
        return self.plan.soon + timedelta(hours=100 + 2 * self.hours)


async def insist(rest: Rest, command: Struct) -> Any:
    """Send a command over REST under one id until it is answered."""
    key = str(uuid4())
    return await until_answered(lambda: rest.call(command, key=key))


async def until_answered(send: Callable[[], Awaitable[Answer]]) -> Any:
    """Send again after each fault; gives the reply."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return (await send()).reply
            except Fault:
                await asyncio.sleep(RETRY_S)


async def book(load: Load, signed_in: SignedIn) -> None:
    """Book one hour after another, and cancel every third."""
    async with Rest(load.url, signed_in) as rest:
        while not load.stop.is_set():
            booking = await insist(rest, CreateBooking(service_id=load.plan.service_id, start_at=load.next_hour()))
            load.booked.append(booking.booking_id)
            await load.told()
            if len(load.booked) % 3 == 0:
                await insist(rest, CancelBooking(booking_id=booking.booking_id))
                load.cancelled.append(booking.booking_id)
                await load.told()


async def talk(load: Load, thread_id: ConversationId, client: Client) -> None:
    """Post one message after another over a socket that comes back by itself."""
    posted = load.posted.setdefault(thread_id, [])
    while not load.stop.is_set():
        command, key = PostMessage(conversation_id=thread_id, text=f"number {len(posted)}"), str(uuid4())
        reply = await until_answered(partial(client.send, command, id=key))
        posted.append(reply.message_id)
        await load.told()


async def listen(client: Client, thread_id: ConversationId, notes: list[UUID]) -> None:
    """Note every message of a thread, in the order in which it is heard."""
    thread = f"conversation/{thread_id}"
    async for event in client.events():
        notes += [UUID(event.data["message_id"])] if (event.type, event.entity) == ("message.posted", thread) else []


async def prepare(data_dir: Path) -> Plan:
    """Create a business, its customers and their conversations with a server that is not killed."""
    limits = LimitsConfig(commands_per_s=1e6, command_rates=False, unpaid_holds_max=0, requests_per_address_per_s=1e6)
    config = make_config(data_dir, limits=limits)
    async with open_database(config.server, config.database) as database, open_site(database.dsn, config) as site:
        market = await site.market(staff=4)
        customers = await site.people(*[f"Customer {nth}" for nth in range(BOOKERS)])
        for nth in range(THREADS):
            await site.confirmed(market, customers[nth], hours=nth)
        rows = await site.node.pool.fetch(
            "SELECT c.id, b.customer_id, b.staff_id FROM conversations c JOIN bookings b ON b.id = c.booking_id"
        )
        members = {person.id: signed_in(person.rest) for person in [*customers, *market.staff]}
        threads = [(ConversationId(row["id"]), members[row["customer_id"]], members[row["staff_id"]]) for row in rows]
        return Plan(market.service_id, market.soon, [signed_in(person.rest) for person in customers], threads)


def signed_in(rest: Rest) -> SignedIn:
    assert rest.signed_in is not None
    return rest.signed_in


async def run_load(server: ServerProcess, plan: Plan, trouble: Callable[[Load], Awaitable[None]]) -> None:
    """Run all clients under the faults, then check all their replies."""
    load, heard = Load(server.url, plan), Heard()
    async with AsyncExitStack() as stack:
        clients: list[tuple[ConversationId, Client]] = []
        for thread_id, *members in plan.threads:
            for member in members:
                rest = await stack.enter_async_context(Rest(server.url, member))
                clients.append((thread_id, await stack.enter_async_context(Client(rest))))
        listeners = []
        for thread_id, client in clients:
            notes: list[UUID] = []
            heard.setdefault(thread_id, []).append(notes)
            listeners.append(asyncio.create_task(listen(client, thread_id, notes)))
        async with asyncio.TaskGroup() as working:
            for customer in plan.customers:
                working.create_task(book(load, customer))
            for thread_id, client in clients:
                working.create_task(talk(load, thread_id, client))
            await trouble(load)
            load.stop.set()
        await until_heard(load, heard)
        for listener in listeners:
            listener.cancel()
    running = read_pid_file(server.data_dir)
    assert running is not None
    pool = await connect_pool(running.dsn, size_max=2)
    try:
        await assert_all_kept_once(pool, load, heard)
    finally:
        await pool.close()


async def until_heard(load: Load, heard: Heard) -> None:
    """Wait until every member has heard as many messages of their thread as were answered."""
    async with asyncio.timeout(PATIENCE_S):
        while any(len(notes) < len(load.posted[thread_id]) for thread_id, both in heard.items() for notes in both):
            await asyncio.sleep(RETRY_S)


async def assert_all_kept_once(pool: Pool, load: Load, heard: Heard) -> None:
    rows = await pool.fetch(
        "SELECT id, status FROM bookings WHERE starts_at >= $1", load.plan.soon + timedelta(hours=100)
    )
    assert Counter(row["id"] for row in rows) == Counter(load.booked)
    assert {row["id"] for row in rows if row["status"] == "CANCELLED"} == set(load.cancelled)
    for thread_id, posted in load.posted.items():
        kept = await pool.fetch("SELECT id FROM messages WHERE conversation_id = $1", thread_id)
        assert Counter(row["id"] for row in kept) == Counter(posted)
        first, second = heard[thread_id]
        assert first == second
        assert Counter(first) == Counter(posted)
    broken = [finding async for finding in verify(pool, ACTORS) if finding.broken]
    assert not broken, broken


@pytest.mark.sized
async def test_a_killed_server_loses_nothing_and_doubles_nothing() -> None:
    with readable_directory() as directory:
        plan = await prepare(directory)
        async with server_process(directory, **NO_LIMITS) as server:
            await server.start()

            async def kill_the_server(load: Load) -> None:
                for _ in range(SERVER_ROUNDS):
                    await load.more(ANSWERS_A_ROUND)
                    await server.kill()
                    await server.start()
                await load.more(ANSWERS_A_ROUND)

            await run_load(server, plan, kill_the_server)
            assert await server.stop() == 0


@pytest.mark.sized
async def test_a_killed_database_loses_nothing_and_doubles_nothing() -> None:
    with readable_directory() as directory:
        plan = await prepare(directory)
        async with server_process(directory, **NO_LIMITS) as server:
            running = await server.start()

            async def kill_the_database(load: Load) -> None:
                for _ in range(DATABASE_ROUNDS):
                    await load.more(ANSWERS_A_ROUND)
                    (postmaster,) = postmasters(running.pid)
                    postmaster.kill()
                await load.more(ANSWERS_A_ROUND)

            await run_load(server, plan, kill_the_database)
            assert await server.stop() == 0


def postmasters(server_pid: int) -> list[psutil.Process]:
    """The postmaster that this very server runs."""
    return [child for child in psutil.Process(server_pid).children() if child.name() == "postgres"]
