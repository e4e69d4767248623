"""Conversations on a real database: what is committed is what members, and only they, read back."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from actors.conversation.actor import Conversation
from protocol.booking.terms import BookingStatus
from protocol.conversation.commands import (
    CloseConversation,
    DeleteMessage,
    EditMessage,
    MarkRead,
    OpenBookingConversation,
    OpenConversation,
    PostMessage,
    ReplaceMember,
)
from protocol.conversation.events import MessagePosted
from protocol.conversation.terms import PREVIEW_CHARS_MAX, READ_ONLY_AFTER, UNREAD_MAX, ConversationKind, Participant
from protocol.conversation.views import ConversationPage, GetConversation, ListConversations, ListMessages, MessagePage
from protocol.errors import ConversationClosed, Invalid, NotFound, PairBlocked, WrongState
from protocol.ids import BookingId, BusinessId, ConversationId, Kind, MessageId, UserId
from protocol.roles import PROVIDERS, Principal, Role
from storage.database import Pool
from storage.inbox import position
from storage.offers import OfferCache
from storage.queries.conversation import (
    BOOKING_PARTIES,
    MESSAGES,
    THREADS_LISTED,
    THREADS_ONE,
    WRITTEN_MESSAGES,
    get_conversation,
    list_conversations,
    list_messages,
)
from storage.registry import Sources, bound_loaders
from tests.support.runtime import Node, make_runtime

MINUTE = timedelta(minutes=1)
CUSTOMER, STAFF, SUBSTITUTE, OWNER, STRANGER = (UserId(UUID(int=number)) for number in range(1, 6))
BUSINESS = BusinessId(UUID(int=99))
NOBODY = UUID(int=0)


def acting(user_id: UserId, role: Role, *roles: Role) -> Principal:
    business_id = BUSINESS if role in PROVIDERS else None
    return Principal(user_id=user_id, role=role, roles=frozenset({role, *roles}), business_id=business_id)


customer = acting(CUSTOMER, Role.CUSTOMER)
staff = acting(STAFF, Role.STAFF)
substitute = acting(SUBSTITUTE, Role.STAFF)
owner = acting(OWNER, Role.OWNER, Role.STAFF)
stranger = acting(STRANGER, Role.CUSTOMER)


def thread(number: int) -> ConversationId:
    return ConversationId(UUID(int=1000 + number))


@pytest.fixture
async def node(database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    facts = bound_loaders(Sources(pool=pool, offers=OfferCache(pool)))
    async with make_runtime(database_dsn, pool, {Kind.CONVERSATION: Conversation}, facts) as node:
        yield node


async def opened(node: Node, conversation_id: ConversationId, *members: Principal) -> None:
    """Open a booking's thread, as the booking does."""
    about = members or (customer, staff)
    participants = tuple([Participant(user_id=member.user_id, role=member.role) for member in about])
    command = OpenConversation(
        conversation_id=conversation_id,
        booking_id=BookingId(conversation_id),
        business_id=BUSINESS,
        members=participants,
    )
    assert (await node.send(command)).error is None


async def said(node: Node, conversation_id: ConversationId, sender: Principal, text: str = "Hello") -> MessageId:
    outcome = await node.send(PostMessage(conversation_id=conversation_id, text=text), sender)
    assert outcome.error is None
    last = node.heard[-1].emitted.event
    assert isinstance(last, MessagePosted)
    return last.message_id


async def booked(pool: Pool, booking_id: UUID, status: BookingStatus, ended_at: datetime | None = None) -> None:
    """Put a booking of customer and staff member where queries and facts find it."""
    await pool.execute(
        "INSERT INTO bookings (id, number, status, customer_id, business_id, staff_id, service_id, title, starts_at,"
        " ends_at, local_start, zone, total_amount_minor, currency, payment_method, payment_status, escrow_status,"
        " approved, actual_end_at, created_at, version) VALUES ($1, 'N', $2, $3, $4, $5, $6, 'Deep clean', $7, $7,"
        " $7::timestamptz, 'UTC', 1,"
        " 'EUR', 'card', 'SECURED', 'HELD', true, $8, $7, 1)",
        booking_id,
        status,
        CUSTOMER,
        BUSINESS,
        STAFF,
        NOBODY,
        datetime(2026, 6, 10, 9, 0, tzinfo=UTC),
        ended_at,
    )


async def named(pool: Pool, user_id: UserId, name: str) -> None:
    await pool.execute(
        "INSERT INTO people (user_id, email, name, language) VALUES ($1, $2, $3, 'en')", user_id, f"{name}@x.test", name
    )


async def threads(pool: Pool, principal: Principal, **query: Any) -> ConversationPage:
    return await list_conversations(pool, ListConversations(**query), principal)


async def messages(pool: Pool, conversation_id: ConversationId, principal: Principal, **query: Any) -> MessagePage:
    return await list_messages(pool, ListMessages(conversation_id=conversation_id, **query), principal)


# Messages


async def test_what_was_said_is_read_by_the_members_newest_first(node: Node) -> None:
    await opened(node, thread(1))
    await said(node, thread(1), customer, "Where are you?")
    await said(node, thread(1), staff, "At your door")

    page = await messages(node.pool, thread(1), customer)

    assert [(message.sender_id, message.text) for message in page.items] == [
        (STAFF, "At your door"),
        (CUSTOMER, "Where are you?"),
    ]
    assert page.next_cursor is None


async def test_a_retried_message_is_said_once(node: Node) -> None:
    await opened(node, thread(1))
    command = PostMessage(conversation_id=thread(1), text="Hello")

    first = await node.send(command, customer, key="once")
    again = await node.send(command, customer, key="once")

    assert (again.reply, again.replayed) == (first.reply, True)
    assert len((await messages(node.pool, thread(1), customer)).items) == 1


async def test_messages_said_at_once_are_in_one_order_for_everybody(node: Node) -> None:
    await opened(node, thread(1))
    commands = [PostMessage(conversation_id=thread(1), text=f"{number}") for number in range(100)]

    outcomes = await asyncio.gather(*[node.send(command, customer) for command in commands])

    assert {outcome.error for outcome in outcomes} == {None}
    by_id = [message.id for message in (await messages(node.pool, thread(1), staff, limit=100)).items][::-1]
    journal = "SELECT data->>'message_id' AS id FROM journal WHERE type = 'message.posted' ORDER BY version"
    assert [str(message_id) for message_id in by_id] == [row["id"] for row in await node.pool.fetch(journal)]
    heard = [(one.version, one.seqs) for one in node.heard if isinstance(one.emitted.event, MessagePosted)]
    assert heard == [(version, [version, version]) for version in range(2, 102)]


async def test_pages_of_messages_meet_without_gap_or_overlap(node: Node) -> None:
    await opened(node, thread(1))
    ids = [await said(node, thread(1), customer, f"{number}") for number in range(7)]

    seen, cursor = [], None
    for size in (3, 3, 1):
        page = await messages(node.pool, thread(1), staff, limit=3, cursor=cursor)
        assert len(page.items) == size
        seen += [message.id for message in page.items]
        cursor = page.next_cursor

    assert seen == ids[::-1]
    assert cursor is None


async def test_edited_and_deleted_messages_keep_their_place_and_say_what_happened(node: Node) -> None:
    await opened(node, thread(1))
    edited = await said(node, thread(1), customer, "Helo")
    deleted = await said(node, thread(1), customer, "Oops")

    await node.send(EditMessage(conversation_id=thread(1), message_id=edited, text="Hello"), customer)
    await node.send(DeleteMessage(conversation_id=thread(1), message_id=deleted), customer)

    last, first = (await messages(node.pool, thread(1), staff)).items
    assert (first.text, first.edited_at is None, first.deleted_at is None) == ("Hello", False, True)
    assert (last.text, last.sender_id, last.deleted_at is None) == ("", CUSTOMER, False)
    assert not await node.pool.fetchval("SELECT EXISTS (SELECT FROM messages WHERE text = 'Oops')")


async def test_a_message_is_changed_by_its_sender_only(node: Node) -> None:
    await opened(node, thread(1))
    message_id = await said(node, thread(1), customer)

    edit = await node.send(EditMessage(conversation_id=thread(1), message_id=message_id, text="I owe you"), staff)
    delete = await node.send(DeleteMessage(conversation_id=thread(1), message_id=MessageId(NOBODY)), customer)

    assert isinstance(edit.error, NotFound)
    assert isinstance(delete.error, NotFound)
    assert [message.text for message in (await messages(node.pool, thread(1), customer)).items] == ["Hello"]


async def test_no_word_that_was_said_is_in_state_journal_or_log(node: Node) -> None:
    await opened(node, thread(1))
    message_id = await said(node, thread(1), customer, "s3cret")
    await node.send(EditMessage(conversation_id=thread(1), message_id=message_id, text="s3cret indeed"), customer)

    kept = await node.pool.fetchval(
        "SELECT (SELECT string_agg(state::text, '') FROM actors) || (SELECT string_agg(data::text, '') FROM journal)"
        " || (SELECT string_agg(reply, '') FROM command_log)"
    )

    assert "s3cret" not in kept


async def test_a_message_touches_no_row_of_its_thread_within_the_minute(node: Node) -> None:
    await opened(node, thread(1))
    await said(node, thread(1), customer)
    touched = (
        "SELECT array_agg(xmin::text ORDER BY table_name) FROM"
        " (SELECT xmin, 'a' AS table_name FROM conversations UNION ALL SELECT xmin, 'b' FROM conversation_members) t"
    )
    before = await node.pool.fetchval(touched)

    await said(node, thread(1), staff)

    assert await node.pool.fetchval(touched) == before


# Lists


async def test_each_role_sees_only_its_own_threads(node: Node) -> None:
    await opened(node, thread(1), customer, acting(OWNER, Role.STAFF))
    management = OpenConversation(
        conversation_id=thread(2),
        kind=ConversationKind.STAFF_OWNER,
        business_id=BUSINESS,
        members=(Participant(user_id=STAFF, role=Role.STAFF), Participant(user_id=OWNER, role=Role.OWNER)),
    )
    await node.send(management)
    await said(node, thread(1), customer)

    async def seen(principal: Principal) -> list[ConversationId]:
        return [view.id for view in (await threads(node.pool, principal)).items]

    assert await seen(owner) == [thread(2)]
    assert await seen(acting(OWNER, Role.STAFF, Role.OWNER)) == [thread(1)]
    assert await seen(acting(OWNER, Role.OWNER)) == [thread(1), thread(2)]
    assert await seen(acting(OWNER, Role.CUSTOMER, Role.OWNER)) == []
    assert await seen(customer) == [thread(1)]
    assert await seen(stranger) == []


async def test_a_thread_about_a_job_shows_the_job(node: Node) -> None:
    await booked(node.pool, thread(1), BookingStatus.CONFIRMED)
    await opened(node, thread(1))

    (view,) = (await threads(node.pool, customer)).items

    assert view.job_context is not None
    assert view.job_context.job_id == thread(1)
    assert view.job_context.job_title == "Deep clean"
    assert view.job_context.job_time == datetime(2026, 6, 10, 9, 0, tzinfo=UTC)
    assert view.job_context.status is BookingStatus.CONFIRMED


async def test_a_thread_shows_its_members_by_name_and_how_far_they_have_read(node: Node) -> None:
    await named(node.pool, CUSTOMER, "Ada")
    await opened(node, thread(1))
    message_id = await said(node, thread(1), staff)
    await node.send(MarkRead(conversation_id=thread(1), message_id=message_id), customer)

    view = await get_conversation(node.pool, GetConversation(conversation_id=thread(1)), staff)

    assert [(member.name, member.role, member.read_message_id) for member in view.members] == [
        ("Ada", Role.CUSTOMER, message_id),
        ("", Role.STAFF, None),
    ]
    assert view.role is Role.STAFF
    assert view.job_context is None


async def test_unread_are_other_peoples_messages_behind_the_mark(node: Node) -> None:
    async def unread(principal: Principal) -> int:
        (view,) = (await threads(node.pool, principal)).items
        return view.unread_count

    await opened(node, thread(1))
    await said(node, thread(1), customer)
    read = await said(node, thread(1), staff)
    await said(node, thread(1), staff)
    taken_back = await said(node, thread(1), staff)
    assert (await unread(customer), await unread(staff)) == (3, 1)

    await node.send(MarkRead(conversation_id=thread(1), message_id=read), customer)
    await node.send(DeleteMessage(conversation_id=thread(1), message_id=taken_back), staff)

    assert (await unread(customer), await unread(staff)) == (1, 1)


async def test_unread_messages_are_counted_up_to_a_limit(node: Node) -> None:
    await opened(node, thread(1))
    for _ in range(UNREAD_MAX + 1):
        await said(node, thread(1), staff)

    (view,) = (await threads(node.pool, customer)).items

    assert view.unread_count == UNREAD_MAX


async def test_a_thread_in_a_list_shows_the_beginning_of_its_last_message(node: Node) -> None:
    await opened(node, thread(1))
    message_id = await said(node, thread(1), staff, "é" * 4000)

    (view,) = (await threads(node.pool, customer)).items

    assert view.last_message is not None
    assert (view.last_message.id, view.last_message.text) == (message_id, "é" * PREVIEW_CHARS_MAX)


async def test_pages_of_threads_are_in_the_order_of_their_last_messages(node: Node) -> None:
    for number in range(5):
        await opened(node, thread(number))
    for number in (3, 0, 4, 1, 2):
        node.clock.advance(MINUTE)
        await said(node, thread(number), staff)

    seen: list[ConversationId] = []
    cursor = None
    for size in (2, 2, 1):
        page = await threads(node.pool, customer, limit=2, cursor=cursor)
        assert len(page.items) == size
        seen += [view.id for view in page.items]
        cursor = page.next_cursor

    assert seen == [thread(number) for number in (2, 1, 4, 0, 3)]
    assert cursor is None


async def test_a_page_is_in_the_order_of_the_last_messages_within_the_minute_too(node: Node) -> None:
    await opened(node, thread(1))
    await opened(node, thread(2))
    for number in (1, 2, 1):
        await said(node, thread(number), staff)

    assert [view.id for view in (await threads(node.pool, customer)).items] == [thread(1), thread(2)]


async def test_a_made_up_cursor_is_refused(node: Node) -> None:
    await opened(node, thread(1))

    with pytest.raises(Invalid):
        await threads(node.pool, customer, cursor="nonsense")
    with pytest.raises(Invalid):
        await messages(node.pool, thread(1), customer, cursor="nonsense")


async def test_strangers_find_no_thread(node: Node) -> None:
    await opened(node, thread(1))

    for other in (stranger, substitute, acting(STAFF, Role.CUSTOMER, Role.STAFF)):
        with pytest.raises(NotFound):
            await messages(node.pool, thread(1), other)
        with pytest.raises(NotFound):
            await get_conversation(node.pool, GetConversation(conversation_id=thread(1)), other)


async def test_every_view_says_where_the_readers_inbox_ended(node: Node) -> None:
    assert (await threads(node.pool, customer)).as_of == await position(node.pool, CUSTOMER)

    await opened(node, thread(1))
    await said(node, thread(1), customer)

    at = await position(node.pool, CUSTOMER)
    assert at.endswith(":2")
    assert (await threads(node.pool, customer)).as_of == at
    assert (await messages(node.pool, thread(1), customer)).as_of == at
    assert (await get_conversation(node.pool, GetConversation(conversation_id=thread(1)), customer)).as_of == at


# Jobs


async def test_the_parties_of_a_confirmed_booking_open_its_thread_once(node: Node) -> None:
    await booked(node.pool, thread(1), BookingStatus.CONFIRMED)
    command = OpenBookingConversation(conversation_id=thread(1))

    outcomes = [await node.send(command, sender) for sender in (customer, staff, customer)]

    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert len({outcome.reply for outcome in outcomes}) == 1
    assert await node.pool.fetchval("SELECT count(*) FROM journal") == 1


async def test_a_conversation_is_opened_by_parties_of_current_bookings_only(node: Node) -> None:
    await booked(node.pool, thread(1), BookingStatus.CONFIRMED)
    await booked(node.pool, thread(2), BookingStatus.DECLINED)
    await booked(node.pool, thread(3), BookingStatus.COMPLETED, ended_at=node.clock.now() - READ_ONLY_AFTER)

    async def refusal(number: int, sender: Principal) -> Any:
        return type((await node.send(OpenBookingConversation(conversation_id=thread(number)), sender)).error)

    assert await refusal(1, stranger) is NotFound
    assert await refusal(2, customer) is WrongState
    assert await refusal(3, customer) is ConversationClosed
    assert await refusal(4, customer) is NotFound
    await node.pool.execute("INSERT INTO blocked_pairs VALUES ($1, $2, now())", BUSINESS, CUSTOMER)
    assert await refusal(1, customer) is PairBlocked


async def test_who_declined_loses_the_thread_and_the_substitute_gets_all_of_it(node: Node) -> None:
    await opened(node, thread(1))
    message_id = await said(node, thread(1), customer)
    await node.send(MarkRead(conversation_id=thread(1), message_id=message_id), staff)

    joins = Participant(user_id=SUBSTITUTE, role=Role.STAFF)
    await node.send(ReplaceMember(conversation_id=thread(1), leaves=STAFF, joins=joins))

    with pytest.raises(NotFound):
        await messages(node.pool, thread(1), staff)
    refused = await node.send(PostMessage(conversation_id=thread(1), text="Still here"), staff)
    assert isinstance(refused.error, NotFound)
    assert [message.text for message in (await messages(node.pool, thread(1), substitute)).items] == ["Hello"]
    assert not await node.pool.fetchval("SELECT EXISTS (SELECT FROM read_marks)")
    assert (await threads(node.pool, staff)).items == []
    assert [view.unread_count for view in (await threads(node.pool, substitute)).items] == [1]


async def test_a_thread_can_be_read_but_not_written_48_hours_after_its_job(node: Node) -> None:
    await opened(node, thread(1))
    await said(node, thread(1), customer)
    await node.send(CloseConversation(conversation_id=thread(1), ended_at=node.clock.now()))
    command = PostMessage(conversation_id=thread(1), text="One more thing")

    node.clock.advance(READ_ONLY_AFTER - MINUTE)
    assert (await node.send(command, customer)).error is None
    node.clock.advance(MINUTE)
    refused = await node.send(command, customer)

    assert isinstance(refused.error, ConversationClosed)
    (view,) = (await threads(node.pool, customer)).items
    assert view.closes_at is not None
    assert view.closes_at.isoformat() == refused.error.fields["closes_at"].replace("Z", "+00:00")


# Indexes


@pytest.fixture
async def crowded(node: Node) -> Pool:
    """Thousands of threads of many people, messages and marks; the customer is in 20 of them."""
    pool = node.pool
    await pool.execute("""
        CREATE TEMP TABLE t AS SELECT n, md5('t' || n)::uuid AS id FROM generate_series(1, 4000) n;
        INSERT INTO conversations SELECT id, 'customer_staff', id, NULL, NULL, now() FROM t;
        INSERT INTO actors (kind, id, version, stamp, schema, state) SELECT 'conversation', id, 1, 1, 1, '{}' FROM t;
        INSERT INTO conversation_members
        SELECT id, CASE WHEN n <= 20 THEN '00000000-0000-0000-0000-000000000001' ELSE md5('c' || n % 500)::uuid END,
               'customer', now() - n * interval '1 minute' FROM t
        UNION ALL SELECT id, md5('s' || n % 50)::uuid, 'staff', now() - n * interval '1 minute' FROM t;
        INSERT INTO messages SELECT md5('m' || n || '/' || k)::uuid, id, md5('s' || n % 50)::uuid, 'Hello', now()
          FROM t, generate_series(1, 5) k;
        INSERT INTO read_marks SELECT id, md5('c' || n % 500)::uuid, id, now() FROM t;
        INSERT INTO people
        SELECT md5('c' || n)::uuid, n || '@x.test', 'N', NULL, NULL, 'en' FROM generate_series(1, 5000) n;
        INSERT INTO blocked_pairs
        SELECT md5('b' || n)::uuid, md5('c' || n)::uuid, now() FROM generate_series(1, 5000) n;
        INSERT INTO inbox_counters SELECT md5('c' || n)::uuid, n FROM generate_series(1, 5000) n;
        INSERT INTO bookings
        SELECT id, 'N', 'CONFIRMED', md5('c' || n % 500)::uuid, id, id, id, 'Job', now(), now(), now(), 'UTC', 1, 'EUR',
               'card', 'SECURED', 'HELD', true, NULL, NULL, NULL, now(), 1 FROM t;
        INSERT INTO businesses
        SELECT id, id, 'N', 'hair', '', 'Rome', 'UTC', 'EUR', NULL, NULL, '{}', 0, 0, false, true, now() FROM t;
        DROP TABLE t;
        ANALYZE;
    """)
    return pool


QUESTIONS = {
    "a page of threads": (
        THREADS_LISTED,
        "uuid, text[], uuid, timestamptz, uuid, int",
        "$U, ARRAY['customer'], NULL, now(), $I, 20",
    ),
    "one thread": (THREADS_ONE, "uuid, text[], uuid, uuid", "$U, ARRAY['customer', 'staff'], $I, $I"),
    "a page of messages": (MESSAGES, "uuid, text[], uuid, uuid, uuid, int", "$U, ARRAY['customer'], NULL, $I, $I, 20"),
    "whose booking it is": (BOOKING_PARTIES, "uuid[]", "ARRAY[$I]"),
    "what was written": (WRITTEN_MESSAGES, "uuid[]", "ARRAY[$I]"),
}


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_every_question_is_answered_from_indexes(crowded: Pool, mode: str) -> None:
    async with crowded.acquire() as connection:
        await connection.execute(f"SET plan_cache_mode = {mode}")
        for name, (sql, types, values) in QUESTIONS.items():
            given = values.replace("$U", f"'{CUSTOMER}'::uuid").replace("$I", "md5('t7')::uuid")
            await connection.execute(f"PREPARE question ({types}) AS {sql}")
            explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE question ({given})")
            await connection.execute("DEALLOCATE question")
            assert list(whole_scans(json.loads(explained)[0]["Plan"])) == [], name


def whole_scans(plan: dict[str, Any]) -> Iterator[str]:
    """Name the scans of a plan that read a whole table or a whole index."""
    node = plan["Node Type"]
    if node == "Seq Scan" or (
        node in ("Index Scan", "Index Only Scan", "Bitmap Index Scan") and "Index Cond" not in plan
    ):
        yield f"{node} {plan.get('Index Name') or plan['Relation Name']}"
    for child in plan.get("Plans", []):
        yield from whole_scans(child)
