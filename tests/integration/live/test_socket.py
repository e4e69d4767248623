"""WebSockets with a client of another implementation: handshake, frames, limits and closing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from protocol.conversation.views import GetConversation, ListMessages
from protocol.ids import SessionId, UserId
from protocol.rates import Rate
from server.edge.rates import RateLimits
from server.live.connection.websocket import WebSocket
from server.live.limits import Limits
from storage.database import Pool
from storage.queries.conversation import list_messages
from tests.support import wire
from tests.support.live_server import TIMEOUT_S, UNLIMITED, Client, LiveServer, acting, open_live
from tests.support.runtime import Node
from tests.support.sample_conversation import ADA, BOB, THREAD, ada, bob, open_sample_conversation

EVE = UserId(UUID(int=3))
eve = acting(EVE)


@pytest.fixture
async def node(database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    async with open_sample_conversation(database_dsn, pool) as node:
        yield node


@pytest.fixture
async def live(node: Node) -> AsyncIterator[LiveServer]:
    async with open_live(node, queries={ListMessages: list_messages}) as live:
        yield live


def post(frame_id: str, text: str = "Hello", **more: Any) -> dict[str, Any]:
    data = {"conversation_id": str(THREAD), "text": text}
    return {"frame": "command", "id": frame_id, "name": "conversation.post", "data": data, **more}


# The handshake


async def test_a_handshake_with_an_unknown_subprotocol_is_closed_as_version(live: LiveServer) -> None:
    offered = [Subprotocol("guildwire.v9.json"), Subprotocol("guildwire.v8.json")]

    async with live.connect(subprotocols=offered) as connection:
        assert connection.subprotocol == "guildwire.v9.json", "a browser needs one of its own"
        await connection.wait_closed()

    assert (connection.close_code, connection.close_reason) == (4504, "version")


async def test_the_first_known_subprotocol_is_chosen(live: LiveServer) -> None:
    offered = [Subprotocol("guildwire.v9.json"), Subprotocol("guildwire.v1.json")]

    async with live.connect(subprotocols=offered) as connection:
        assert connection.subprotocol == "guildwire.v1.json"


async def test_a_handshake_without_a_subprotocol_is_closed_as_version(live: LiveServer) -> None:
    async with live.connect(subprotocols=None) as connection:
        assert b'"reason":"version"' in await connection.recv(decode=False)
        await connection.wait_closed()

    assert (connection.close_code, connection.close_reason) == (4504, "version")


async def test_a_page_of_another_origin_may_not_connect(live: LiveServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with live.connect(origin=Origin("https://evil.example")):
            pass

    assert refused.value.response.status_code == 403


async def test_a_page_of_the_same_host_or_an_allowed_origin_may(node: Node) -> None:
    async with open_live(node, allowed_origins=("https://app.example",)) as live:
        for origin in (live.url, "https://app.example"):
            async with live.client(ada, origin=Origin(origin)) as client:
                assert client.welcome["outcome"] == "fresh"


async def test_compression_is_not_negotiated(live: LiveServer) -> None:
    async with live.connect(compression="deflate") as connection:
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers


async def test_an_invalid_token_closes_for_good(live: LiveServer) -> None:
    async with live.connect() as connection:
        client = Client(connection)
        await client.send(frame="hello", token="forged")
        error = await client.until("error")
        end = await client.end()

    assert error["code"] == "unauthenticated"
    assert end == (4501, "invalid_token")


# Commands and queries


async def test_commands_and_events_over_messagepack(live: LiveServer) -> None:
    async with (
        live.client(bob) as other,
        live.connect(subprotocols=[Subprotocol("guildwire.v1.msgpack")]) as connection,
    ):
        await connection.send(msgspec.msgpack.encode({"frame": "hello", "token": live.token(ada)}))
        await connection.send(msgspec.msgpack.encode(post("c1", "Grüß dich")))
        frames = [msgspec.msgpack.decode(await connection.recv(decode=False)) for _ in range(3)]
        event = await other.event(2)

    assert [frame["frame"] for frame in frames] == ["welcome", "event", "reply"]
    assert frames[1] == event


async def test_a_command_is_answered_and_its_event_reaches_every_member(live: LiveServer) -> None:
    async with live.client(ada) as customer, live.client(ada) as phone, live.client(bob) as staff:
        await customer.send(**post("c1", "Grüß dich 👋"))
        reply = await customer.answer("c1")
        frames = [await client.event(2) for client in (customer, phone, staff)]

    assert (reply["version"], reply["seq"]) == (2, 2)
    assert frames[0] == frames[1] == frames[2]
    event = frames[0]
    assert (event["type"], event["entity"], event["version"]) == ("message.posted", f"conversation/{THREAD}", 2)
    assert event["cause"] == "c1"
    assert event["data"]["message_id"] == reply["data"]["message_id"]
    assert event["data"]["content"]["text"] == "Grüß dich 👋"


async def test_an_event_is_not_sent_to_other_users(live: LiveServer) -> None:
    async with live.client(ada) as customer, live.client(eve) as stranger:
        await customer.send(**post("c1"))
        await customer.answer("c1")
        await stranger.send(frame="ping")
        await stranger.until("pong")

    assert stranger.events == []


async def test_frames_sent_after_hello_are_handled_once_the_session_is_open(live: LiveServer) -> None:
    async with live.connect() as connection:
        await connection.send(f'{{"frame":"hello","token":"{live.token(ada)}"}}')
        await connection.send('{"frame":"ping"}')
        kinds = [(await connection.recv())[:17], (await connection.recv())[:17]]

    assert kinds == ['{"frame":"welcome', '{"frame":"pong"}']


async def test_a_retry_has_its_effect_once_and_the_same_reply(live: LiveServer) -> None:
    async with live.client(ada) as client:
        await client.send(**post("c1"))
        first = await client.answer("c1")
        await client.connection.close()
    async with live.client(ada) as client:
        await client.send(**post("c1"))
        again = await client.answer("c1")

    assert again == {**first, "replayed": True}
    assert await live.node.pool.fetchval("SELECT count(*) FROM messages") == 1


async def test_the_same_id_with_another_body_is_refused(live: LiveServer) -> None:
    async with live.client(ada) as client:
        await client.send(**post("c1"))
        await client.answer("c1")
        await client.send(**post("c1", "Something else"))
        answer = await client.answer("c1")

    assert answer["code"] == "command_id_reused"


async def test_a_wrong_version_is_refused_with_the_present_one(live: LiveServer) -> None:
    async with live.client(ada) as client:
        await client.send(**post("c1", if_version=7))
        answer = await client.answer("c1")

    assert (answer["code"], answer["fields"]) == ("version_mismatch", {"version": 1})


async def test_the_result_of_a_query_has_its_position(live: LiveServer) -> None:
    async with live.client(ada) as client:
        await client.send(**post("c1"))
        reply = await client.answer("c1")
        data = {"conversation_id": str(THREAD)}
        await client.send(frame="query", id="q1", name="conversation.messages", data=data)
        answer = await client.answer("q1")

    assert [item["text"] for item in answer["data"]["items"]] == ["Hello"]
    assert answer["data"]["as_of"] == f"{client.welcome['epoch']}:{reply['seq']}"


async def test_a_crashed_query_is_an_internal_error_of_that_query_only(node: Node) -> None:
    async def crash(pool: Pool, query: GetConversation, principal: Any) -> Any:
        raise ZeroDivisionError

    async with (
        open_live(node, queries={GetConversation: crash}) as live,
        live.client(ada) as client,
    ):
        data = {"conversation_id": str(THREAD)}
        await client.send(frame="query", id="q1", name="conversation.get", data=data)
        answer = await client.answer("q1")
        await client.send(frame="ping")
        await client.until("pong")

    assert (answer["code"], answer["fields"]) == ("internal", {"incident": "q1"})


async def test_a_query_without_a_handler_is_refused(live: LiveServer) -> None:
    async with live.client(ada) as client:
        data = {"conversation_id": str(THREAD)}
        await client.send(frame="query", id="q1", name="conversation.get", data=data)
        answer = await client.answer("q1")

    assert answer["code"] == "invalid"


async def test_the_rate_of_commands_is_shared_by_all_sockets_of_a_user(node: Node) -> None:
    rates = RateLimits(commands_per_user=Rate(0.001, 2), queries_per_user=UNLIMITED)
    async with (
        open_live(node, rates=rates) as live,
        live.client(ada) as one,
        live.client(ada) as two,
    ):
        await one.send(**post("c1"))
        await two.send(**post("c2"))
        first = [await one.answer("c1"), await two.answer("c2")]
        await one.send(**post("c3"))
        third = await one.answer("c3")

    assert [answer["frame"] for answer in first] == ["reply", "reply"]
    assert third["code"] == "limit_reached"
    assert third["retry_after_s"] > 0


# Wrong frames


async def test_a_frame_past_the_limit_closes(live: LiveServer) -> None:
    async with live.client(ada) as client:
        await client.connection.send("x" * (64 * 1024 + 1))
        code, _ = await client.end()

    assert code == 1009


async def test_a_frame_of_exactly_the_limit_is_read(live: LiveServer) -> None:
    frame = '{"frame":"ping"}'
    async with live.client(ada) as client:
        await client.connection.send(frame + " " * (64 * 1024 - len(frame)))
        await client.until("pong")


@pytest.mark.parametrize("message", ["{", b'{"frame":"ping"}'], ids=["not JSON", "binary"])
async def test_a_message_of_the_wrong_type_closes(live: LiveServer, message: str | bytes) -> None:
    async with live.client(ada) as client:
        await client.connection.send(message)
        end = await client.end()

    assert end == (4500, "bad_frame")


# Rights, bounds and the end


async def test_a_revoked_sign_in_closes_its_own_websockets_only(live: LiveServer) -> None:
    async with live.client(ada) as client, live.client(bob) as other:
        live.hub.revoke(ADA, SessionId(ADA))
        end = await client.end()
        await other.send(frame="ping")
        await other.until("pong")

    assert end == (4503, "revoked")


async def test_changed_rights_close_the_connection_as_token_expired(live: LiveServer) -> None:
    async with live.client(ada) as client:
        live.hub.outdate(ADA)
        end = await client.end()

    assert end == (4003, "token_expired")


async def test_a_token_that_expires_ends_its_session(live: LiveServer) -> None:
    async with live.connect() as connection:
        client = Client(connection)
        await client.send(frame="hello", token=live.token(ada, lasts_s=0.2))
        await client.until("welcome")
        end = await client.end()

    assert end == (4003, "token_expired")


async def test_of_too_many_connections_the_oldest_is_closed(node: Node) -> None:
    limits = Limits(connections_per_user_max=2)
    async with (
        open_live(node, limits=limits) as live,
        live.client(ada) as oldest,
        live.client(ada) as second,
        live.client(ada) as third,
    ):
        end = await oldest.end()
        for client in (second, third):
            await client.send(frame="ping")
            await client.until("pong")

    assert end == (4505, "replaced")


async def test_of_too_many_connections_the_oldest_of_the_same_device_is_closed_first(node: Node) -> None:
    limits = Limits(connections_per_user_max=3)
    async with (
        open_live(node, limits=limits) as live,
        live.client(ada, device="tablet") as tablet,
        live.client(ada, device="phone") as phone,
        live.client(ada, device="phone") as phone_again,
        live.client(ada, device="phone") as phone_now,
    ):
        assert await phone.end() == (4505, "replaced")
        async with live.client(ada, device="laptop") as laptop:
            assert await tablet.end() == (4505, "replaced"), "the new one's device has none: the oldest of all"
            for client in (phone_again, phone_now, laptop):
                await client.send(frame="ping")
                await client.until("pong")


async def test_a_closing_connection_does_not_count_towards_the_users_limit(node: Node) -> None:
    limits = Limits(connections_per_user_max=2)
    async with (
        open_live(node, limits=limits) as live,
        live.client(ada) as kept,
        live.connect() as deaf,
    ):
        await deaf.send(f'{{"frame":"hello","token":"{live.token(ada)}"}}', text=True)
        await deaf.recv()
        deaf.transport.pause_reading()
        await deaf.send("{", text=True)  # closed for this; the client does not read it
        async with asyncio.timeout(TIMEOUT_S):
            while not any(connection.close_code for connection in live.hub._by_user[ADA].connections):
                await asyncio.sleep(0)
        async with live.client(ada) as new:
            for client in (kept, new):
                await client.send(frame="ping")
                await client.until("pong")
        deaf.transport.abort()


async def test_a_draining_server_answers_and_then_says_when_to_reconnect(node: Node) -> None:
    async with open_live(node) as live, live.client(ada) as client:
        await client.send(**post("c1"))
        await client.answer("c1")
        stopping = asyncio.create_task(live.hub.drain())
        bye = await client.until("bye")
        end = await client.end()
        await stopping
        with pytest.raises(InvalidStatus) as refused:
            async with live.connect():
                pass

    assert (bye["reason"], bye["reconnect"], end) == ("shutdown", True, (4000, "shutdown"))
    assert 0 <= bye["after_s"] <= 5
    assert refused.value.response.status_code == 503


async def test_a_close_frame_is_answered_with_its_code(live: LiveServer) -> None:
    async with live.client(ada) as client:
        await client.connection.close(1000, "enough")

    assert client.connection.close_code == 1000


async def test_the_hub_counts_how_sessions_begin_and_end(live: LiveServer) -> None:
    async with live.client(ada) as client:
        assert (live.hub.connection_count, live.hub.user_count) == (1, 1)
        since = client.since
    async with live.client(ada, since=since), live.client(ada, since="old:7"):
        live.hub.outdate(ADA)
    await live.hub.drain()

    assert live.hub.opened_total == {"fresh": 1, "resumed": 1, "reset": 1}
    assert live.hub.closed_total == {"client": 1, "token_expired": 2}
    assert (live.hub.connection_count, live.hub.user_count, live.hub.queue_bytes) == (0, 0, 0)


# Ephemeral topics


async def test_typing_reaches_the_other_members_only(live: LiveServer) -> None:
    topic = f"typing/{THREAD}"
    async with (
        live.client(ada) as customer,
        live.client(bob) as staff,
        live.client(eve) as stranger,
    ):
        for client in (customer, staff, stranger):
            await client.send(frame="subscribe", id="s", topic=topic)
        answers = [await client.answer("s") for client in (customer, staff, stranger)]
        await customer.send(frame="signal", topic=topic, state="typing")
        signal = await staff.until("event")
        for client in (customer, stranger):
            await client.send(frame="ping")
            await client.until("pong")

    assert [answer["frame"] for answer in answers] == ["reply", "reply", "error"]
    assert answers[2]["fields"] == {"reason": "not_yours"}
    assert (signal["type"], signal["entity"]) == ("conversation.typing", f"conversation/{THREAD}")
    assert signal["data"] == {"state": "typing", "user_id": str(ADA)}
    assert "seq" not in signal
    assert customer.events == stranger.events == []


async def test_presence_is_sent_at_once_and_when_it_changes(node: Node) -> None:
    topic = f"presence/{BOB}"
    limits = Limits(presence_grace_s=0.0, housekeeping_every_s=0.01)
    async with open_live(node, limits=limits) as live, live.client(ada) as customer:
        await customer.send(frame="subscribe", id="s", topic=topic)
        states = [(await customer.until("event"))["data"]]
        async with live.client(bob):
            states.append((await customer.until("event"))["data"])
        states.append((await customer.until("event"))["data"])

    assert states == [{"online": False}, {"online": True}, {"online": False}]


async def test_a_stranger_may_not_subscribe_to_presence(live: LiveServer) -> None:
    async with live.client(eve) as stranger:
        await stranger.send(frame="subscribe", id="s", topic=f"presence/{ADA}")
        answer = await stranger.answer("s")

    assert answer["code"] == "forbidden"


async def test_a_member_who_leaves_a_conversation_loses_its_typing_topic(node: Node) -> None:
    topic = f"typing/{THREAD}"
    limits = Limits(recheck_s=0.05)
    async with open_live(node, limits=limits) as live, live.client(bob) as staff:
        await staff.send(frame="subscribe", id="s", topic=topic)
        await staff.answer("s")
        await node.pool.execute("DELETE FROM conversation_members WHERE user_id = $1", BOB)
        error = await staff.until("error")

    assert error["fields"] == {"reason": "not_yours", "topic": topic}


async def test_no_subscription_ends_because_the_database_is_away(node: Node) -> None:
    limits = Limits(recheck_s=0.05)
    async with (
        open_live(node, limits=limits) as live,
        live.client(ada) as other,
        live.client(bob) as staff,
    ):
        for client in (other, staff):
            await client.send(frame="subscribe", id="s", topic=f"typing/{THREAD}")
            await client.answer("s")
        async with node.pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE conversation_members")
            ended = 0
            while ended < 6:  # of either, some
                ended += await node.pool.fetchval(
                    "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
        await other.send(frame="signal", topic=f"typing/{THREAD}", state="typing")
        signal = await staff.until("event", type="conversation.typing")
        for client in (other, staff):
            await client.send(frame="ping")
            await client.until("pong")

    assert signal["data"]["user_id"] == str(ADA)


# Reading


async def test_one_loop_iteration_reads_a_bounded_number_of_sockets(node: Node) -> None:
    async with open_live(node, limits=Limits(reads_per_tick=2)) as live, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(live.client(ada)) for _ in range(5)]
        sockets = sockets_of(live, ADA)
        left: list[int] = []

        for socket in sockets:
            socket.data_received(wire.frame(b'{"frame":"ping"}'))
        for _ in range(3):
            await asyncio.sleep(0)
            left.append(sum(socket.unread for socket in sockets))
        for client in clients:
            await client.until("pong")

    assert left == [3, 1, 0]


async def test_messages_received_before_the_connection_is_lost_are_handled(live: LiveServer) -> None:
    async with live.client(bob) as other, live.client(ada):
        (socket,) = sockets_of(live, ADA)

        socket.data_received(wire.frame(msgspec.json.encode(post("1"))))
        socket.connection_lost(None)

        assert (await other.event(1))["data"]["content"]["text"] == "Hello"


async def test_a_client_that_leaves_right_after_hello_has_no_timer(node: Node) -> None:
    async with open_live(node, limits=Limits(opening_s=1.0)) as live, live.connect():
        (socket,) = live.hub._connections
        assert isinstance(socket, WebSocket)

        socket.data_received(wire.frame(msgspec.json.encode({"frame": "hello", "token": "t"})))
        socket.connection_lost(None)
        while socket.dirty:
            await asyncio.sleep(0)

        assert len(live.hub._wheel) == 0


async def test_a_socket_whose_read_fails_is_cut_and_the_others_are_read(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(reads_per_tick=1)
    async with (
        open_live(node, limits=limits) as live,
        live.client(ada) as broken,
        live.client(bob) as other,
    ):
        (socket,), (other_socket,) = sockets_of(live, ADA), sockets_of(live, BOB)
        monkeypatch.setattr(WebSocket, "read", failing_for(socket, WebSocket.read))

        socket.data_received(wire.frame(b'{"frame":"ping"}'))
        other_socket.data_received(wire.frame(b'{"frame":"ping"}'))

        await other.until("pong")
        with pytest.raises(ConnectionClosed):
            await broken.take()


def failing_for(broken: WebSocket, read: Callable[[WebSocket], None]) -> Callable[[WebSocket], None]:
    def failing(socket: WebSocket) -> None:
        if socket is broken:
            socket.unread = False
            raise RuntimeError("a bug")
        read(socket)

    return failing


async def test_a_socket_with_more_than_a_frame_buffered_is_read_at_once(node: Node) -> None:
    async with (
        open_live(node, limits=Limits(frame_bytes_max=1_000)) as live,
        live.client(ada) as client,
    ):
        (socket,) = sockets_of(live, ADA)

        socket.data_received(wire.frame(b'{"frame":"ping"}') * 100)

        assert not socket.unread
        await client.until("pong")


def sockets_of(live: LiveServer, user_id: UserId) -> list[WebSocket]:
    return [one for one in live.hub._by_user[user_id].connections if isinstance(one, WebSocket)]
