"""Resuming over real WebSockets and the real log: no event is missed, repeated or out of order."""

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from actors.runtime.call import Published
from protocol.conversation.commands import EditMessage, MarkRead, ReplaceMember
from protocol.conversation.terms import Participant
from protocol.ids import UserId
from protocol.roles import Role
from server.live.limits import Limits
from storage.database import Pool
from tests.support.live_server import TIMEOUT_S, LiveServer, open_live, small_receive_buffer
from tests.support.runtime import Node
from tests.support.sample_conversation import BOB, THREAD, ada, bob, epoch_of, open_sample_conversation, say


@pytest.fixture
async def node(database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    async with open_sample_conversation(database_dsn, pool) as node:
        yield node


@pytest.fixture
async def live(node: Node) -> AsyncIterator[LiveServer]:
    async with open_live(node) as live:
        yield live


async def test_missed_events_are_replayed_byte_for_byte(live: LiveServer) -> None:
    node = live.node
    async with live.client(bob) as online:
        since = online.since
        message_id = await say(node, "Grüße – “so” \u2028 & \\u0000 </script>")
        await say(node, "Second")
        await node.send(MarkRead(conversation_id=THREAD, message_id=message_id), bob)
        joins = Participant(user_id=UserId(UUID(int=3)), role=Role.STAFF)
        await node.send(ReplaceMember(conversation_id=THREAD, leaves=UserId(UUID(int=9)), joins=joins))
        last = await online.event(5)
    async with live.client(bob, since=since) as resumed:
        await resumed.event(5)

    assert resumed.welcome["outcome"] == "resumed"
    assert resumed.raw[1:] == online.raw[1:]
    assert last["type"] == "conversation.members_changed"


async def test_an_edited_message_is_replayed_with_its_present_text(live: LiveServer) -> None:
    node = live.node
    async with live.client(bob) as client:
        since = client.since
    message_id = await say(node, "Tpyo")
    await node.send(EditMessage(conversation_id=THREAD, message_id=message_id, text="Typo"), ada)

    async with live.client(bob, since=since) as resumed:
        await resumed.event(3)

    assert [event["data"]["content"]["text"] for event in resumed.events] == ["Typo", "Typo"]


async def test_an_erased_text_is_not_replayed(live: LiveServer) -> None:
    async with live.client(bob) as client:
        since = client.since
    message_id = await say(live.node, "Private")
    await live.node.pool.execute("DELETE FROM messages WHERE id = $1", message_id)

    async with live.client(bob, since=since) as resumed:
        event = await resumed.event(2)

    assert event["data"]["content"] is None
    assert event["data"]["message_id"] == str(message_id)


async def test_events_that_are_no_longer_visible_are_redacted_and_keep_their_numbers(live: LiveServer) -> None:
    node = live.node
    async with live.client(bob) as client:
        since = client.since
    await say(node, "Not for Bob any more")
    await node.send(ReplaceMember(conversation_id=THREAD, leaves=BOB))

    async with live.client(bob, since=since) as resumed:
        await resumed.event(3)

    assert resumed.welcome["outcome"] == "resumed"
    assert resumed.seqs == [2, 3]
    assert [event["data"] for event in resumed.events] == [{"redacted": True}] * 2
    assert resumed.events[0]["entity"] == f"conversation/{THREAD}"


async def test_a_long_absence_is_replayed_in_pages(node: Node) -> None:
    limits = Limits(page_rows=7, page_bytes_max=2_000)
    async with open_live(node, limits=limits) as live:
        async with live.client(bob) as client:
            since = client.since
        await asyncio.gather(*(say(node, f"Message {n}") for n in range(50)))

        async with live.client(bob, since=since) as resumed:
            await resumed.event(51)

    assert resumed.seqs == list(range(2, 52))


async def test_live_events_continue_a_replay_without_gap_or_repeat(node: Node) -> None:
    async with open_live(node, limits=Limits(page_rows=3)) as live:
        async with live.client(bob) as client:
            since = client.since
        await asyncio.gather(*(say(node, f"Before {n}") for n in range(20)))

        talking = asyncio.gather(*(say(node, f"Meanwhile {n}") for n in range(60)))
        async with live.client(bob, since=since) as resumed:
            await talking
            await resumed.event(81)

    assert resumed.seqs == list(range(2, 82))


@pytest.mark.parametrize("since", ["{epoch}:9", "other:1", "{epoch}", ""])
async def test_an_unknown_since_is_a_reset(live: LiveServer, since: str) -> None:
    async with live.client(bob) as client:
        epoch = client.welcome["epoch"]

    async with live.client(bob, since=since.format(epoch=epoch)) as again:
        await say(live.node, "Hello")
        await again.event(2)

    assert again.welcome["outcome"] == "reset"
    assert again.seqs == [2]


async def test_a_since_before_the_retention_is_a_reset(live: LiveServer) -> None:
    async with live.client(bob) as client:
        since = client.since
    for text in ("One", "Two", "Three"):
        await say(live.node, text)
    await live.node.pool.execute("DELETE FROM inbox WHERE user_id = $1 AND seq <= 2", BOB)

    async with live.client(bob, since=since) as late:
        pass
    async with live.client(bob, since=f"{epoch_of(since)}:2") as in_time:
        await in_time.event(4)

    assert (late.welcome["outcome"], late.welcome["seq"]) == ("reset", 4)
    assert (in_time.welcome["outcome"], in_time.seqs) == ("resumed", [3, 4])


async def test_events_that_the_bus_lost_are_read_from_the_log(node: Node) -> None:
    async with open_live(node) as live, live.client(bob) as client:
        publish = node.runtime.publish
        node.runtime.publish = lambda published: None
        await say(node, "Lost on the way")
        node.runtime.publish = publish
        await say(node, "Arrives")
        await client.event(3)

    assert client.seqs == [2, 3]


async def test_the_last_event_that_the_bus_lost_is_found_by_the_resync(live: LiveServer) -> None:
    node = live.node
    async with live.client(bob) as client:
        node.runtime.publish = lambda published: None
        await say(node, "Lost on the way")
        await live.hub.resync()
        await client.event(2)

    assert client.seqs == [2]


async def test_a_bus_that_reorders_and_repeats_changes_nothing(live: LiveServer) -> None:
    node, held = live.node, list[Published]()
    publish = node.runtime.publish
    node.runtime.publish = held.append
    async with live.client(bob) as client:
        await asyncio.gather(*(say(node, f"Message {n}") for n in range(30)))
        random.Random(7).shuffle(held)
        for published in held * 2:
            publish(published)
        await client.event(31)

    assert client.seqs == list(range(2, 32))


async def test_a_changed_epoch_closes_all_sessions(live: LiveServer) -> None:
    async with live.client(bob) as client:
        await live.node.pool.execute(
            "CREATE OR REPLACE FUNCTION inbox_epoch() RETURNS text LANGUAGE sql AS $$SELECT 'restored'$$"
        )
        await live.hub.resync()
        end = await client.end()

    assert end == (4005, "resync")


async def test_every_message_arrives_once_and_in_order_though_the_connection_is_cut(live: LiveServer) -> None:
    node, chance = live.node, random.Random(3)
    texts = [f"Message {n}" for n in range(120)]
    received: list[str] = []
    async with live.client(bob) as client:
        since, head = client.since, client.welcome["seq"]

    async def talk() -> None:
        for text in texts:
            await say(node, text)

    talking = asyncio.create_task(talk())
    while len(received) < len(texts):
        async with live.client(bob, since=since) as client:
            assert client.welcome["outcome"] == "resumed"
            for _ in range(chance.randrange(1, 12)):
                if len(received) == len(texts):
                    break
                head += 1
                event = await client.event(head)
                received.append(event["data"]["content"]["text"])
                since = client.since
            client.connection.transport.abort()
    await talking

    assert received == texts


async def test_a_frozen_reader_is_closed_as_slow_and_then_resumes_exactly(node: Node) -> None:
    """The client stops reading; past the bound it is closed, and reads the rest from the log."""
    limits = Limits(queue_bytes_max=256 * 1024, kernel_unsent_bytes=16 * 1024, close_s=10.0)
    count = 400
    async with open_live(node, limits=limits) as live:
        raw = small_receive_buffer(live.url)
        async with live.client(bob, sock=raw, max_queue=1) as frozen:
            for batch in range(count // 50):
                await asyncio.gather(*(say(node, f"{batch * 50 + n:04} " + "x" * 3_000) for n in range(50)))
            assert live.hub.queue_bytes <= limits.queue_bytes_max + limits.page_bytes_max
            end = await frozen.end()
        async with live.client(bob, since=frozen.since) as resumed:
            await resumed.event(1 + count)

    assert end == (4001, "slow")
    assert resumed.welcome["outcome"] == "resumed"
    assert 0 < len(frozen.seqs) < count
    assert frozen.seqs + resumed.seqs == list(range(2, 2 + count))
    assert live.hub.closed_total["slow"] == 1


async def test_a_reader_that_never_reads_again_is_cut(node: Node) -> None:
    limits = Limits(queue_bytes_max=64 * 1024, kernel_unsent_bytes=16 * 1024, close_s=0.1)
    async with open_live(node, limits=limits) as live:
        raw = small_receive_buffer(live.url)
        async with live.client(bob, sock=raw, max_queue=1):
            for _ in range(4):
                await asyncio.gather(*(say(node, "x" * 3_000) for _ in range(50)))
            async with asyncio.timeout(TIMEOUT_S):
                while live.hub.connection_count:
                    await asyncio.sleep(0)
            assert live.hub.closed_total == {"slow": 1}


async def test_acks_are_stored_by_device_and_never_move_back(live: LiveServer) -> None:
    node = live.node
    async with live.client(bob, device="phone") as phone, live.client(bob, device="web") as web:
        await say(node, "One")
        await say(node, "Two")
        for client in (phone, web):
            await client.event(3)
        await phone.send(frame="ack", seq=3, state="delivered")
        await phone.send(frame="ack", seq=2, state="seen")
        await web.send(frame="ack", seq=2, state="seen")
        for client in (phone, web):
            await client.send(frame="ping")
            await client.until("pong")
        await live.hub.acks.flush()
        await web.send(frame="ack", seq=3, state="delivered")
        await web.send(frame="ping")
        await web.until("pong")
    await live.hub.acks.flush()

    rows = await node.pool.fetch(
        "SELECT device, delivered, seen FROM inbox_acks WHERE user_id = $1 ORDER BY device", BOB
    )
    assert [tuple(row) for row in rows] == [("phone", 3, 2), ("web", 3, 2)]
