"""Ordinary notifications come in one e-mail a day, at the reader's hour, each once, and no read one (rule N-4)."""

import asyncio
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from itertools import chain, count
from uuid import UUID, uuid4

import pytest

from protocol.booking.commands import CancelBooking
from protocol.delivery.channels import Channel
from protocol.ids import DeliveryId, UserId
from protocol.notification.commands import ReadNotifications
from protocol.preference.commands import SetPreferences
from protocol.preference.terms import Frequency
from server.delivery.adapters import Suppressed
from server.delivery.context import DeliveryContext, load_contexts
from server.delivery.router import DeliveryRouter
from storage.database import Pool
from storage.deliveries import _TAKE, lease
from storage.queries.suppression import _LIST_DIGESTS, list_digests
from tests.support.faults import until
from tests.support.query_plans import generic_plan
from tests.support.server import Person, Site

#: A Thursday noon in Berlin; the digest is due at 8.
NOON = datetime(2026, 1, 15, 11, tzinfo=UTC)
EIGHT = datetime(2026, 1, 16, 7, tzinfo=UTC)
EMAIL = frozenset({Channel.EMAIL})


async def reader(pool: Pool) -> UserId:
    """A reader in Berlin."""
    user_id = UserId(uuid4())
    await pool.execute("INSERT INTO people VALUES ($1, $2, 'Ada', NULL, NULL, 'de')", user_id, f"{user_id}@people.test")
    await pool.execute(
        "INSERT INTO users (user_id, is_email_verified, is_phone_verified, memberships, sessions, created_at)"
        " VALUES ($1, true, false, '[]', '[]', now())",
        user_id,
    )
    await pool.execute(
        "INSERT INTO notification_preferences (user_id, zone, channels, frequency, digest_hour)"
        " VALUES ($1, 'Europe/Berlin', '{}', 'MODERATE', 8)",
        user_id,
    )
    return user_id


async def queue_refunds(pool: Pool, user_id: UserId, at: datetime = NOON, count: int = 1) -> None:
    """Insert notifications of refunds that are not routed yet."""
    await pool.execute(
        "WITH made AS ("
        " INSERT INTO notifications (user_id, id, type, kind, entity_id, event, at)"
        " SELECT $1::uuid, gen_random_uuid(), 'booking.refunded', 'user', $1::uuid,"
        """ '{"amount_minor": 1250, "currency": "EUR", "reason": "cancelled"}', $2::timestamptz + n * interval '1 s'"""
        " FROM generate_series(1, $3) n RETURNING user_id, id, at)"
        " INSERT INTO routing_queue (user_id, notification_id, at) SELECT user_id, id, at FROM made",
        *(user_id, at, count),
    )


def router(pool: Pool, now: datetime = NOON) -> DeliveryRouter:
    def ignore(channels: Collection[Channel]) -> None:
        pass

    return DeliveryRouter(pool, EMAIL, lambda: now, uuid4, ignore)


async def composed(pool: Pool, now: datetime) -> list[DeliveryContext | object]:
    """The contexts of the due deliveries."""
    due = await lease(pool, Channel.EMAIL, now, 100, critical=False, lease_s=60)
    return list((await load_contexts(pool, due, now)).values())


async def test_two_routers_at_once_open_one_digest_for_each_reader_and_day(pool: Pool) -> None:
    readers = [await reader(pool) for _ in range(20)]
    for user_id in readers:
        await queue_refunds(pool, user_id, count=30)

    await asyncio.gather(*[router(pool).route_all() for _ in range(4)])

    digests = await pool.fetch("SELECT user_id, day, delivery_id FROM digests")
    assert sorted((row["user_id"], row["day"]) for row in digests) == [
        (user_id, date(2026, 1, 16)) for user_id in sorted(readers)
    ]
    deliveries = await pool.fetch("SELECT id, template, due_at FROM deliveries")
    assert {row["id"] for row in deliveries} == {row["delivery_id"] for row in digests}
    assert {(row["template"], row["due_at"]) for row in deliveries} == {("digest", EIGHT)}
    assert await pool.fetchval("SELECT count(*) FROM digest_items") == 20 * 30


async def test_a_digest_lists_deferred_notifications_in_its_readers_language_and_zone(pool: Pool) -> None:
    ada = await reader(pool)
    await queue_refunds(pool, ada, count=60)
    await router(pool).route_all()
    assert await composed(pool, EIGHT - timedelta(seconds=1)) == []

    (made,) = await composed(pool, EIGHT)

    assert isinstance(made, DeliveryContext)
    assert made.digest is not None
    assert (len(made.digest.items), made.digest.more) == (50, 10)
    assert made.digest.items[0].at < made.digest.items[-1].at
    assert made.title == "Was Sie verpasst haben"
    assert "Donnerstag" in made.body
    assert "12:00" in made.body
    assert "12,50\xa0€" in made.body
    assert made.body.endswith("Und 10 mehr, in der App.")


async def test_nothing_is_listed_twice_and_a_retry_lists_the_same(pool: Pool) -> None:
    ada = await reader(pool)
    await queue_refunds(pool, ada, count=2)
    await router(pool).route_all()
    await queue_refunds(pool, ada, EIGHT, count=3)
    await router(pool, EIGHT).route_all()
    first, second = [
        DeliveryId(row["delivery_id"]) for row in await pool.fetch("SELECT delivery_id FROM digests ORDER BY day")
    ]

    tried = await list_digests(pool, [first])
    again = await list_digests(pool, [first])
    then = await list_digests(pool, [second])

    assert sorted(tried[first]) == sorted(again[first])
    assert (len(tried[first]), len(then[second])) == (2, 3)
    assert not set(tried[first]) & set(then[second])


async def test_items_that_no_digest_listed_are_in_the_next_one(pool: Pool) -> None:
    ada = await reader(pool)
    await queue_refunds(pool, ada, count=2)
    await router(pool).route_all()
    await queue_refunds(pool, ada, EIGHT)
    await router(pool, EIGHT).route_all()
    last: UUID = await pool.fetchval("SELECT delivery_id FROM digests ORDER BY day DESC LIMIT 1")

    listed = await list_digests(pool, [DeliveryId(last)])

    assert len(listed[DeliveryId(last)]) == 3


@pytest.mark.parametrize(("unknown", "listed"), [(0, 3), (1, 1)])
async def test_the_items_of_an_expired_digest_are_in_the_next_one(pool: Pool, unknown: int, listed: int) -> None:
    """Unless it may have arrived."""
    ada = await reader(pool)
    await queue_refunds(pool, ada, count=2)
    await router(pool).route_all()
    assert len(await composed(pool, EIGHT)) == 1
    await pool.execute(
        "UPDATE deliveries SET state = 'skipped', reason = 'expired', unknown_outcomes = $1, leased_until = NULL,"
        " finished_at = now()",
        unknown,
    )
    await queue_refunds(pool, ada, EIGHT)
    await router(pool, EIGHT).route_all()

    (made,) = await composed(pool, EIGHT + timedelta(days=1))

    assert isinstance(made, DeliveryContext)
    assert made.digest is not None
    assert len(made.digest.items) == listed


async def test_a_notification_after_a_change_of_the_hour_waits_for_tomorrow(pool: Pool) -> None:
    ada = await reader(pool)
    await queue_refunds(pool, ada)
    await router(pool).route_all()
    (sent,) = await lease(pool, Channel.EMAIL, EIGHT, 100, critical=False, lease_s=60)
    await pool.execute("UPDATE notification_preferences SET digest_hour = 20")
    await queue_refunds(pool, ada, EIGHT + timedelta(hours=1))

    await router(pool, EIGHT + timedelta(hours=1)).route_all()

    (next_,) = await pool.fetch("SELECT due_at FROM deliveries WHERE id <> $1", sent.id)
    assert next_["due_at"] == EIGHT + timedelta(hours=36)


async def test_a_digest_of_unwanted_types_is_not_sent(pool: Pool) -> None:
    ada = await reader(pool)
    await queue_refunds(pool, ada, count=2)
    await router(pool).route_all()
    await pool.execute("""UPDATE notification_preferences SET channels = '{"booking.refunded": []}'""")

    assert await composed(pool, EIGHT) == [Suppressed("nothing_new")]


@pytest.mark.parametrize("preferences", ["zone = 'Mars/Olympus'", """quiet_hours = '{"after": "dark"}'"""])
async def test_unreadable_preferences_block_no_other_reader(pool: Pool, preferences: str) -> None:
    ada, bob = await reader(pool), await reader(pool)
    await queue_refunds(pool, ada)
    await queue_refunds(pool, bob)
    await pool.execute(f"UPDATE notification_preferences SET {preferences} WHERE user_id = $1", ada)

    await router(pool).route_all()

    opened = await pool.fetch("SELECT user_id, due_at FROM deliveries")
    assert {row["user_id"]: row["due_at"] for row in opened} == {ada: EIGHT + timedelta(hours=1), bob: EIGHT}


async def test_a_notification_that_cannot_be_routed_blocks_no_other(pool: Pool) -> None:
    ada = await reader(pool)
    await queue_refunds(pool, ada, count=3)
    ids = chain([None], (uuid4() for _ in count()))

    def new_id() -> UUID:
        id = next(ids)
        assert id is not None, "a bug"
        return id

    await DeliveryRouter(pool, EMAIL, lambda: NOON, new_id, lambda channels: None).route_all()

    assert await pool.fetchval("SELECT count(*) FROM digest_items") == 2
    assert await pool.fetchval("SELECT count(*) FROM routing_queue") == 0


async def test_a_long_queue_is_not_scanned(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO routing_queue"
        " SELECT gen_random_uuid(), gen_random_uuid(), now() + n * interval '1 s' FROM generate_series(1, 10000) n"
    )

    plan = await generic_plan(pool, _TAKE)

    assert "routing_queue_at" in plan
    assert "Tid Scan on routing_queue" in plan
    assert "Seq Scan on routing_queue" not in plan


async def test_deferred_items_are_found_by_their_indexes(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO digest_items SELECT md5((n % 100)::text)::uuid, gen_random_uuid(), '2026-01-01'::date + n % 300,"
        " CASE WHEN n % 50 > 0 THEN md5((n % 1000)::text)::uuid END FROM generate_series(1, 20000) n"
    )
    await pool.execute("ANALYZE digest_items")

    plan = await generic_plan(pool, _LIST_DIGESTS)

    assert "digest_items_open" in plan
    assert "digest_items_listed" in plan
    assert "Seq Scan on digest_items" not in plan


@pytest.fixture
async def customer(server: Site) -> Person:
    """A customer with the refund of a cancelled booking."""
    market, person = await server.market(), await server.person("Carla Customer")
    await person.call(SetPreferences(zone="Asia/Kathmandu", digest_hour=(server.node.clock.now().hour + 12) % 24))
    booking_id = await server.confirmed(market, person)
    await market.owner.call(CancelBooking(booking_id=booking_id))

    async def deferred() -> bool:
        return bool(
            await server.node.pool.fetchval("SELECT EXISTS (SELECT FROM digests WHERE user_id = $1)", person.id)
        )

    await until(deferred)
    return person


async def digest_of(site: Site, person: Person) -> tuple[str, str | None]:
    """Let a day pass; returns the state of the digest."""
    await site.advance(timedelta(days=1))
    found = "SELECT state, reason FROM deliveries WHERE template = 'digest' AND user_id = $1"

    async def over() -> bool:
        return [row["state"] for row in await site.node.pool.fetch(found, person.id)] in (["sent"], ["skipped"])

    await until(over)
    row = await site.node.pool.fetchrow(found, person.id)
    assert row is not None
    return row["state"], row["reason"]


async def mail(site: Site, person: Person) -> list[str]:
    """The templates of the e-mails that a user got."""
    rows = await site.node.pool.fetch(
        "SELECT d.template FROM development_mailbox m JOIN deliveries d ON d.id = m.delivery_id WHERE d.user_id = $1",
        person.id,
    )
    return [row["template"] for row in rows]


async def test_ordinary_notifications_wait_for_the_digest_and_timely_ones_do_not(
    server: Site, customer: Person
) -> None:
    assert "booking.refunded" not in await mail(server, customer)

    assert await digest_of(server, customer) == ("sent", None)

    templates = await mail(server, customer)
    assert templates.count("digest") == 1
    assert "booking.confirmed" in templates
    assert "booking.refunded" not in templates


async def test_a_digest_of_read_notifications_is_not_sent(server: Site, customer: Person) -> None:
    await customer.call(ReadNotifications(read_until=server.node.clock.now() + timedelta(hours=1)))

    assert await digest_of(server, customer) == ("skipped", "nothing_new")


async def test_a_frequent_reader_gets_no_digest(server: Site) -> None:
    market, person = await server.market(), await server.person("Carla Customer")
    await person.call(SetPreferences(frequency=Frequency.FREQUENT))
    await market.owner.call(CancelBooking(booking_id=await server.confirmed(market, person)))

    async def refunded() -> bool:
        return "booking.refunded" in await mail(server, person)

    await until(refunded)
    assert await server.node.pool.fetchval("SELECT count(*) FROM digests WHERE user_id = $1", person.id) == 0
