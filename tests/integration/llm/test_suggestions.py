"""Suggested replies on a whole server: always five for a thread's reader, and their outcomes are counted."""

from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from protocol.booking.commands import StartBooking
from protocol.conversation.commands import DeleteMessage, PostMessage
from protocol.errors import NotFound
from protocol.ids import BookingId, ConversationId, SuggestionId
from protocol.suggestion.terms import REPLIES, ReplySource, UsedSuggestion
from protocol.suggestion.views import GetSuggestions, SuggestionsView
from server.ops.config import DatabaseConfig
from storage.database import Pool
from storage.queries.suggestions import SUGGESTION_CONTEXT, read_suggestion_context
from storage.suggestions import WAIT_MAX, count_outcomes, read_counts
from tests.support.query_plans import generic_plan
from tests.support.server import Market, Person, Site, make_config, open_site


@pytest.fixture
async def market(server: Site) -> Market:
    return await server.market()


@pytest.fixture
async def ada(server: Site) -> Person:
    return await server.person("Ada", live=True)


async def thread(server: Site, market: Market, customer: Person) -> ConversationId:
    return ConversationId(await server.confirmed(market, customer))


async def say(who: Person, where: ConversationId, text: str, used: UsedSuggestion | None = None) -> Any:
    return await who.call(PostMessage(conversation_id=where, text=text, suggestion=used))


async def suggested(who: Person, where: ConversationId) -> SuggestionsView:
    view = await who.call(GetSuggestions(conversation_id=where))
    assert isinstance(view, SuggestionsView)
    return view


async def speaks(server: Site, who: Person, language: str) -> None:
    await server.node.pool.execute("UPDATE people SET language = $2 WHERE user_id = $1", who.id, language)


async def counted(server: Site) -> dict[str, int]:
    await count_outcomes(server.node.pool, server.node.clock.now())
    return {outcome: count for (outcome, _), count in (await read_counts(server.node.pool)).items()}


async def test_five_replies_fit_the_last_message_and_the_job(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    said = await say(ada, where, "Where are you?")

    view = await suggested(market.staff[0], where)

    assert view.replies[0] == "I'm on my way 🚗"
    assert len(set(view.replies)) == REPLIES
    assert (view.conversation_id, view.last_message_id) == (where, said.message_id)
    assert (view.language, view.source) == ("en", ReplySource.LOCAL)


async def test_both_transports_return_the_same(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    await say(market.staff[0], where, "How much time do you have?")

    over_rest = await server.request("GET", f"/conversations/{where}/suggestions", ada)
    over_socket = await ada.phone.ask(GetSuggestions(conversation_id=where))

    assert over_rest.status == 200
    assert over_rest.json["replies"] == over_socket.replies
    assert over_rest.json["id"] == str(over_socket.id)
    assert len(over_socket.replies) == REPLIES


@pytest.mark.parametrize(
    ("tag", "first"),
    [("de-AT", "Ja, die Zeit passt mir."), ("it", "Sì, l'orario mi va bene."), ("fr", "Yes, that time works for me.")],
)
async def test_replies_are_in_the_readers_language(
    server: Site, market: Market, ada: Person, tag: str, first: str
) -> None:
    where = await thread(server, market, ada)
    await speaks(server, ada, tag)
    await say(market.staff[0], where, "Tomorrow?")

    view = await suggested(ada, where)

    assert view.replies[0] == first
    assert view.language == {"fr": "en"}.get(tag, tag[:2])


async def test_an_empty_thread_and_a_deleted_message_have_five_too(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    empty = await suggested(ada, where)
    oops = await say(market.staff[0], where, "Where are you?")
    await market.staff[0].call(DeleteMessage(conversation_id=where, message_id=oops.message_id))

    assert (len(empty.replies), empty.last_message_id) == (REPLIES, None)
    assert await suggested(ada, where) == empty


async def test_a_thread_that_the_user_may_not_read_is_not_found(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    stranger = await server.person("Stranger")

    for who, what in ((stranger, where), (market.owner, where), (ada, ConversationId(uuid4()))):
        with pytest.raises(NotFound):
            await suggested(who, what)


async def test_only_the_last_five_messages_count(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    for number in range(7):
        await say(ada, where, f"{number} " + "x" * 1000)

    talk = await read_suggestion_context(server.node.pool, GetSuggestions(conversation_id=where), ada.principal, 5)

    assert [message.text[:2] for message in talk.said] == ["2 ", "3 ", "4 ", "5 ", "6 "]
    assert {len(message.text) for message in talk.said} == {500}


async def test_the_end_of_a_thread_is_found_by_its_index(pool: Pool) -> None:
    plan = await generic_plan(pool, SUGGESTION_CONTEXT)

    assert "messages_conversation" in plan
    assert "Seq Scan on messages" not in plan


# Outcomes


async def test_a_reply_sent_unchanged_counts_as_accepted(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    view = await suggested(ada, where)

    await say(ada, where, view.replies[2], UsedSuggestion(view.id, 2))

    assert await counted(server) == {"accepted": 1}


async def test_a_reply_sent_changed_counts_as_edited(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    view = await suggested(ada, where)

    said = PostMessage(conversation_id=where, text=view.replies[0] + " Or not?", suggestion=UsedSuggestion(view.id, 0))
    await ada.send(said)

    assert await counted(server) == {"edited": 1}


async def test_replies_count_as_ignored_once_the_reader_sends_another_text(
    server: Site, market: Market, ada: Person
) -> None:
    where = await thread(server, market, ada)
    await suggested(ada, where)

    await say(market.staff[0], where, "Hello?")
    assert await counted(server) == {}
    await say(ada, where, "Hello!")

    assert await counted(server) == {"ignored": 1}


async def test_replies_without_a_message_afterwards_count_as_unanswered(
    server: Site, market: Market, ada: Person
) -> None:
    where = await thread(server, market, ada)
    await suggested(ada, where)

    await server.advance(WAIT_MAX + timedelta(hours=1))

    assert await counted(server) == {"unanswered": 1}


async def test_the_same_replies_are_counted_once(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    assert await suggested(ada, where) == await suggested(ada, where)

    await say(ada, where, "Hello!")

    assert await counted(server) == {"ignored": 1}
    assert await counted(server) == {"ignored": 1}


async def test_a_suggestion_that_the_sender_was_not_shown_is_not_counted(
    server: Site, market: Market, ada: Person
) -> None:
    where = await thread(server, market, ada)
    staffs = await suggested(market.staff[0], where)

    await say(ada, where, staffs.replies[0], UsedSuggestion(staffs.id, 0))
    await say(ada, where, "Hello", UsedSuggestion(SuggestionId(uuid4()), 4))

    assert await counted(server) == {}
    assert await server.node.pool.fetchval("SELECT count(*) FROM suggestion_uses") == 0


async def test_a_message_without_a_suggestion_writes_nothing_more(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    await suggested(ada, where)

    await say(ada, where, "Hello!")

    assert await server.node.pool.fetchval("SELECT count(*) FROM suggestion_uses") == 0


async def test_an_index_without_a_reply_is_refused(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    body = {"text": "Hello", "suggestion": {"id": str(uuid4()), "index": REPLIES}}

    answer = await server.request("POST", f"/conversations/{where}/messages", ada, body)

    assert answer.status == 422
    assert answer.json["fields"] == {"suggestion.index": "too_large"}


async def test_texts_of_suggestions_are_not_stored(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    view = await suggested(ada, where)

    kept = await server.node.pool.fetchval("SELECT string_agg(s::text, '') FROM suggestions s")

    assert str(view.id) in kept
    assert not any(reply in kept for reply in view.replies)


async def test_outcomes_of_suggestions_are_on_the_metrics_page(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    view = await suggested(ada, where)
    await say(ada, where, view.replies[0], UsedSuggestion(view.id, 0))

    await server.advance(timedelta(minutes=2))
    await server.server.jobs.settle()

    page = (await server.request("GET", "/metrics")).body.decode()
    assert 'guildwire_suggestions{outcome="accepted",source="local"} 1.0' in page


async def test_replies_depend_on_the_status_of_the_job(server: Site, market: Market, ada: Person) -> None:
    where = await thread(server, market, ada)
    await say(ada, where, "The cat is called Minka.")
    before = await suggested(market.staff[0], where)

    await server.until(market.soon)
    await market.owner.call(StartBooking(booking_id=BookingId(where)))

    assert (await suggested(market.staff[0], where)).replies != before.replies


async def test_a_read_only_database_has_five_replies_too(database_dsn: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, database=DatabaseConfig(pool_max=2))
    async with open_site(database_dsn, config) as site, AsyncExitStack() as held:
        ada = await site.person("Ada")
        where = await thread(site, await site.market(), ada)
        for _ in range(2):
            connection = await held.enter_async_context(site.node.pool.acquire())
            await connection.execute("SET default_transaction_read_only = on")
        await held.aclose()

        assert len((await suggested(ada, where)).replies) == REPLIES
