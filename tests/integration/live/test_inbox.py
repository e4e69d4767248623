"""Reading the inbox: the same bytes as sent live, the present rights, pages, positions."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest

from actors.runtime.call import Published
from protocol.conversation.events import MessagePosted
from protocol.conversation.rows import ConversationMemberRow, MessageRow
from protocol.effects import Emitted, PutRow
from protocol.events import EVENTS, Event, Row
from protocol.ids import ConversationId, Kind, MessageId, Ref, UserId
from protocol.roles import Role
from protocol.topics import Topic, TopicKind
from server.live.connection.codec import JSON
from server.live.hub.inbox_log import InboxLog
from server.live.hub.rendering import render_entry, render_published
from server.live.hub.topics import allowed_topics
from server.live.limits import Limits
from storage.database import Pool
from storage.inbox import (
    InboxRange,
    load_positions,
    position,
    read_pages,
)
from storage.rights import VISIBLE, may_see, may_see_presence
from tests.support.live_server import acting
from tests.support.postgres import TestPostgres
from tests.support.sample_decisions import sample_event

ADA, BOB, MANAGER, MEMBER, EVE = (UserId(UUID(int=number)) for number in range(1, 6))
BUSINESS, BOOKING, THREAD = UUID(int=90), UUID(int=91), UUID(int=92)
AT = datetime(2026, 3, 29, 9, 30, 0, 250_000, tzinfo=UTC)


@sample_event("sample.happened")
class SampleHappened(Event, frozen=True, kw_only=True):
    """An event with every value whose order or form the log does not keep."""

    counts: dict[str, int]
    tags: frozenset[str]
    ratio: float
    big: int
    local_at: datetime
    note_code: str | None = None


SAMPLE = SampleHappened(counts={}, tags=frozenset(), ratio=1.0, big=1, local_at=AT)


@pytest.fixture(autouse=True)
def _sample_event() -> Iterator[None]:
    EVENTS[SampleHappened.type] = SampleHappened
    yield
    del EVENTS[SampleHappened.type]


async def put(pool: Pool, user_id: UserId, seq: int, to: Ref, event: Event, *, at: datetime = AT) -> None:
    """Insert an event as a commit does."""
    data = msgspec.json.encode(event).decode()
    await pool.execute(
        "INSERT INTO journal VALUES ($1, $2, $3, $4, 1, $5::text::jsonb, $6, $7, $8) ON CONFLICT DO NOTHING",
        *(to.kind, to.id, seq, event.type, data, at, ADA, f"cause-{seq}"),
    )
    await pool.execute("INSERT INTO inbox VALUES ($1, $2, $3, $4, $2, $5)", user_id, seq, to.kind, to.id, at)
    await pool.execute(
        "INSERT INTO inbox_counters VALUES ($1, $2) ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq",
        user_id,
        seq,
    )


async def put_row(pool: Pool, row: Row) -> None:
    """Insert a row as a commit does."""
    data = msgspec.json.encode(row).decode()
    await pool.execute(
        f"INSERT INTO {row.table} SELECT * FROM jsonb_populate_record(NULL::{row.table}, $1::text::jsonb)", data
    )


async def join_thread(pool: Pool, *user_ids: UserId) -> None:
    for user_id in user_ids:
        thread = ConversationId(THREAD)
        await put_row(
            pool, ConversationMemberRow(conversation_id=thread, user_id=user_id, role=Role.CUSTOMER, active_at=AT)
        )


async def live_and_replayed(pool: Pool, to: Ref, event: Event, content: Row | None) -> tuple[bytes, bytes]:
    await put(pool, ADA, 1, to, event)
    shown = None if content is None else PutRow(content)
    published = Published(to, 1, AT, "cause-1", Emitted(event, (ADA,), shown), [1])
    ((entry,),) = await read_pages(pool, [InboxRange(ADA, 0, 10)])
    return JSON.event(1, JSON.body(render_published(published))), render_entry(entry, JSON)


class Counting:
    """A pool that counts its statements."""

    def __init__(self, pool: Pool) -> None:
        self.statements = 0
        self._pool = pool

    async def fetch(self, *arguments: Any) -> Any:
        self.statements += 1
        return await self._pool.fetch(*arguments)


async def test_an_event_is_replayed_byte_for_byte_though_the_log_reorders_keys(pool: Pool) -> None:
    event = SampleHappened(
        counts={"zebra": 1, "a": 2, "mm": 3},
        tags=frozenset({"x", "yy", "aaa", "b"}),
        ratio=1e22,
        big=2**53 + 1,
        local_at=datetime(2026, 3, 29, 3, 0, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    )

    live, replayed = await live_and_replayed(pool, Ref(Kind.USER, ADA), event, None)

    assert live == replayed


@pytest.mark.parametrize("text", ["Hello", "\u0001\u2028 \U0001f44b “q” \\ / </script>", "a" * 4000])
async def test_an_events_free_text_is_replayed_byte_for_byte(pool: Pool, text: str) -> None:
    message_id = MessageId(UUID(int=7))
    row = MessageRow(id=message_id, conversation_id=ConversationId(THREAD), sender_id=ADA, text=text, sent_at=AT)
    await put_row(pool, row)
    await join_thread(pool, ADA)
    event = MessagePosted(message_id=message_id, sender_id=ADA)

    live, replayed = await live_and_replayed(pool, Ref(Kind.CONVERSATION, THREAD), event, row)

    assert live == replayed
    assert msgspec.json.decode(live)["data"]["content"]["text"] == text


async def test_an_unknown_event_is_passed_on(pool: Pool) -> None:
    await put(
        pool, ADA, 1, Ref(Kind.USER, ADA), SampleHappened(counts={}, tags=frozenset(), ratio=1, big=1, local_at=AT)
    )
    await pool.execute("UPDATE journal SET type = 'user.teleported', data = '{\"to\": \"Mars\"}'")

    ((entry,),) = await read_pages(pool, [InboxRange(ADA, 0, 10)])
    frame = msgspec.json.decode(render_entry(entry, JSON))

    assert (frame["type"], frame["data"]) == ("user.teleported", {"to": "Mars"})


async def test_an_event_with_outdated_fields_is_passed_on(pool: Pool) -> None:
    await put(
        pool, ADA, 1, Ref(Kind.USER, ADA), SampleHappened(counts={}, tags=frozenset(), ratio=1, big=1, local_at=AT)
    )
    await pool.execute("UPDATE journal SET data = '{\"counts\": 5}'")

    ((entry,),) = await read_pages(pool, [InboxRange(ADA, 0, 10)])

    assert msgspec.json.decode(render_entry(entry, JSON))["data"] == {"counts": 5}


async def test_pages_are_bounded_by_rows_and_by_bytes(pool: Pool) -> None:
    for seq in range(1, 8):
        await put(
            pool, ADA, seq, Ref(Kind.USER, ADA), MessagePosted(message_id=MessageId(UUID(int=seq)), sender_id=ADA)
        )
    by_rows = InboxLog(pool, Limits(page_rows=3))
    by_bytes = InboxLog(pool, Limits(page_bytes_max=1))

    pages = [await by_rows.page(ADA, after, JSON) for after in (0, 3, 6)]
    narrow = await by_bytes.page(ADA, 0, JSON)

    assert [[seq for seq, _ in page.rows] for page in pages] == [[1, 2, 3], [4, 5, 6], [7]]
    assert [page.more for page in pages] == [True, True, False]
    assert ([seq for seq, _ in narrow.rows], narrow.more) == ([1], True)


# Positions


async def test_a_position_is_epoch_and_number_and_zero_for_a_new_user(pool: Pool) -> None:
    await put(pool, ADA, 1, Ref(Kind.USER, ADA), MessagePosted(message_id=MessageId(UUID(int=1)), sender_id=ADA))

    found = await load_positions(pool, [BOB, ADA])

    assert [place.seq for place in found] == [0, 1]
    assert found[0].epoch == found[1].epoch != ""
    assert await position(pool, ADA) == f"{found[1].epoch}:1"


async def test_a_position_belongs_to_the_database_snapshot_of_its_read(pool: Pool) -> None:
    event = MessagePosted(message_id=MessageId(UUID(int=1)), sender_id=ADA)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        reader = cast(Pool, connection)  # one connection reads like a pool
        before = await position(reader, ADA)
        await put(pool, ADA, 1, Ref(Kind.USER, ADA), event)
        meanwhile = await position(reader, ADA)

    assert meanwhile == before
    assert await position(pool, ADA) != before


async def test_each_database_has_its_own_epoch(pool: Pool, postgres_server: TestPostgres) -> None:
    import asyncpg

    async with postgres_server.database(migrated=True) as dsn:
        other = await asyncpg.connect(dsn)
        (theirs,) = await load_positions(other, [ADA])
        await other.close()
    (ours, again) = [(await load_positions(pool, [ADA]))[0] for _ in range(2)]

    assert ours == again
    assert ours.epoch != theirs.epoch


async def test_concurrent_reads_of_positions_share_a_statement(pool: Pool) -> None:
    people = [UserId(UUID(int=1000 + n)) for n in range(50)]
    for n, user_id in enumerate(people, 1):
        event = MessagePosted(message_id=MessageId(UUID(int=n)), sender_id=user_id)
        await put(pool, user_id, n, Ref(Kind.USER, user_id), event)
    counting = Counting(pool)
    log = InboxLog(counting, Limits())  # type: ignore[arg-type]  # the used part of a pool

    found = await asyncio.gather(*(log.position(user_id) for user_id in people))

    assert [place.seq for place in found] == list(range(1, 51))
    assert counting.statements <= 2  # the first one, and all that were requested meanwhile


# Rights


async def book(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO bookings (id, number, status, customer_id, business_id, staff_id, service_id, title, starts_at,"
        " ends_at, local_start, zone, total_amount_minor, currency, payment_method, payment_status, escrow_status,"
        " approved, created_at, version) VALUES ($1, 'N', 'PENDING', $2, $3, $4, $1, 'Job', $5, $5,"
        " $5::timestamptz, 'UTC', 1, 'EUR', 'card', 'PENDING', 'HELD', true, $5, 1)",
        *(BOOKING, ADA, BUSINESS, BOB, AT),
    )
    for user_id, role, manager, active in [
        (BOB, "staff", False, True),
        (MANAGER, "employee", True, True),
        (MEMBER, "employee", False, True),
        (EVE, "owner", True, False),
    ]:
        await pool.execute(
            "INSERT INTO members (business_id, user_id, role, manager, serves, active, bio, joined_at)"
            " VALUES ($1, $2, $3, $4, false, $5, '', $6)",
            *(BUSINESS, user_id, role, manager, active, AT),
        )


@pytest.mark.parametrize(
    ("user_id", "seen"),
    [
        (ADA, {Kind.BOOKING}),
        (BOB, {Kind.BOOKING, Kind.CONVERSATION, Kind.BUSINESS}),
        (MANAGER, {Kind.BOOKING, Kind.BUSINESS}),
        (MEMBER, {Kind.BUSINESS}),
        (EVE, set()),
    ],
    ids=["customer", "staff", "manager", "plain employee", "former member"],
)
async def test_visibility_by_kind(pool: Pool, user_id: UserId, seen: set[Kind]) -> None:
    await book(pool)
    await join_thread(pool, BOB)
    refs = {Ref(Kind.BOOKING, BOOKING), Ref(Kind.CONVERSATION, THREAD), Ref(Kind.BUSINESS, BUSINESS)}

    found = await may_see(pool, user_id, {*refs, Ref(Kind.USER, user_id), Ref(Kind.USER, UUID(int=77))})

    assert {ref.kind for ref in found} == {*seen, Kind.USER}
    assert Ref(Kind.USER, UUID(int=77)) not in found


def test_every_kind_has_a_visibility_rule() -> None:
    assert {*VISIBLE, Kind.USER} == set(Kind)


async def test_presence_is_visible_to_users_who_share_a_conversation_or_a_business(pool: Pool) -> None:
    await book(pool)
    await join_thread(pool, ADA, BOB)

    assert await may_see_presence(pool, ADA, [ADA, BOB, MANAGER, EVE]) == {ADA, BOB}
    assert await may_see_presence(pool, MANAGER, [ADA, MEMBER, EVE]) == {MEMBER}


async def test_rights_to_several_topics_are_checked_together(pool: Pool) -> None:
    await join_thread(pool, ADA, BOB)
    typing, presence = Topic(TopicKind.TYPING, THREAD), Topic(TopicKind.PRESENCE, BOB)
    foreign = [Topic(TopicKind.TYPING, BOOKING), Topic(TopicKind.PRESENCE, EVE)]

    assert await allowed_topics(pool, acting(ADA, Role.CUSTOMER), [typing, presence, *foreign]) == {typing, presence}


# Batches


async def test_concurrent_reads_of_pages_share_statements(pool: Pool) -> None:
    people = [UserId(UUID(int=1000 + n)) for n in range(100)]
    await join_thread(pool, *people)
    for n, user_id in enumerate(people):
        event = MessagePosted(message_id=MessageId(UUID(int=n)), sender_id=user_id)
        await put(pool, user_id, n + 1, Ref(Kind.CONVERSATION, THREAD), event)
    counting = Counting(pool)
    log = InboxLog(counting, Limits(pages_together=50))  # type: ignore[arg-type]  # the used part of a pool

    pages = await asyncio.gather(*(log.page(user_id, 0, JSON) for user_id in people))

    assert [[seq for seq, _ in page.rows] for page in pages] == [[n + 1] for n in range(100)]
    assert not any(page.more for page in pages)
    assert counting.statements <= 4 * 3  # rounds; events, rights and texts


async def test_of_pages_read_together_each_is_redacted_for_its_own_user(pool: Pool) -> None:
    await join_thread(pool, ADA)
    event = MessagePosted(message_id=MessageId(UUID(int=7)), sender_id=ADA)
    for user_id in (ADA, EVE):
        await put(pool, user_id, 1, Ref(Kind.CONVERSATION, THREAD), event)

    pages = await read_pages(pool, [InboxRange(ADA, 0, 10), InboxRange(EVE, 0, 10), InboxRange(ADA, 1, 10)])

    assert [[entry.event for entry in page] for page in pages] == [[event], [None], []]


async def test_pages_read_together_share_their_rows(pool: Pool) -> None:
    for user_id in (ADA, BOB):
        for seq in range(1, 7):
            await put(pool, user_id, seq, Ref(Kind.USER, user_id), SAMPLE)
    log = InboxLog(pool, Limits(page_rows_together=8))

    pages = await asyncio.gather(log.page(ADA, 0, JSON), log.page(BOB, 0, JSON), log.page(ADA, 5, JSON))
    alone = await log.page(BOB, 0, JSON)

    assert [[seq for seq, _ in page.rows] for page in pages] == [[1, 2], [1, 2], [6]]
    assert [page.more for page in pages] == [True, True, False]
    assert [seq for seq, _ in alone.rows] == [1, 2, 3, 4, 5, 6]
