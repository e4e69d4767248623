"""The Python client on a bad network: events, requests that are sent again, tokens, reconnects."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from protocol.booking.views import ListBookings
from protocol.business.commands import UpdateMember
from protocol.conversation.events import MessagePosted
from protocol.errors import CommandIdReused, LimitReached, Unauthenticated, Unavailable
from protocol.frames import CloseCode, OpenOutcome
from protocol.user.commands import RevokeSession
from protocol.user.views import CurrentUser, Sessions
from server.accounts.config import AuthConfig
from server.client import Client, Closed, Rest, live
from server.edge.config import LimitsConfig
from tests.support.server import TIMEOUT_S, Site, make_config, open_site
from tests.support.two_party_chat import Chat, at_commit, open_chat, opened

EVENTS = 200
SENDS = 12
#: Shorter than what the client renews beforehand: every call needs a new token.
SHORT_TOKEN_S = 20
#: Long enough to open a connection with it.
MOMENTARY_TOKEN_S = 2


@pytest.fixture
async def talk(server: Site) -> Chat:
    """A customer with a live connection, and a staff member who sends her messages."""
    talk = await open_chat(server)
    await server.connect(talk.ada)
    return talk


# Events


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_event_is_missed_or_repeated_through_many_cuts(talk: Chat, seed: int) -> None:
    chance = random.Random(seed)
    ada = talk.ada
    received: list[str] = []
    numbers: list[int] = []

    async def send_all() -> None:
        for number in range(EVENTS):
            await talk.sam.call(talk.words(str(number)))

    sending = asyncio.create_task(send_all())
    next_cut = chance.randint(1, 20)
    async with asyncio.timeout(TIMEOUT_S):
        async for event in ada.phone.events():
            assert event.seq is not None
            numbers.append(event.seq)
            if event.type == MessagePosted.type:
                received.append(event.data["content"]["text"])
            if len(numbers) >= next_cut:
                next_cut = len(numbers) + chance.randint(1, 20)
                ada.phone.cut()
            if received[-1:] == [str(EVENTS - 1)]:
                break
        await sending

    assert received == [str(number) for number in range(EVENTS)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    first, *more = ada.phone.outcomes
    assert first is OpenOutcome.FRESH
    assert more
    assert set(more) == {OpenOutcome.RESUMED}


async def test_a_client_that_resumes_later_receives_what_it_missed(server: Site, talk: Chat) -> None:
    since = talk.ada.phone.since
    await talk.ada.phone.close()
    for number in range(5):
        await talk.sam.call(talk.words(str(number)))

    again = await server.sign_in(talk.ada.me.email)
    await server.connect(again, since=since)

    for number in range(5):
        assert (await again.hears("message.posted")).data["content"]["text"] == str(number)
    assert again.phone.outcomes == [OpenOutcome.RESUMED]


async def test_an_unknown_position_is_reset(server: Site, talk: Chat) -> None:
    again = await server.sign_in(talk.ada.me.email)
    await server.connect(again, since="another-database:7")

    assert again.phone.outcomes == [OpenOutcome.RESET]
    await talk.sam.call(talk.words("from here on"))
    assert (await again.hears("message.posted")).data["content"]["text"] == "from here on"


async def test_subscriptions_are_renewed_after_a_cut(server: Site, talk: Chat) -> None:
    await server.connect(talk.sam)
    topic = f"typing/{talk.thread}"
    await talk.ada.phone.subscribe(topic)
    await talk.sam.phone.subscribe(topic)
    talk.ada.phone.cut()
    await opened(talk.ada.phone, 2)
    await talk.ada.phone.ask(CurrentUser())  # answered after the renewed subscription

    async def keep_typing() -> None:
        while True:
            await talk.sam.phone.signal(topic, "typing")
            await talk.sam.phone.ask(CurrentUser())

    typing = asyncio.create_task(keep_typing())
    received = await talk.ada.hears("conversation.typing")
    typing.cancel()
    assert received.data == {"user_id": str(talk.sam.id), "state": "typing"}
    assert received.seq is None


# Requests


async def test_a_command_whose_reply_was_lost_is_sent_again_under_its_id(server: Site, talk: Chat) -> None:
    async with at_commit(server, MessagePosted, talk.ada.phone.cut), asyncio.timeout(TIMEOUT_S):
        answer = await talk.ada.phone.send(talk.words("once"))

    assert answer.replayed
    assert talk.ada.phone.outcomes == [OpenOutcome.FRESH, OpenOutcome.RESUMED]
    assert await talk.said() == ["once"]


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_commands_cut_off_on_their_way_have_their_effect_once(talk: Chat, turns: int) -> None:
    for number in range(SENDS):
        sending = asyncio.create_task(talk.ada.send(talk.words(str(number))))
        for _ in range(turns):
            await asyncio.sleep(0)
        talk.ada.phone.cut()
        await sending

    assert await talk.said() == [str(number) for number in range(SENDS)]


async def test_a_command_waits_for_a_connection(talk: Chat) -> None:
    talk.ada.phone.cut()
    await talk.ada.send(talk.words("as soon as it is back"))

    assert await talk.said() == ["as soon as it is back"]


async def test_the_same_command_sent_twice_at_once_has_one_answer(talk: Chat) -> None:
    first, second = await asyncio.gather(*[talk.ada.send(talk.words("once"), id="mine") for _ in range(2)])

    assert first == second
    assert await talk.said() == ["once"]


async def test_one_of_two_callers_of_the_same_command_may_be_cancelled(server: Site, talk: Chat) -> None:
    impatient = asyncio.create_task(talk.ada.send(talk.words("once"), id="mine"))
    patient = asyncio.create_task(talk.ada.send(talk.words("once"), id="mine"))
    await asyncio.sleep(0)
    impatient.cancel()

    assert (await patient).message_id
    assert impatient.cancelled()


async def test_another_command_under_a_pending_id_is_refused_at_once(talk: Chat) -> None:
    first = asyncio.create_task(talk.ada.send(talk.words("once"), id="mine"))
    await asyncio.sleep(0)
    with pytest.raises(CommandIdReused):
        await talk.ada.send(talk.words("twice"), id="mine")

    await first
    assert await talk.said() == ["once"]


async def test_a_slash_at_the_end_of_the_url_is_ignored(server: Site) -> None:
    ada = await server.person("Ada")
    async with Rest(f"{server.url}/", ada.rest.signed_in) as rest, Client(rest) as client:
        assert (await client.ask(CurrentUser())).id == (await rest.call(CurrentUser())).reply.id == ada.id


# Tokens


async def test_concurrent_callers_renew_a_token_once_before_it_expires(database_dsn: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, auth=AuthConfig(access_token_s=SHORT_TOKEN_S))
    async with open_site(database_dsn, config) as server:
        ada = await server.person("Ada", live=True)
        first = ada.rest.signed_in
        pages = await asyncio.gather(*[ada.call(ListBookings()) for _ in range(8)])

        assert len(pages) == 8
        assert ada.rest.signed_in is not first
        (session,) = (await ada.call(Sessions())).sessions
        assert session.current


async def test_a_websocket_whose_token_expires_reconnects_with_a_new_one(database_dsn: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, auth=AuthConfig(access_token_s=MOMENTARY_TOKEN_S))
    async with open_site(database_dsn, config) as server:
        ada = await server.person("Ada", live=True)
        await opened(ada.phone, 2)

        assert ada.phone.outcomes[:2] == [OpenOutcome.FRESH, OpenOutcome.RESUMED]
        assert server.server.hub.closed_total[CloseCode.TOKEN_EXPIRED.reason] >= 1


async def test_a_token_with_revoked_rights_is_renewed(server: Site) -> None:
    market = await server.market()
    emil = await server.employ(market, manager=True)
    await server.connect(emil)
    assert emil.me.manager

    await market.owner.call(UpdateMember(business_id=market.business_id, user_id=emil.id, manager=False))
    await server.at_rest()
    await opened(emil.phone, 2)

    assert emil.phone.outcomes == [OpenOutcome.FRESH, OpenOutcome.RESUMED]
    assert not (await emil.phone.ask(CurrentUser())).manager
    assert not emil.me.manager


async def test_rest_renews_a_token_that_is_refused_as_expired(server: Site) -> None:
    market = await server.market()
    emil = await server.employ(market, manager=True)
    await market.owner.call(UpdateMember(business_id=market.business_id, user_id=emil.id, manager=False))
    await server.at_rest()

    assert not (await emil.call(CurrentUser())).manager


async def test_a_token_that_cannot_be_renewed_now_is_renewed_later(
    server: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await server.person("Ada", live=True)
    renew, outages = ada.rest._sign, [Unavailable(), LimitReached()]

    async def sometimes(procedure: Any) -> Any:
        if outages:
            raise outages.pop()
        return await renew(procedure)

    monkeypatch.setattr(ada.rest, "_sign", sometimes)
    server.server.hub.outdate(ada.id)
    await opened(ada.phone, 2)

    assert not outages
    assert ada.phone.outcomes == [OpenOutcome.FRESH, OpenOutcome.RESUMED]


# Closing


async def test_a_cancelled_first_connection_leaves_nothing_behind(server: Site) -> None:
    ada = await server.person("Ada")
    assert ada.rest.signed_in is not None
    client = Client(Rest("http://127.0.0.1:1", ada.rest.signed_in))
    entering = asyncio.create_task(client.__aenter__())
    await asyncio.sleep(0)
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)

    assert client._task is not None
    assert client._task.cancelled()


async def test_a_revoked_sign_in_ends_the_client_for_good(server: Site) -> None:
    ada = await server.person("Ada", live=True)
    elsewhere = await server.sign_in(ada.me.email)
    (other,) = [one.id for one in (await elsewhere.call(Sessions())).sessions if not one.current]
    await elsewhere.call(RevokeSession(session_id=other))

    with pytest.raises(Closed) as ended:
        await ada.hears("never")
    assert ended.value.code == CloseCode.REVOKED
    with pytest.raises(Closed):
        await ada.phone.ask(CurrentUser())


async def test_unanswered_requests_fail_with_the_reason_of_the_end(
    server: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_out = asyncio.Event()
    ada = await server.person("Ada", live=True)
    renew = ada.rest.token

    async def token_once_signed_out() -> str:
        await signed_out.wait()
        return await renew()

    token = await renew()
    monkeypatch.setattr(ada.rest, "token", token_once_signed_out)
    ada.phone.cut()
    asking = asyncio.create_task(ada.phone.ask(CurrentUser()))
    await server.request("POST", "/auth/signout/", Authorization=f"Bearer {token}")
    signed_out.set()

    with pytest.raises((Closed, Unauthenticated)):
        await asking


async def test_an_invalid_token_fails_the_first_connection(server: Site) -> None:
    ada = await server.person("Ada")
    signed_in = ada.rest.signed_in
    assert signed_in is not None
    rest = Rest(server.url, type(signed_in)(forged(signed_in.tokens), signed_in.until_s))

    with pytest.raises(Closed) as ended:
        await Client(rest).__aenter__()
    assert ended.value.code == CloseCode.INVALID_TOKEN


def forged(tokens: Any) -> Any:
    """The same tokens with another signature."""
    head, _, signature = tokens.access_token.rpartition(".")
    return type(tokens)(
        **{
            **{name: getattr(tokens, name) for name in tokens.__struct_fields__},
            "access_token": f"{head}.{signature[::-1]}",
        }
    )


async def test_one_connection_too_many_closes_the_oldest(database_dsn: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, limits=LimitsConfig(connections_per_user=2))
    async with open_site(database_dsn, config) as server:
        ada = await server.person("Ada", live=True)
        for _ in range(2):
            await server.sign_in(ada.me.email, live=True)

        with pytest.raises(Closed) as ended:
            await ada.hears("never")
        assert ended.value.code == CloseCode.REPLACED


# Reconnects


async def test_an_unreachable_server_is_retried_with_backoff_and_jitter(
    server: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await server.person("Ada")
    waits: list[tuple[float, float]] = []
    enough = asyncio.Event()

    def chance(low: float, high: float) -> float:
        waits.append((low, high))
        if len(waits) == 10:
            enough.set()
        return 0.0

    monkeypatch.setattr("server.client.live.random.uniform", chance)
    assert ada.rest.signed_in is not None
    nowhere = Rest("http://127.0.0.1:1", ada.rest.signed_in)
    client = Client(nowhere)
    opening = asyncio.create_task(client.__aenter__())
    async with asyncio.timeout(TIMEOUT_S):
        await enough.wait()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)

    assert [low for low, _ in waits[:10]] == [0.0] * 10
    doubled = [live.BACKOFF_FIRST_S * 2**number for number in range(10)]
    assert [high for _, high in waits[:10]] == [min(live.BACKOFF_MAX_S, high) for high in doubled]


async def test_a_client_waits_for_as_long_as_the_server_asks(server: Site) -> None:
    ada = await server.person("Ada", live=True)
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    for socket in list(server.server.hub._connections):
        socket.close(CloseCode.UNAVAILABLE, after_s=0.3)
    await opened(ada.phone, 2)

    assert loop.time() - asked_at >= 0.3
