"""Events over plain HTTP, with real connections and the real log: the same positions, events and reasons to close."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from actors.runtime.call import Published
from protocol.conversation.commands import ReplaceMember
from protocol.ids import SessionId
from protocol.rates import Rate
from server.edge.rates import RateLimits
from server.live.limits import Limits
from storage.database import Pool
from tests.support.event_stream import PATH, open_stream, poll
from tests.support.live_server import TIMEOUT_S, UNLIMITED, LiveServer, open_live
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


async def position(live: LiveServer) -> str:
    """The last position of Bob's log."""
    status, page = await poll(live.url, live.token(bob))
    assert (status, page["outcome"], page["events"]) == (200, "fresh", [])
    return str(page["as_of"])


# The event stream


async def test_a_stream_has_the_same_bytes_as_a_websocket(live: LiveServer) -> None:
    async with live.client(bob) as socket, open_stream(live.url, live.token(bob)) as stream:
        for text in ("Grüße \u2028 \n\n data: </script>", "Second"):
            await say(live.node, text)
        await socket.event(3)
        last = await stream.event(3)

    assert (stream.welcome["outcome"], stream.received[0].id) == ("fresh", socket.welcome["epoch"] + ":1")
    for frame in socket.raw[1:]:
        assert b"\ndata: " + frame + b"\n\n" in stream.raw
    assert last.event == "message.posted"
    assert last.id == socket.welcome["epoch"] + ":3"


async def test_a_cut_stream_resumes_by_its_last_event_id(live: LiveServer) -> None:
    token = live.token(bob)
    async with open_stream(live.url, token) as cut:
        await say(live.node, "One")
        await cut.event(2)
    for text in ("Two", "Three"):
        await say(live.node, text)

    async with open_stream(live.url, token, since="long:ago", last_id=cut.last_id) as resumed:
        await resumed.event(4)

    assert (resumed.welcome["outcome"], resumed.received[0].id) == ("resumed", None)
    assert resumed.seqs == [3, 4]


async def test_a_stream_without_events_resumes_from_its_welcome(live: LiveServer) -> None:
    token = live.token(bob)
    async with open_stream(live.url, token) as cut:
        pass
    await say(live.node, "Meanwhile")

    async with open_stream(live.url, token, last_id=cut.last_id) as resumed:
        await resumed.event(2)

    assert resumed.seqs == [2]


async def test_events_that_are_no_longer_visible_are_redacted(live: LiveServer) -> None:
    since = await position(live)
    await say(live.node, "Not for Bob any more")
    await live.node.send(ReplaceMember(conversation_id=THREAD, leaves=BOB))

    async with open_stream(live.url, live.token(bob), since) as stream:
        await stream.event(3)
    _, page = await poll(live.url, live.token(bob), since=since)

    assert [frame["data"] for frame in stream.events] == [{"redacted": True}] * 2
    assert page["events"] == stream.events


@pytest.mark.parametrize("since", ["{epoch}:9", "other:1"])
async def test_an_unknown_position_is_a_reset(live: LiveServer, since: str) -> None:
    epoch = epoch_of(await position(live))
    since = since.format(epoch=epoch)

    async with open_stream(live.url, live.token(bob), since) as stream:
        await say(live.node, "Hello")
        await stream.event(2)
    status, page = await poll(live.url, live.token(bob), since=since)

    assert (stream.welcome["outcome"], stream.received[0].id, stream.seqs) == ("reset", f"{epoch}:1", [2])
    assert (status, page) == (200, {"outcome": "reset", "as_of": f"{epoch}:2", "more": False, "events": []})


async def test_a_position_before_the_retention_is_a_reset(live: LiveServer) -> None:
    since = await position(live)
    for text in ("One", "Two", "Three"):
        await say(live.node, text)
    await live.node.pool.execute("DELETE FROM inbox WHERE user_id = $1 AND seq <= 2", BOB)
    in_time = f"{epoch_of(since)}:2"

    async with open_stream(live.url, live.token(bob), since) as stream:
        pass
    _, late_page = await poll(live.url, live.token(bob), since=since)
    _, page = await poll(live.url, live.token(bob), since=in_time)

    assert (stream.welcome["outcome"], stream.welcome["seq"]) == ("reset", 4)
    assert (late_page["outcome"], late_page["events"]) == ("reset", [])
    assert (page["outcome"], [frame["seq"] for frame in page["events"]]) == ("resumed", [3, 4])


async def test_events_that_the_bus_lost_are_read_from_the_log(live: LiveServer) -> None:
    node = live.node
    async with open_stream(live.url, live.token(bob)) as stream:
        publish = node.runtime.publish
        node.runtime.publish = lambda published: None
        await say(node, "Lost on the way")
        node.runtime.publish = publish
        await say(node, "Arrives")
        await stream.event(3)

    assert stream.seqs == [2, 3]


async def test_a_bus_that_reorders_and_repeats_changes_nothing(live: LiveServer) -> None:
    node, held = live.node, list[Published]()
    publish = node.runtime.publish
    node.runtime.publish = held.append
    async with open_stream(live.url, live.token(bob)) as stream:
        await asyncio.gather(*(say(node, f"Message {n}") for n in range(30)))
        random.Random(7).shuffle(held)
        for published in held * 2:
            publish(published)
        await stream.event(31)

    assert stream.seqs == list(range(2, 32))


async def test_a_long_absence_is_replayed_in_pages_and_continues_live(node: Node) -> None:
    async with open_live(node, limits=Limits(page_rows=7, page_bytes_max=2_000)) as live:
        since = await position(live)
        await asyncio.gather(*(say(node, f"Before {n}") for n in range(50)))
        talking = asyncio.gather(*(say(node, f"Meanwhile {n}") for n in range(50)))
        async with open_stream(live.url, live.token(bob), since) as stream:
            await talking
            await stream.event(101)

    assert stream.seqs == list(range(2, 102))


async def test_every_event_arrives_once_and_in_order_over_changing_transports(live: LiveServer) -> None:
    """Positions are the same for all transports: WebSocket, stream and poll in turn, cut at any moment."""
    node, chance, token = live.node, random.Random(5), live.token(bob)
    since = await position(live)
    epoch, last, texts = epoch_of(since), 1, [f"Message {n}" for n in range(150)]
    received: list[str] = []

    async def talk() -> None:
        for text in texts:
            await say(node, text)

    def keep(frame: dict[str, Any]) -> None:
        nonlocal last
        assert frame["seq"] == last + 1
        last += 1
        received.append(frame["data"]["content"]["text"])

    talking = asyncio.create_task(talk())
    turns = 0
    while len(received) < len(texts):
        since, count = f"{epoch}:{last}", min(chance.randrange(1, 9), len(texts) - len(received))
        match turns % 3:
            case 0:
                async with live.client(bob, since=since) as client:
                    for seq in range(last + 1, last + 1 + count):
                        keep(await client.event(seq))
            case 1:
                async with open_stream(live.url, token, last_id=since) as stream:
                    for seq in range(last + 1, last + 1 + count):
                        keep((await stream.event(seq)).data)
            case 2:
                _, page = await poll(live.url, token, since=since, limit=count)
                assert page["outcome"] == "resumed"
                for frame in page["events"]:
                    keep(frame)
                assert page["as_of"] == f"{epoch}:{last}"
        turns += 1
    await talking

    assert received == texts
    assert turns > 6


async def test_a_stream_sends_pings(node: Node) -> None:
    limits = Limits(heartbeat_s=0.02, pong_s=0.02)
    async with (
        open_live(node, limits=limits) as live,
        open_stream(live.url, live.token(bob)) as stream,
    ):
        while b": ping\n\n: ping\n\n: ping\n\n" not in stream.raw:
            stream.raw += await asyncio.wait_for(stream.answer.content.readany(), TIMEOUT_S)
        await say(node, "Still here")
        await stream.event(2)

    assert stream.seqs == [2]


async def test_a_slow_reader_is_closed_and_then_resumes_exactly(node: Node) -> None:
    limits = Limits(queue_bytes_max=256 * 1024, kernel_unsent_bytes=16 * 1024, close_s=10.0)
    count = 400
    async with open_live(node, limits=limits) as live:
        token = live.token(bob)
        async with open_stream(live.url, token, buffer_bytes=4096) as slow:
            for batch in range(count // 50):
                await asyncio.gather(*(say(node, f"{batch * 50 + n:04} " + "x" * 3_000) for n in range(50)))
            assert live.hub.queue_bytes <= limits.queue_bytes_max + limits.page_bytes_max
            bye = await slow.end()
        async with open_stream(live.url, token, last_id=slow.last_id) as resumed:
            await resumed.event(1 + count)

    assert (bye.event, bye.data["reason"], bye.data["reconnect"]) == ("bye", "slow", True)
    assert 0 < len(slow.seqs) < count
    assert slow.seqs + resumed.seqs == list(range(2, 2 + count))


async def test_a_reader_that_never_reads_is_cut(node: Node) -> None:
    limits = Limits(queue_bytes_max=64 * 1024, kernel_unsent_bytes=16 * 1024, close_s=0.1)
    async with (
        open_live(node, limits=limits) as live,
        open_stream(live.url, live.token(bob), buffer_bytes=4096),
    ):
        for _ in range(4):
            await asyncio.gather(*(say(node, "x" * 3_000) for _ in range(50)))
        async with asyncio.timeout(TIMEOUT_S):
            while live.hub.connection_count:
                await asyncio.sleep(0)
        assert live.hub.closed_total == {"slow": 1}


async def test_a_disconnected_client_is_removed_at_once(live: LiveServer) -> None:
    async with open_stream(live.url, live.token(bob)):
        assert live.hub.connection_count == 1
    async with asyncio.timeout(TIMEOUT_S):
        while live.hub.connection_count:
            await asyncio.sleep(0)

    assert live.hub.closed_total["client"] == 1


async def test_the_poll_of_a_disconnected_client_ends(live: LiveServer) -> None:
    since = await position(live)
    waiting = asyncio.create_task(poll(live.url, live.token(bob), since=since, wait_s=30))
    async with asyncio.timeout(TIMEOUT_S):
        while not live.hub.connection_count:
            await asyncio.sleep(0)
        waiting.cancel()
        while live.hub.connection_count:
            await asyncio.sleep(0)


# Closing


async def test_a_revoked_sign_in_ends_stream_and_poll(live: LiveServer) -> None:
    since = await position(live)
    async with open_stream(live.url, live.token(bob)) as stream:
        waiting = asyncio.create_task(poll(live.url, live.token(bob), since=since))
        await _connections(live, 2)
        live.hub.revoke(BOB, SessionId(BOB))
        bye = await stream.end()
        status, problem = await waiting

    assert (bye.event, bye.id, bye.retry_ms) == ("bye", None, None)
    assert bye.data == {"frame": "bye", "code": 4503, "reason": "revoked", "reconnect": False, "after_s": 0.0}
    assert (status, problem["code"], problem["fields"]) == (401, "unauthenticated", {"reason": "revoked"})


async def test_an_expired_token_ends_stream_and_poll(live: LiveServer) -> None:
    since = await position(live)
    waiting = asyncio.create_task(poll(live.url, live.token(bob, lasts_s=0.3), since=since))
    async with open_stream(live.url, live.token(bob, lasts_s=0.3)) as stream:
        bye = await stream.end()
    status, problem = await waiting

    assert (bye.data["reason"], bye.data["reconnect"]) == ("token_expired", True)
    assert (status, problem["fields"]) == (401, {"reason": "expired"})


async def test_a_draining_server_ends_stream_and_poll_and_says_when_to_reconnect(live: LiveServer) -> None:
    since = await position(live)
    async with open_stream(live.url, live.token(bob)) as stream:
        waiting = asyncio.create_task(poll(live.url, live.token(bob), since=since))
        await _resumed(live)
        await live.hub.drain()
        bye = await stream.end()
    status, page = await waiting
    late, problem = await poll(live.url, live.token(bob), since=since)

    assert (bye.data["code"], bye.retry_ms) == (4000, int(bye.data["after_s"] * 1000))
    assert (status, page) == (200, {"outcome": "resumed", "as_of": since, "more": False, "events": []})
    assert (late, problem["code"]) == (503, "unavailable")


async def test_a_changed_epoch_ends_the_stream(live: LiveServer) -> None:
    async with open_stream(live.url, live.token(bob)) as stream:
        await live.node.pool.execute(
            "CREATE OR REPLACE FUNCTION inbox_epoch() RETURNS text LANGUAGE sql AS $$SELECT 'restored'$$"
        )
        await live.hub.resync()
        bye = await stream.end()
    async with open_stream(live.url, live.token(bob), last_id=stream.last_id) as again:
        pass

    assert bye.data["reason"] == "resync"
    assert (again.welcome["outcome"], again.received[0].id) == ("reset", "restored:1")


async def test_connections_of_all_transports_count_towards_the_users_limit(node: Node) -> None:
    async with open_live(node, limits=Limits(connections_per_user_max=2)) as live:
        since = await position(live)
        async with live.client(bob) as socket, open_stream(live.url, live.token(bob)) as stream:
            waiting = asyncio.create_task(poll(live.url, live.token(bob), since=since))
            assert await socket.end() == (4505, "replaced")
            await _connections(live, 2)
            async with live.client(bob):
                bye = await stream.end()
                async with live.client(bob):
                    status, problem = await waiting

    assert (bye.data["code"], bye.data["reconnect"]) == (4505, False)
    assert (status, problem["fields"]["limit"]) == (429, "connections_per_user")


# The long poll


async def test_a_poll_waits_for_the_first_event(live: LiveServer) -> None:
    since = await position(live)
    waiting = asyncio.create_task(poll(live.url, live.token(bob), since=since))
    await _connections(live, 1)
    await say(live.node, "Hello")
    status, page = await waiting

    assert (status, page["outcome"], page["as_of"]) == (200, "resumed", f"{epoch_of(since)}:2")
    assert [(frame["frame"], frame["seq"], frame["type"]) for frame in page["events"]] == [
        ("event", 2, "message.posted")
    ]


async def test_a_poll_without_events_returns_an_empty_page(live: LiveServer) -> None:
    since = await position(live)

    for wait_s in (0, 0.05):
        status, page = await poll(live.url, live.token(bob), since=since, wait_s=wait_s)
        assert (status, page) == (200, {"outcome": "resumed", "as_of": since, "more": False, "events": []})


async def test_a_page_has_no_more_events_than_the_limit(live: LiveServer) -> None:
    since = await position(live)
    seqs: list[int] = []
    for number in range(7):
        await say(live.node, str(number))

    mores = []
    while len(seqs) < 7:
        _, page = await poll(live.url, live.token(bob), since=since, limit=3, wait_s=0)
        seqs += [frame["seq"] for frame in page["events"]]
        since = page["as_of"]
        mores.append(page["more"])

    assert seqs == list(range(2, 9))
    assert mores == [True, True, False]


async def test_a_poll_resumes_by_last_event_id_too(live: LiveServer) -> None:
    since = await position(live)
    await say(live.node, "Hello")
    await say(live.node, "Again")

    _, _, body = await _ask(live, "GET", "?since=nowhere:9", **{"Last-Event-ID": f"{epoch_of(since)}:2"})

    assert [frame["seq"] for frame in msgspec.json.decode(body)["events"]] == [3]


# Requests


@pytest.mark.parametrize(
    ("query", "accept", "last_id", "fields"),
    [
        ("since=nonsense", "application/json", None, {"since": "bad_format"}),
        ("since=e:1x", "text/event-stream", None, {"since": "bad_format"}),
        ("since=e:-1", "text/event-stream", None, {"since": "bad_format"}),
        ("since=" + "e" * 70 + ":1", "application/json", None, {"since": "too_long"}),
        ("since=e:1", "text/event-stream", "here", {"Last-Event-ID": "bad_format"}),
        ("since=e:1", "application/json", "here", {"Last-Event-ID": "bad_format"}),
        ("since=e:1", "text/event-stream", "e" * 70 + ":1", {"Last-Event-ID": "bad_format"}),
        ("wait_s=31", "application/json", None, {"wait_s": "too_large"}),
        ("wait_s=-1", "application/json", None, {"wait_s": "too_small"}),
        ("wait_s=nan", "application/json", None, {"wait_s": "too_small"}),
        ("limit=101", "application/json", None, {"limit": "too_large"}),
        ("limit=0", "application/json", None, {"limit": "too_small"}),
    ],
)
async def test_an_invalid_parameter_is_named(
    live: LiveServer, query: str, accept: str, last_id: str | None, fields: dict[str, str]
) -> None:
    headers = {"Accept": accept} | ({} if last_id is None else {"Last-Event-ID": last_id})
    status, _, body = await _ask(live, "GET", f"?{query}", **headers)

    assert (status, msgspec.json.decode(body)["fields"]) == (422, fields)


async def test_a_valid_token_is_required(live: LiveServer) -> None:
    for accept in ("application/json", "text/event-stream"):
        async with aiohttp.ClientSession() as http:
            async with http.get(live.url + PATH, headers={"Accept": accept}) as anonymous:
                assert anonymous.status == 401
            wrong = {"Accept": accept, "Authorization": "Bearer wrong"}
            async with http.get(live.url + PATH, headers=wrong) as refused:
                assert refused.status == 401


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("text/event-stream", "text/event-stream"),
        ("text/event-stream, application/json;q=0.5", "text/event-stream"),
        ("application/json, text/event-stream;q=0.5", "application/json"),
        ("text/*", "text/event-stream"),
        ("*/*", "application/json"),
        ("", "application/json"),
        ("text/event-stream;q=0, */*", "application/json"),
    ],
)
async def test_accept_chooses_stream_or_page(live: LiveServer, accept: str, given: str) -> None:
    status, headers, body = await _ask(live, "HEAD", "", Accept=accept)

    assert (status, headers["Content-Type"], headers["Vary"], body) == (200, given, "Accept", b"")
    assert live.hub.opened_total == {}


async def test_requests_count_towards_the_query_rate(node: Node) -> None:
    rates = RateLimits(commands_per_user=UNLIMITED, queries_per_user=Rate(0.1, 1))
    async with open_live(node, rates=rates) as live:
        first, _ = await poll(live.url, live.token(bob))
        again, problem = await poll(live.url, live.token(bob))
        other, _ = await poll(live.url, live.token(ada))

    assert (first, again, other) == (200, 429, 200)
    assert (problem["code"], problem["fields"]["limit"]) == ("limit_reached", "queries_per_user")


async def test_other_types_and_methods_are_refused(live: LiveServer) -> None:
    status, _, body = await _ask(live, "GET", "", Accept="text/html")
    problem = msgspec.json.decode(body)
    assert (status, problem["fields"]) == (406, {"supported": ["text/event-stream", "application/json"]})
    assert problem["detail"] == "This address answers in none of the media types asked for."
    for method in ("POST", "PUT", "DELETE"):
        status, headers, _ = await _ask(live, method, "")
        assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_proxies_must_not_store_or_buffer_a_stream(live: LiveServer) -> None:
    async with open_stream(live.url, live.token(bob)) as stream:
        headers = stream.answer.headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Request-Id" in headers


async def test_an_http_1_0_client_gets_an_unchunked_stream(live: LiveServer) -> None:
    host, port = live.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"GET {PATH} HTTP/1.0\r\nAccept: text/event-stream\r\nAuthorization: Bearer {live.token(bob)}\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(TIMEOUT_S):
        answer = await reader.readuntil(b"\r\n\r\n")
        lines = await reader.readuntil(b"\n\n")
        await live.hub.drain()
        rest = await reader.read()
    writer.close()

    assert b"chunked" not in answer
    assert lines.startswith(b"id: ")
    assert rest.startswith(b"retry: ")
    assert rest.endswith(b"}\n\n")


async def _ask(live: LiveServer, method: str, query: str, **headers: str) -> tuple[int, Any, bytes]:
    headers["Authorization"] = f"Bearer {live.token(bob)}"
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, live.url + PATH + query, headers=headers) as answer,
    ):
        return answer.status, answer.headers, await answer.read()


async def _connections(live: LiveServer, count: int) -> None:
    """Wait until this many are connected."""
    async with asyncio.timeout(TIMEOUT_S):
        while live.hub.connection_count != count:
            await asyncio.sleep(0)


async def _resumed(live: LiveServer) -> None:
    """Wait until a session has resumed."""
    async with asyncio.timeout(TIMEOUT_S):
        while not live.hub.opened_total["resumed"]:
            await asyncio.sleep(0)
