"""Clients on bad networks: frozen, cut again and again, deaf on one side, torn into bytes; three devices of one user.

Whatever the line does, each device hears each numbered event once and in order. ``make soak`` does the same for longer.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import psutil
import pytest

from protocol.conversation.commands import MarkRead, PostMessage
from protocol.errors import Unavailable
from protocol.frames import AckState, OpenOutcome
from protocol.ids import ConversationId, MessageId
from protocol.roles import Principal
from protocol.snapshot import GetSnapshot, Snapshot
from server.client import Client, Event, Replica, Rest
from server.client import live as live_client
from server.live.limits import Limits
from storage.database import Pool
from tests.support.bad_network import NetworkProxy, open_bad_network
from tests.support.live_server import TIMEOUT_S, LiveServer, open_live
from tests.support.runtime import Node
from tests.support.sample_conversation import THREAD, ada, bob, open_sample_conversation, say
from tests.support.server import Site

TYPING = f"typing/{THREAD}"
LISTENERS = 10
#: The share of listeners that each cut hits.
SHARE = 0.3
CUTS = 40
MESSAGES = 200
#: Wide: a frozen reader's megabyte, and what Python does not give back.
RSS_GROWTH_MAX_BYTES = 100 * 1024 * 1024


@pytest.fixture
async def node(database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    async with open_sample_conversation(database_dsn, pool) as node:
        yield node


class Badge(Rest):
    """A user with a token made by the test."""

    def __init__(self, url: str, badge: str) -> None:
        super().__init__(url)
        self._badge = badge

    async def token(self) -> str:
        return self._badge


class Listener:
    """A device behind a bad line, and all that came over it."""

    def __init__(self, line: NetworkProxy, client: Client) -> None:
        self.line = line
        self.client = client
        self.events: list[Event] = []

    @property
    def numbers(self) -> list[int]:
        return [event.seq for event in self.events if event.seq is not None]

    async def hear(self, seq: int) -> None:
        """Take events until this one has come."""
        async with asyncio.timeout(TIMEOUT_S):
            while not self.numbers or self.numbers[-1] < seq:
                self.events.append(await anext(self.client.events()))


@asynccontextmanager
async def listener(live: LiveServer, who: Principal) -> AsyncIterator[Listener]:
    """A new device of a user."""
    async with (
        open_bad_network(live.url) as line,
        Badge(line.url, live.token(who)) as rest,
        Client(rest) as client,
    ):
        yield Listener(line, client)


async def opened(client: Client, times: int) -> None:
    """Wait until the connection was opened this many times."""
    async with asyncio.timeout(TIMEOUT_S):
        while len(client.outcomes) < times:
            await asyncio.sleep(0.01)


# Readers that do not read


async def test_a_frozen_reader_under_a_flood_costs_a_bounded_amount_and_resumes_exactly(node: Node) -> None:
    limits, count = Limits(queue_bytes_max=512 * 1024, kernel_unsent_bytes=16 * 1024, close_s=1.0), 600
    before = psutil.Process(os.getpid()).memory_info().rss
    peak = 0
    async with open_live(node, limits=limits) as live, listener(live, bob) as frozen:
        await frozen.client.subscribe(TYPING)
        async with listener(live, ada) as typist:
            await typist.client.subscribe(TYPING)
            frozen.line.freeze()
            for start in range(0, count, 30):
                for _ in range(30):
                    await typist.client.signal(TYPING, "typing")
                await asyncio.gather(*(say(node, f"{n:04} " + "x" * 3_000) for n in range(start, start + 30)))
                peak = max(peak, live.hub.queue_bytes)
                assert live.hub.queue_bytes <= limits.queue_bytes_max + limits.page_bytes_max
        assert psutil.Process(os.getpid()).memory_info().rss - before < RSS_GROWTH_MAX_BYTES
        assert live.hub.closed_total["slow"] == 1
        frozen.line.thaw()
        await frozen.hear(1 + count)

    assert peak > limits.queue_bytes_max / 2, "nothing ever waited"
    assert frozen.numbers == list(range(2, 2 + count))
    assert frozen.client.outcomes == [OpenOutcome.FRESH, OpenOutcome.RESUMED]


async def test_of_a_flood_of_typing_a_reader_that_lags_gets_the_latest_and_is_not_cut(node: Node) -> None:
    """Typing alone never makes a reader slow: what waits is one frame for each person, however many were sent."""
    limits, signals = Limits(kernel_unsent_bytes=16 * 1024, frames_per_s=1e6, frames_burst=1e6), 4_000
    async with (
        open_live(node, limits=limits) as live,
        listener(live, bob) as frozen,
        listener(live, ada) as typist,
    ):
        for device in (frozen, typist):
            await device.client.subscribe(TYPING)
        frozen.line.freeze()
        await asyncio.gather(*(say(node, "x" * 3_000) for _ in range(60)))  # the line is full from here on
        for number in range(signals):
            await typist.client.signal(TYPING, "idle" if number == signals - 1 else "typing")
        await typist.client.signal(TYPING, "idle")
        await typist.client.send(PostMessage(conversation_id=THREAD, text="last"))  # behind all of them
        await typist.hear(62)
        assert live.hub.queue_bytes < 400 * 1024
        frozen.line.thaw()
        await frozen.hear(62)
        while not any(event.data.get("state") == "idle" for event in frozen.events):
            frozen.events.append(await asyncio.wait_for(anext(frozen.client.events()), TIMEOUT_S))

    told = [event for event in frozen.events if event.type == "conversation.typing"]
    assert len(told) < signals / 10
    assert told[-1].data["state"] == "idle"
    assert frozen.client.outcomes == [OpenOutcome.FRESH]


# Lines that are cut


async def test_with_a_third_of_the_clients_cut_at_random_each_hears_every_event_once_and_in_order(node: Node) -> None:
    chance = random.Random(5)
    async with (
        open_live(node, limits=Limits(connections_per_user_max=100)) as live,
        AsyncExitStack() as stack,
    ):
        listeners = [await stack.enter_async_context(listener(live, bob)) for _ in range(LISTENERS)]
        head = 1
        for _ in range(2):  # one such stretch right behind the other
            talking = asyncio.create_task(talk(node, MESSAGES))
            hearing = [asyncio.create_task(one.hear(head + MESSAGES)) for one in listeners]
            for _ in range(CUTS):
                for one in chance.sample(listeners, round(SHARE * LISTENERS)):
                    one.line.cut()
                await asyncio.sleep(chance.uniform(0, 0.05))
            await asyncio.gather(talking, *hearing)
            head += MESSAGES

    for one in listeners:
        assert one.numbers == list(range(2, head + 1))
        assert [event.data["content"]["text"] for event in one.events] == [str(n) for n in range(MESSAGES)] * 2
        assert set(one.client.outcomes[1:]) == {OpenOutcome.RESUMED}


async def talk(node: Node, messages: int) -> None:
    for number in range(messages):
        await say(node, str(number))


# Lines that are half open


async def test_a_client_whose_words_are_lost_is_closed_for_no_pong_and_resumes(node: Node) -> None:
    limits = Limits(heartbeat_s=0.3, pong_s=0.3, close_s=0.5)
    async with open_live(node, limits=limits) as live, listener(live, bob) as device:
        device.line.swallows_up = True
        await say(node, "into the dark")
        async with asyncio.timeout(TIMEOUT_S):
            while not live.hub.closed_total["no_pong"]:
                await asyncio.sleep(0.01)
        device.line.heal()
        await device.hear(2)
        await say(node, "and again")
        await device.hear(3)

    assert device.numbers == [2, 3]
    assert device.client.outcomes[-1] is OpenOutcome.RESUMED


async def test_a_client_that_hears_no_ping_any_more_connects_anew_and_resumes(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data of the server is lost, a goodbye too: the client notices only the silence."""
    monkeypatch.setattr(live_client, "SILENCE_MARGIN_S", 0.5)
    limits = Limits(heartbeat_s=0.3, pong_s=60.0)
    async with open_live(node, limits=limits) as live, listener(live, bob) as device:
        connections = device.line.connections
        device.line.swallows_down = True
        await say(node, "into the dark")
        async with asyncio.timeout(TIMEOUT_S):
            while device.line.connections == connections:
                await asyncio.sleep(0.01)
        device.line.heal()
        await device.hear(2)

    assert device.numbers == [2]
    assert device.client.outcomes[-1] is OpenOutcome.RESUMED


async def test_a_hello_that_gets_stuck_is_said_again(node: Node) -> None:
    async with open_live(node, limits=Limits(hello_s=0.3)) as live, listener(live, bob) as device:
        device.line.piece_bytes = 1  # the handshake crawls through …
        device.line.delay_s = 0.5  # … and the hello comes too late
        device.line.cut()
        async with asyncio.timeout(TIMEOUT_S):
            while not live.hub.closed_total["auth_timeout"]:
                await asyncio.sleep(0.01)
        device.line.heal()
        await say(node, "at last")
        await device.hear(2)

    assert device.numbers == [2]


# Lines that are torn and late


@pytest.mark.parametrize(("piece_bytes", "delay_s"), [(1, 0.0), (7, 0.0), (None, 0.05)])
async def test_frames_that_come_in_pieces_or_late_are_whole_and_in_order(
    node: Node, piece_bytes: int | None, delay_s: float
) -> None:
    texts = ["é" * 10, "x" * 3_000, "", *[str(number) for number in range(20)]]
    async with open_live(node) as live, listener(live, ada) as device:
        device.line.piece_bytes, device.line.delay_s = piece_bytes, delay_s
        for text in texts:
            command = PostMessage(conversation_id=THREAD, text=text or ".")
            await asyncio.wait_for(device.client.send(command), TIMEOUT_S)
        await device.hear(1 + len(texts))

    assert [event.data["content"]["text"] for event in device.events] == [text or "." for text in texts]


async def test_an_answer_over_rest_that_breaks_off_is_a_fault_and_the_retry_gets_the_first_answer(server: Site) -> None:
    """The command was decided; the line was cut in the middle of its answer."""
    market = await server.market()
    customer = await server.person("Carla")
    thread = ConversationId(await server.confirmed(market, customer))
    command = PostMessage(conversation_id=thread, text="x" * 500)
    async with open_bad_network(server.url) as line, Rest(line.url, customer.rest.signed_in) as rest:
        line.cut_after_bytes = 100
        with pytest.raises(Unavailable):
            await rest.call(command, key="once")
        line.cut_after_bytes = None
        again = await rest.call(command, key="once")

    assert again.replayed


# Three devices


async def test_three_devices_of_one_user_show_the_same_at_the_same_place(server: Site) -> None:
    market = await server.market()
    customer = await server.person("Carla")
    thread = ConversationId(await server.confirmed(market, customer))
    staff = market.staff[0]
    first: Snapshot = await customer.call(GetSnapshot())
    async with AsyncExitStack() as stack:
        devices = []
        for name in ("phone", "tablet", "laptop"):
            line = await stack.enter_async_context(open_bad_network(server.url))
            person = await server.sign_in(customer.me.email)
            rest = await stack.enter_async_context(Rest(line.url, person.rest.signed_in))
            client = await stack.enter_async_context(Client(rest, device=name, since=first.as_of))
            devices.append((line, client, Replica(first, person.me)))
        for number in range(12):
            said = await staff.call(PostMessage(conversation_id=thread, text=str(number)))
            line, client, _ = devices[number % 3]
            if number % 4 == 0:
                line.cut()
            await client.send(MarkRead(conversation_id=thread, message_id=MessageId(said.message_id)))
        fresh: Snapshot = await customer.call(GetSnapshot())
        for _, client, replica in devices:
            async with asyncio.timeout(TIMEOUT_S):
                while replica.as_of != fresh.as_of:
                    replica.apply(await anext(client.events()))
            for query in list(replica.to_fetch):
                replica.put(await customer.call(query))

        shown = [(replica.bookings, replica.conversations) for _, _, replica in devices]
        assert shown[0] == shown[1] == shown[2]
        assert shown[0][1] == {view.id: view for view in fresh.conversations}
        assert shown[0][1][thread].unread_count == 0

        # How far each device has got is its own; what was read is the person's.
        head = int(fresh.as_of.rpartition(":")[2])
        await devices[0][1].ack(head, AckState.SEEN)
        await devices[1][1].ack(head - 1)
        for _, client, _ in devices:
            await client.ask(GetSnapshot())  # answered behind the ack
        await server.server.hub.acks.flush()
        rows = await server.node.pool.fetch(
            "SELECT device, delivered, seen FROM inbox_acks WHERE user_id = $1 ORDER BY device", customer.id
        )

    assert [tuple(row) for row in rows] == [("phone", head, head), ("tablet", head - 1, 0)]
