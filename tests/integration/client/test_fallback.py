"""The Python client behind a proxy that lets no WebSocket through: an event stream with POST (docs/protocol.md)."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from protocol.conversation.events import MessagePosted
from protocol.conversation.views import GetConversation, ListMessages
from protocol.errors import NotFound, Unavailable
from protocol.frames import CloseCode, OpenOutcome
from protocol.ids import ConversationId
from protocol.user.commands import RevokeSession
from protocol.user.views import CurrentUser, Sessions
from server.accounts.config import AuthConfig
from server.client import Client, Closed, Event, Rest, live
from tests.support.bad_network import NetworkProxy, Sockets, open_bad_network
from tests.support.server import TIMEOUT_S, Person, Site, make_config, open_site
from tests.support.two_party_chat import Chat, at_commit, open_chat, opened

EVENTS = 120
#: Long enough to open a stream with it.
MOMENTARY_TOKEN_S = 2


@pytest.fixture
async def line(server: Site) -> AsyncIterator[NetworkProxy]:
    """A proxy that refuses WebSockets."""
    async with open_bad_network(server.url) as line:
        line.sockets = Sockets.REFUSED
        yield line


@pytest.fixture
async def talk(server: Site, line: NetworkProxy) -> AsyncIterator[Chat]:
    """A customer behind that proxy, and a staff member who sends her messages."""
    talk = await open_chat(server)
    async with connected(line, talk.ada):
        yield talk


@asynccontextmanager
async def connected(line: NetworkProxy, person: Person) -> AsyncIterator[Client]:
    """Connect a user through the proxy."""
    async with Rest(line.url, person.rest.signed_in) as rest, Client(rest) as person.client:
        yield person.client


async def numbered(client: Client, count: int) -> list[Event]:
    """Receive the next numbered events."""
    async with asyncio.timeout(TIMEOUT_S):
        events = client.events()
        return [event for _ in range(count) if (event := await anext(events)).seq is not None]


# Events


@pytest.mark.parametrize("sockets", [Sockets.REFUSED, Sockets.HUNG_UP, Sockets.STARVED])
async def test_every_event_arrives_once_and_in_order_through_cuts(
    server: Site, line: NetworkProxy, sockets: Sockets
) -> None:
    line.sockets = sockets
    talk = await open_chat(server)
    chance = random.Random(sockets.name)

    async def send_all() -> None:
        for number in range(EVENTS):
            await talk.sam.call(talk.words(str(number)))

    async with connected(line, talk.ada) as phone:
        assert phone.transport == "stream"
        sending = asyncio.create_task(send_all())
        received: list[Event] = []
        while len(received) < EVENTS:
            received += await numbered(phone, chance.randint(1, min(30, EVENTS - len(received))))
            line.cut()
        await sending

    texts = [event.data["content"]["text"] for event in received]
    assert texts == [str(number) for number in range(EVENTS)]
    numbers = [event.seq for event in received]
    assert numbers == list(range(numbers[0] or 0, (numbers[0] or 0) + EVENTS))
    assert phone.outcomes[0] is OpenOutcome.FRESH
    assert set(phone.outcomes[1:]) == {OpenOutcome.RESUMED}


async def test_events_continue_over_whichever_transport_gets_through(line: NetworkProxy, talk: Chat) -> None:
    phone, carried, received = talk.ada.phone, [], []
    for turn, sockets in enumerate([Sockets.REFUSED, Sockets.PASSED, Sockets.REFUSED]):
        await talk.sam.call(talk.words(f"before {turn}"))
        line.sockets = sockets
        line.cut()
        await talk.sam.call(talk.words(f"after {turn}"))
        await opened(phone, turn + 2)
        carried.append(phone.transport)
        received += await numbered(phone, 2)

    assert carried == ["stream", "socket", "stream"]
    assert [event.data["content"]["text"] for event in received] == [
        f"{place} {turn}" for turn in range(3) for place in ("before", "after")
    ]
    assert phone.outcomes == [OpenOutcome.FRESH, *[OpenOutcome.RESUMED] * 3]


async def test_a_silent_stream_is_cut_and_resumed(
    line: NetworkProxy, talk: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = talk.ada.phone
    with monkeypatch.context() as patience:
        patience.setattr(live, "SILENCE_MARGIN_S", 0.2 - phone._heartbeat_s)
        line.cut()
        await opened(phone, 4)
    await talk.sam.call(talk.words("hello"))

    assert [event.data["content"]["text"] for event in await numbered(phone, 1)] == ["hello"]
    assert set(phone.outcomes[1:]) == {OpenOutcome.RESUMED}
    assert line.cuts == 1


async def test_a_topic_has_no_events_until_a_websocket_gets_through(
    server: Site, line: NetworkProxy, talk: Chat
) -> None:
    topic = f"typing/{talk.thread}"
    await talk.ada.phone.subscribe(topic)
    await server.connect(talk.sam)
    await talk.sam.phone.subscribe(topic)
    line.sockets = Sockets.PASSED
    line.cut()
    await opened(talk.ada.phone, 2)

    async def keep_typing() -> None:
        while True:
            await talk.sam.phone.signal(topic, "typing")
            await talk.sam.phone.ask(CurrentUser())

    typing = asyncio.create_task(keep_typing())
    assert (await talk.ada.hears("conversation.typing")).data["state"] == "typing"
    typing.cancel()


# Requests


async def test_commands_take_effect_in_the_order_of_their_calls(talk: Chat) -> None:
    texts = [str(number) for number in range(20)]
    await asyncio.gather(*[talk.ada.send(talk.words(text)) for text in texts])

    assert await talk.said() == texts


async def test_a_command_whose_reply_was_lost_is_sent_again_under_its_id(
    server: Site, line: NetworkProxy, talk: Chat
) -> None:
    async with at_commit(server, MessagePosted, line.cut), asyncio.timeout(TIMEOUT_S):
        answer = await talk.ada.phone.send(talk.words("once"))

    assert answer.replayed
    assert answer.version is not None
    assert await talk.said() == ["once"]


async def test_queries_and_errors_are_those_of_a_websocket(talk: Chat) -> None:
    await talk.ada.send(talk.words("hello"))
    page = await talk.ada.phone.ask(ListMessages(conversation_id=talk.thread))

    assert [message.text for message in page.items] == ["hello"]
    with pytest.raises(NotFound) as refused:
        await talk.ada.phone.ask(GetConversation(conversation_id=ConversationId(talk.ada.id)))
    assert refused.value.fields["entity"] == "conversation"
    assert talk.ada.phone.transport == "stream"


# Closing


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("404 Not Found\r\nContent-Type: application/problem+json", b'{"code": "not_found", "status": 404}'),
        ("200 OK\r\nContent-Type: text/html", b"<p>Sign in to this network, please.</p>"),
    ],
)
async def test_a_server_with_neither_transport_is_retried(server: Site, status: str, body: bytes) -> None:
    ada = await server.person("Ada")
    asked = asyncio.Semaphore(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"GET /v1/events" in await reader.readuntil(b"\r\n\r\n"):
            asked.release()
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        host, port = listener.sockets[0].getsockname()
        async with Rest(f"http://{host}:{port}", ada.rest.signed_in) as rest:
            opening = asyncio.create_task(Client(rest).__aenter__())
            async with asyncio.timeout(TIMEOUT_S):
                for _ in range(3):
                    await asked.acquire()
            with pytest.raises((NotFound, Unavailable)):
                await rest.call(CurrentUser())
            assert not opening.done()
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)


async def test_a_stream_whose_token_expires_reconnects_with_a_new_one(database_dsn: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, auth=AuthConfig(access_token_s=MOMENTARY_TOKEN_S))
    async with open_site(database_dsn, config) as server, open_bad_network(server.url) as line:
        line.sockets = Sockets.REFUSED
        async with connected(line, await server.person("Ada")) as phone:
            await opened(phone, 2)

            assert phone.outcomes[:2] == [OpenOutcome.FRESH, OpenOutcome.RESUMED]


async def test_a_revoked_sign_in_ends_the_client_for_good(server: Site, line: NetworkProxy) -> None:
    ada = await server.person("Ada")
    elsewhere = await server.sign_in(ada.me.email)
    (other,) = [one.id for one in (await elsewhere.call(Sessions())).sessions if not one.current]
    async with connected(line, ada):
        await elsewhere.call(RevokeSession(session_id=other))

        with pytest.raises(Closed) as ended:
            await ada.hears("never")
    assert ended.value.code == CloseCode.REVOKED


async def test_an_invalid_token_fails_the_first_connection(server: Site, line: NetworkProxy) -> None:
    ada = await server.person("Ada")
    assert ada.rest.signed_in is not None
    ada.rest.signed_in.tokens = replace(ada.rest.signed_in.tokens, access_token="forged")

    with pytest.raises(Closed) as ended:
        async with connected(line, ada):
            pass
    assert ended.value.code == CloseCode.INVALID_TOKEN
