"""The gateway over real sockets: handshake, frames, bounds and the end, against a client of another make."""

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
from server.edge.rates import Rate, RateLimits
from server.live.connection.socket import Socket
from server.live.limits import Limits
from storage.database import Pool
from storage.queries.conversation import list_messages
from tests.support import wire
from tests.support.gateway import TIMEOUT_S, UNLIMITED, Client, Gateway, acting, make_gateway
from tests.support.runtime import Node
from tests.support.thread import ADA, BOB, THREAD, ada, bob, open_thread

EVE = UserId(UUID(int=3))
eve = acting(EVE)


@pytest.fixture
async def node(database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    async with open_thread(database_dsn, pool) as node:
        yield node


@pytest.fixture
async def gateway(node: Node) -> AsyncIterator[Gateway]:
    async with make_gateway(node, queries={ListMessages: list_messages}) as gateway:
        yield gateway


def post(frame_id: str, text: str = "Hello", **more: Any) -> dict[str, Any]:
    data = {"conversation_id": str(THREAD), "text": text}
    return {"frame": "command", "id": frame_id, "name": "conversation.post", "data": data, **more}


# The handshake


async def test_an_unknown_subprotocol_is_refused(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with gateway.line(subprotocols=[Subprotocol("guildwire.v9.json")]):
            pass

    assert refused.value.response.status_code == 400
    assert b"unknown_subprotocol" in refused.value.response.body


async def test_the_first_known_subprotocol_is_taken(gateway: Gateway) -> None:
    offered = [Subprotocol("guildwire.v9.json"), Subprotocol("guildwire.v1.json")]

    async with gateway.line(subprotocols=offered) as line:
        assert line.subprotocol == "guildwire.v1.json"


async def test_without_a_subprotocol_the_close_code_says_what_is_missing(gateway: Gateway) -> None:
    async with gateway.line(subprotocols=None) as line:
        assert b'"reason":"version"' in await line.recv(decode=False)
        await line.wait_closed()

    assert (line.close_code, line.close_reason) == (4504, "version")


async def test_a_page_of_another_origin_may_not_connect(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with gateway.line(origin=Origin("https://evil.example")):
            pass

    assert refused.value.response.status_code == 403


async def test_a_page_of_the_same_host_or_an_allowed_origin_may(node: Node) -> None:
    async with make_gateway(node, allowed_origins=("https://app.example",)) as gateway:
        for origin in (gateway.url, "https://app.example"):
            async with gateway.client(ada, origin=Origin(origin)) as client:
                assert client.welcome["outcome"] == "fresh"


async def test_compression_is_not_negotiated(gateway: Gateway) -> None:
    async with gateway.line(compression="deflate") as line:
        assert line.response is not None
        assert "Sec-WebSocket-Extensions" not in line.response.headers


async def test_a_wrong_token_closes_for_good(gateway: Gateway) -> None:
    async with gateway.line() as line:
        client = Client(line)
        await client.send(frame="hello", token="forged")
        error = await client.until("error")
        end = await client.end()

    assert error["code"] == "unauthenticated"
    assert end == (4501, "invalid_token")


# Commands and queries


async def test_messagepack_carries_commands_and_events_too(gateway: Gateway) -> None:
    async with (
        gateway.client(bob) as other,
        gateway.line(subprotocols=[Subprotocol("guildwire.v1.msgpack")]) as line,
    ):
        await line.send(msgspec.msgpack.encode({"frame": "hello", "token": gateway.token(ada)}))
        await line.send(msgspec.msgpack.encode(post("c1", "Grüß dich")))
        frames = [msgspec.msgpack.decode(await line.recv(decode=False)) for _ in range(3)]
        event = await other.event(2)

    assert [frame["frame"] for frame in frames] == ["welcome", "event", "reply"]
    assert frames[1] == event


async def test_a_command_is_answered_and_its_event_reaches_every_member(gateway: Gateway) -> None:
    async with gateway.client(ada) as customer, gateway.client(ada) as phone, gateway.client(bob) as staff:
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


async def test_nobody_else_hears_of_it(gateway: Gateway) -> None:
    async with gateway.client(ada) as customer, gateway.client(eve) as stranger:
        await customer.send(**post("c1"))
        await customer.answer("c1")
        await stranger.send(frame="ping")
        await stranger.until("pong")

    assert stranger.events == []


async def test_frames_sent_right_behind_hello_are_handled_once_the_session_is_open(gateway: Gateway) -> None:
    async with gateway.line() as line:
        await line.send(f'{{"frame":"hello","token":"{gateway.token(ada)}"}}')
        await line.send('{"frame":"ping"}')
        kinds = [(await line.recv())[:17], (await line.recv())[:17]]

    assert kinds == ['{"frame":"welcome', '{"frame":"pong"}']


async def test_a_retry_has_its_effect_once_and_the_same_reply(gateway: Gateway) -> None:
    async with gateway.client(ada) as client:
        await client.send(**post("c1"))
        first = await client.answer("c1")
        await client.line.close()
    async with gateway.client(ada) as client:
        await client.send(**post("c1"))
        again = await client.answer("c1")

    assert again == {**first, "replayed": True}
    assert await gateway.node.pool.fetchval("SELECT count(*) FROM messages") == 1


async def test_the_same_id_with_another_body_is_refused(gateway: Gateway) -> None:
    async with gateway.client(ada) as client:
        await client.send(**post("c1"))
        await client.answer("c1")
        await client.send(**post("c1", "Something else"))
        answer = await client.answer("c1")

    assert answer["code"] == "command_id_reused"


async def test_a_wrong_version_is_refused_with_the_right_one(gateway: Gateway) -> None:
    async with gateway.client(ada) as client:
        await client.send(**post("c1", if_version=7))
        answer = await client.answer("c1")

    assert (answer["code"], answer["fields"]) == ("version_mismatch", {"version": 1})


async def test_a_query_is_answered_with_its_place_in_the_stream(gateway: Gateway) -> None:
    async with gateway.client(ada) as client:
        await client.send(**post("c1"))
        reply = await client.answer("c1")
        data = {"conversation_id": str(THREAD)}
        await client.send(frame="query", id="q1", name="conversation.messages", data=data)
        answer = await client.answer("q1")

    assert [item["text"] for item in answer["data"]["items"]] == ["Hello"]
    assert answer["data"]["as_of"] == f"{client.welcome['epoch']}:{reply['seq']}"


async def test_a_query_that_crashes_is_an_internal_error_of_that_query_alone(node: Node) -> None:
    async def crash(pool: Pool, query: GetConversation, principal: Any) -> Any:
        raise ZeroDivisionError

    async with make_gateway(node, queries={GetConversation: crash}) as gateway, gateway.client(ada) as client:
        data = {"conversation_id": str(THREAD)}
        await client.send(frame="query", id="q1", name="conversation.get", data=data)
        answer = await client.answer("q1")
        await client.send(frame="ping")
        await client.until("pong")

    assert (answer["code"], answer["fields"]) == ("internal", {"incident": "q1"})


async def test_a_query_without_a_handler_is_refused(gateway: Gateway) -> None:
    async with gateway.client(ada) as client:
        data = {"conversation_id": str(THREAD)}
        await client.send(frame="query", id="q1", name="conversation.get", data=data)
        answer = await client.answer("q1")

    assert answer["code"] == "invalid"


async def test_the_rate_of_commands_is_shared_by_all_sockets_of_a_user(node: Node) -> None:
    rates = RateLimits(commands_per_user=Rate(0.001, 2), queries_per_user=UNLIMITED)
    async with make_gateway(node, rates=rates) as gateway, gateway.client(ada) as one, gateway.client(ada) as two:
        await one.send(**post("c1"))
        await two.send(**post("c2"))
        first = [await one.answer("c1"), await two.answer("c2")]
        await one.send(**post("c3"))
        third = await one.answer("c3")

    assert [answer["frame"] for answer in first] == ["reply", "reply"]
    assert third["code"] == "limit_reached"
    assert third["retry_after_s"] > 0


# Wrong frames


async def test_a_frame_past_the_limit_closes(gateway: Gateway) -> None:
    async with gateway.client(ada) as client:
        await client.line.send("x" * (64 * 1024 + 1))
        code, _ = await client.end()

    assert code == 1009


async def test_a_frame_of_exactly_the_limit_is_read(gateway: Gateway) -> None:
    frame = '{"frame":"ping"}'
    async with gateway.client(ada) as client:
        await client.line.send(frame + " " * (64 * 1024 - len(frame)))
        await client.until("pong")


@pytest.mark.parametrize("message", ["{", b'{"frame":"ping"}'], ids=["not JSON", "binary"])
async def test_what_the_subprotocol_does_not_speak_closes(gateway: Gateway, message: str | bytes) -> None:
    async with gateway.client(ada) as client:
        await client.line.send(message)
        end = await client.end()

    assert end == (4500, "bad_frame")


# Rights, bounds and the end


async def test_a_revoked_sign_in_loses_its_sockets_and_no_other(gateway: Gateway) -> None:
    async with gateway.client(ada) as client, gateway.client(bob) as other:
        gateway.hub.revoke(ADA, SessionId(ADA))
        end = await client.end()
        await other.send(frame="ping")
        await other.until("pong")

    assert end == (4503, "revoked")


async def test_changed_rights_bring_a_client_back_with_a_new_token(gateway: Gateway) -> None:
    async with gateway.client(ada) as client:
        gateway.hub.outdate(ADA)
        end = await client.end()

    assert end == (4003, "token_expired")


async def test_a_token_that_expires_ends_its_session(gateway: Gateway) -> None:
    async with gateway.line() as line:
        client = Client(line)
        await client.send(frame="hello", token=gateway.token(ada, lasts_s=0.2))
        await client.until("welcome")
        end = await client.end()

    assert end == (4003, "token_expired")


async def test_a_ping_that_nobody_answers_ends_the_session(node: Node) -> None:
    limits = Limits(heartbeat_s=0.05, pong_s=0.05)
    async with make_gateway(node, limits=limits) as gateway, gateway.client(ada) as client:
        end = await client.end()

    assert end == (4002, "no_pong")


async def test_of_too_many_connections_the_oldest_ends(node: Node) -> None:
    limits = Limits(connections_per_user_max=2)
    async with (
        make_gateway(node, limits=limits) as gateway,
        gateway.client(ada) as oldest,
        gateway.client(ada) as second,
        gateway.client(ada) as third,
    ):
        end = await oldest.end()
        for client in (second, third):
            await client.send(frame="ping")
            await client.until("pong")

    assert end == (4505, "replaced")


async def test_of_too_many_connections_the_oldest_of_the_same_device_ends_first(node: Node) -> None:
    limits = Limits(connections_per_user_max=3)
    async with (
        make_gateway(node, limits=limits) as gateway,
        gateway.client(ada, device="tablet") as tablet,
        gateway.client(ada, device="phone") as phone,
        gateway.client(ada, device="phone") as phone_again,
        gateway.client(ada, device="phone") as phone_now,
    ):
        assert await phone.end() == (4505, "replaced")
        async with gateway.client(ada, device="laptop") as laptop:
            assert await tablet.end() == (4505, "replaced"), "of the new one's device there is none: the oldest of all"
            for client in (phone_again, phone_now, laptop):
                await client.send(frame="ping")
                await client.until("pong")


async def test_a_connection_that_ends_already_leaves_its_place_to_a_new_one(node: Node) -> None:
    limits = Limits(connections_per_user_max=2)
    async with make_gateway(node, limits=limits) as gateway, gateway.client(ada) as kept, gateway.line() as deaf:
        await deaf.send(f'{{"frame":"hello","token":"{gateway.token(ada)}"}}', text=True)
        await deaf.recv()
        deaf.transport.pause_reading()
        await deaf.send("{", text=True)  # closed for this; the client never hears of it
        async with asyncio.timeout(TIMEOUT_S):
            while not any(line.close_code for line in gateway.hub._by_user[ADA].lines):
                await asyncio.sleep(0)
        async with gateway.client(ada) as new:
            for client in (kept, new):
                await client.send(frame="ping")
                await client.until("pong")
        deaf.transport.abort()


async def test_a_stopping_server_answers_then_says_when_to_come_back(node: Node) -> None:
    async with make_gateway(node) as gateway, gateway.client(ada) as client:
        await client.send(**post("c1"))
        await client.answer("c1")
        stopping = asyncio.create_task(gateway.hub.drain())
        bye = await client.until("bye")
        end = await client.end()
        await stopping
        with pytest.raises(InvalidStatus) as refused:
            async with gateway.line():
                pass

    assert (bye["reason"], bye["reconnect"], end) == ("shutdown", True, (4000, "shutdown"))
    assert 0 <= bye["after_s"] <= 5
    assert refused.value.response.status_code == 503


async def test_a_closing_client_is_answered_in_kind(gateway: Gateway) -> None:
    async with gateway.client(ada) as client:
        await client.line.close(1000, "enough")

    assert client.line.close_code == 1000


async def test_the_hub_counts_how_sessions_begin_and_end(gateway: Gateway) -> None:
    async with gateway.client(ada) as client:
        assert (gateway.hub.sockets, gateway.hub.users) == (1, 1)
        since = client.since
    async with gateway.client(ada, since=since), gateway.client(ada, since="old:7"):
        gateway.hub.outdate(ADA)
    await gateway.hub.drain()

    assert gateway.hub.opened_total == {"fresh": 1, "resumed": 1, "reset": 1}
    assert gateway.hub.closed_total == {"client": 1, "token_expired": 2}
    assert (gateway.hub.sockets, gateway.hub.users, gateway.hub.queue_bytes) == (0, 0, 0)


# What is not kept


async def test_typing_reaches_the_others_of_the_thread_and_nobody_else(gateway: Gateway) -> None:
    topic = f"typing/{THREAD}"
    async with gateway.client(ada) as customer, gateway.client(bob) as staff, gateway.client(eve) as stranger:
        for client in (customer, staff, stranger):
            await client.send(frame="subscribe", id="s", topic=topic)
        answers = [await client.answer("s") for client in (customer, staff, stranger)]
        await customer.send(frame="signal", topic=topic, state="typing")
        heard = await staff.until("event")
        for client in (customer, stranger):
            await client.send(frame="ping")
            await client.until("pong")

    assert [answer["frame"] for answer in answers] == ["reply", "reply", "error"]
    assert answers[2]["fields"] == {"reason": "not_yours"}
    assert (heard["type"], heard["entity"]) == ("conversation.typing", f"conversation/{THREAD}")
    assert heard["data"] == {"state": "typing", "user_id": str(ADA)}
    assert "seq" not in heard
    assert customer.events == stranger.events == []


async def test_presence_is_told_at_once_and_when_it_changes(node: Node) -> None:
    topic = f"presence/{BOB}"
    limits = Limits(presence_grace_s=0.0, housekeeping_every_s=0.01)
    async with make_gateway(node, limits=limits) as gateway, gateway.client(ada) as customer:
        await customer.send(frame="subscribe", id="s", topic=topic)
        states = [(await customer.until("event"))["data"]]
        async with gateway.client(bob):
            states.append((await customer.until("event"))["data"])
        states.append((await customer.until("event"))["data"])

    assert states == [{"online": False}, {"online": True}, {"online": False}]


async def test_a_stranger_may_not_watch_somebodys_presence(gateway: Gateway) -> None:
    async with gateway.client(eve) as stranger:
        await stranger.send(frame="subscribe", id="s", topic=f"presence/{ADA}")
        answer = await stranger.answer("s")

    assert answer["code"] == "forbidden"


async def test_whoever_leaves_a_thread_stops_to_hear_its_typing(node: Node) -> None:
    topic = f"typing/{THREAD}"
    limits = Limits(recheck_s=0.05)
    async with make_gateway(node, limits=limits) as gateway, gateway.client(bob) as staff:
        await staff.send(frame="subscribe", id="s", topic=topic)
        await staff.answer("s")
        await node.pool.execute("DELETE FROM conversation_members WHERE user_id = $1", BOB)
        error = await staff.until("error")

    assert error["fields"] == {"reason": "not_yours", "topic": topic}


async def test_nobody_loses_a_topic_because_the_database_is_away(node: Node) -> None:
    limits = Limits(recheck_s=0.05)
    async with make_gateway(node, limits=limits) as gateway, gateway.client(ada) as other, gateway.client(bob) as staff:
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


# Whose turn it is


async def test_in_one_tick_only_some_sockets_are_read_and_the_others_in_the_next(node: Node) -> None:
    async with make_gateway(node, limits=Limits(reads_per_tick=2)) as gateway, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(gateway.client(ada)) for _ in range(5)]
        lines = sockets_of(gateway, ADA)
        left: list[int] = []

        for line in lines:
            line.data_received(wire.frame(b'{"frame":"ping"}'))
        for _ in range(3):
            await asyncio.sleep(0)
            left.append(sum(line.unread for line in lines))
        for client in clients:
            await client.until("pong")

    assert left == [3, 1, 0]


async def test_what_has_come_counts_even_if_the_connection_ends_before_its_turn(gateway: Gateway) -> None:
    async with gateway.client(bob) as other, gateway.client(ada):
        (line,) = sockets_of(gateway, ADA)

        line.data_received(wire.frame(msgspec.json.encode(post("1"))))
        line.connection_lost(None)

        assert (await other.event(1))["data"]["content"]["text"] == "Hello"


async def test_a_socket_that_cannot_be_read_is_cut_and_holds_up_nobody(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(reads_per_tick=1)
    async with (
        make_gateway(node, limits=limits) as gateway,
        gateway.client(ada) as broken,
        gateway.client(bob) as other,
    ):
        (line,), (behind,) = sockets_of(gateway, ADA), sockets_of(gateway, BOB)
        monkeypatch.setattr(Socket, "read", failing_for(line, Socket.read))

        line.data_received(wire.frame(b'{"frame":"ping"}'))
        behind.data_received(wire.frame(b'{"frame":"ping"}'))

        await other.until("pong")
        with pytest.raises(ConnectionClosed):
            await broken.take()


def failing_for(broken: Socket, read: Callable[[Socket], None]) -> Callable[[Socket], None]:
    def failing(line: Socket) -> None:
        if line is broken:
            line.unread = False
            raise RuntimeError("a bug")
        read(line)

    return failing


async def test_a_socket_with_more_than_a_frame_to_say_is_read_at_once(node: Node) -> None:
    async with make_gateway(node, limits=Limits(frame_bytes_max=1_000)) as gateway, gateway.client(ada) as client:
        (line,) = sockets_of(gateway, ADA)

        line.data_received(wire.frame(b'{"frame":"ping"}') * 100)

        assert not line.unread
        await client.until("pong")


def sockets_of(gateway: Gateway, user_id: UserId) -> list[Socket]:
    return [line for line in gateway.hub._by_user[user_id].lines if isinstance(line, Socket)]
