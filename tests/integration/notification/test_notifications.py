"""Users are notified once, in their language, and read marks persist (rule N-1)."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest

from actors.conversation.state import ACTIVE_STEP
from protocol.booking.commands import CancelBooking, PayBooking
from protocol.booking.events import BookingCancelled
from protocol.conversation.commands import PostMessage
from protocol.errors import Invalid
from protocol.events import EVENTS
from protocol.ids import ConversationId, NotificationId
from protocol.notification.commands import ReadNotifications
from protocol.notification.registry import NOTIFICATIONS
from protocol.notification.terms import UNREAD_MAX, Wanted
from protocol.notification.views import ListNotifications, NotificationPage, NotificationView
from protocol.preference.commands import SetPreferences
from protocol.user.rows import Person as PersonRow
from server.delivery.outbox_relay import OutboxRelay
from storage.outbox import TAKE_MAX, fan_out
from storage.queries.notification import _PAGE, _UNREAD
from tests.support.faults import until
from tests.support.query_plans import generic_plan
from tests.support.server import Market, Person, Site


@pytest.fixture
async def market(server: Site) -> Market:
    return await server.market()


async def listed(site: Site, person: Person, **options: object) -> NotificationPage:
    """A user's notifications, after the outbox is empty."""
    await site.at_rest()
    while await fan_out(site.node.pool):
        pass
    page: NotificationPage = await person.call(ListNotifications(**options))  # type: ignore[arg-type]  # a test's own words
    return page


def types(page: NotificationPage) -> list[str]:
    return [item.type for item in page.items]


async def about(site: Site, person: Person, type_: str) -> NotificationView:
    (found,) = [item for item in (await listed(site, person)).items if item.type == type_]
    return found


async def test_each_party_is_notified_of_what_the_others_did(server: Site, market: Market) -> None:
    customer = await server.person("Carla Customer")

    booking_id = await server.booked(market, customer)
    await server.captured(await customer.call(PayBooking(booking_id=booking_id)))
    await customer.call(CancelBooking(booking_id=booking_id))

    assert types(await listed(server, market.staff[0]))[:2] == ["booking.cancelled", "booking.paid"]
    assert types(await listed(server, market.owner))[:2] == ["booking.cancelled", "booking.paid"]
    assert types(await listed(server, customer)) == []
    cancelled = await about(server, market.owner, "booking.cancelled")
    assert cancelled.entity == f"booking/{booking_id}"
    assert cancelled.body.startswith("Carla Customer cancelled Repair on ")


@pytest.mark.parametrize(
    ("language", "title", "words"),
    [
        ("en", "Booking confirmed", "Repair with Staff 0 on"),
        ("de", "Buchung bestätigt", "Repair mit Staff 0 am"),
        ("de-AT", "Buchung bestätigt", "Repair mit Staff 0 am"),
        ("it", "Prenotazione confermata", "Repair con Staff 0,"),
        ("fr", "Booking confirmed", "Repair with Staff 0 on"),
    ],
)
async def test_a_notification_is_in_its_readers_language(
    server: Site, market: Market, language: str, title: str, words: str
) -> None:
    customer = await server.person()
    await server.node.pool.execute(
        f"UPDATE {PersonRow.table} SET language = $2 WHERE user_id = $1", customer.id, language
    )

    await server.confirmed(market, customer)

    confirmed = await about(server, customer, "booking.confirmed")
    assert confirmed.title == title
    assert confirmed.body.startswith(words)


@pytest.mark.parametrize(("zone", "named"), [("Europe/Rome", False), ("Asia/Tokyo", True)])
async def test_a_time_names_its_city_to_a_reader_on_another_clock(
    server: Site, market: Market, zone: str, named: bool
) -> None:
    customer = await server.person()
    await customer.call(SetPreferences(zone=zone))

    await server.confirmed(market, customer)

    assert ("(Berlin)" in (await about(server, customer, "booking.confirmed")).body) == named


async def test_a_conversation_makes_one_notification_a_minute_at_most(server: Site, market: Market) -> None:
    customer = await server.person("Carla Customer")
    thread = ConversationId(await server.confirmed(market, customer))

    for text in ("Hello?", "Are you there?"):
        await customer.call(PostMessage(conversation_id=thread, text=text))
    await server.advance(ACTIVE_STEP)
    await customer.call(PostMessage(conversation_id=thread, text="Hello?"))

    page = await listed(server, market.staff[0])
    assert types(page).count("message.posted") == 2
    assert page.items[0].body == "Carla Customer wrote to you about Repair."
    assert "message.posted" not in types(await listed(server, customer))


async def test_read_marks_are_shared_by_all_devices(server: Site, market: Market) -> None:
    customer = await server.person(live=True)
    for hours in (0, 4):
        await server.confirmed(market, customer, hours)
    page = await listed(server, customer)
    assert page.unread_count == len(page.items) >= 2

    await customer.call(ReadNotifications(notification_ids=(page.items[0].id,)))
    await customer.hears("notifications.read")
    one_read = await listed(server, customer, show=Wanted.UNREAD)
    await customer.call(ReadNotifications(read_until=page.items[0].at))
    all_read = await listed(server, customer)

    assert page.items[0].id not in [item.id for item in one_read.items]
    assert one_read.unread_count == page.unread_count - 1
    assert (all_read.unread_count, {item.read for item in all_read.items}) == (0, {True})


async def test_a_mark_never_moves_back_nor_past_now(server: Site, market: Market) -> None:
    customer = await server.person()
    await server.confirmed(market, customer)
    newest = (await listed(server, customer)).items[0].at

    await customer.call(ReadNotifications(read_until=newest + timedelta(days=30)))
    await customer.call(ReadNotifications(read_until=newest - timedelta(days=30)))
    assert (await listed(server, customer)).unread_count == 0
    await server.advance(market.soon - timedelta(minutes=30) - server.node.clock.now())

    assert (await listed(server, customer, show=Wanted.UNREAD)).items[0].type == "booking.reminded"


async def test_a_mark_out_of_range_is_refused(server: Site) -> None:
    customer = await server.person()

    answer = await server.request("PUT", "/notifications/", customer, {"read_until": "0001-01-01T00:00:00Z"})

    assert (answer.status, answer.json["code"]) == (422, Invalid.code)
    assert "read_until" in str(answer.json)


async def test_marking_another_user_s_notification_changes_nothing(server: Site, market: Market) -> None:
    customer, stranger = await server.people("Carla Customer", "Stranger")
    await server.confirmed(market, customer)
    page = await listed(server, customer)

    await stranger.call(ReadNotifications(notification_ids=tuple(item.id for item in page.items)))
    await stranger.call(ReadNotifications(notification_ids=(NotificationId(uuid4()),)))

    assert (await listed(server, customer)).unread_count == page.unread_count


async def test_foreign_and_read_notifications_write_nothing(server: Site, market: Market) -> None:
    customer, stranger = await server.people("Carla Customer", "Stranger")
    await server.confirmed(market, customer)
    ids = tuple(item.id for item in (await listed(server, customer)).items)
    await customer.call(ReadNotifications(notification_ids=ids))
    pool = server.node.pool
    traces = "SELECT (SELECT count(*) FROM notification_reads), (SELECT count(*) FROM journal)"
    before = await pool.fetchrow(traces)

    await customer.call(ReadNotifications(notification_ids=ids))
    await stranger.call(ReadNotifications(notification_ids=(*ids, NotificationId(uuid4()))))

    assert await pool.fetchrow(traces) == before
    assert before is not None
    assert before[0] == len(ids)


async def test_pages_have_no_gap_and_no_duplicate(server: Site, market: Market) -> None:
    customer = await server.person()
    for hours in (0, 2, 4):
        await server.confirmed(market, customer, hours)
    whole = await listed(server, customer)

    first = await listed(server, customer, limit=2)
    second = await listed(server, customer, limit=100, cursor=first.next_cursor)

    assert [*first.items, *second.items] == whole.items
    assert second.next_cursor is None


async def test_unread_is_counted_up_to_a_hundred(server: Site) -> None:
    customer = await server.person()
    await listed(server, customer)
    await server.node.pool.execute(
        "INSERT INTO notifications (user_id, id, type, kind, entity_id, event, at)"
        " SELECT $1::uuid, gen_random_uuid(), 'session.opened', 'user', $1::uuid, '{}', now()"
        " FROM generate_series(1, 150)",
        customer.id,
    )

    assert (await listed(server, customer)).unread_count == UNREAD_MAX


async def test_an_event_that_its_reader_may_not_see_any_more_has_a_title_only(server: Site, market: Market) -> None:
    customer = await server.person()
    await server.confirmed(market, customer)
    await listed(server, market.staff[0])
    await server.node.pool.execute("UPDATE bookings SET staff_id = $1", market.owner.id)

    kept = await about(server, market.staff[0], "booking.paid")

    assert (kept.title, kept.body) == ("New booking", "")


async def test_a_notification_has_the_version_of_its_event(server: Site, market: Market) -> None:
    """Kind, id and version match the journal and the reader's inbox, also when a turn emits several events."""
    customer = await server.person()
    booking_id = await server.confirmed(market, customer)
    await market.owner.call(CancelBooking(booking_id=booking_id))
    await listed(server, customer)

    rows = await server.node.pool.fetch(
        "SELECT n.type, j.type AS happened, i.seq FROM notifications n"
        " LEFT JOIN journal j ON j.kind = n.kind AND j.id = n.entity_id AND j.version = n.version"
        " LEFT JOIN inbox i ON i.user_id = n.user_id"
        " AND i.kind = n.kind AND i.id = n.entity_id AND i.version = n.version"
    )

    assert {row["type"] for row in rows} >= {"booking.paid", "booking.confirmed", "booking.refunded"}
    assert [row["type"] for row in rows if row["happened"] != row["type"] or row["seq"] is None] == []


async def test_a_crash_between_commit_and_fan_out_loses_nothing(server: Site, market: Market) -> None:
    """Outbox entries that a crash left behind are fanned out once by the next relay."""
    customer = await server.person()
    await listed(server, customer)
    await server.node.pool.execute(
        "INSERT INTO outbox (id, type, kind, entity_id, event, recipients, at)"
        " SELECT gen_random_uuid(), 'session.opened', 'user', $1::uuid, '{}', ARRAY[$1::uuid], now()"
        " FROM generate_series(1, $2)",
        customer.id,
        TAKE_MAX + 1,
    )
    done = []

    async def round_() -> int:
        done.append(await fan_out(server.node.pool))
        return done[-1]

    async def nothing() -> None:
        pass

    outbox_relay = OutboxRelay(round_, nothing)
    rows = "SELECT count(*) FROM notifications WHERE user_id = $1"

    async def all_notified() -> bool:
        return int(await server.node.pool.fetchval(rows, customer.id)) >= TAKE_MAX + 1

    outbox_relay.start()
    await until(all_notified)
    await outbox_relay.stop()

    assert (await listed(server, customer)).unread_count == UNREAD_MAX
    assert await server.node.pool.fetchval(rows, customer.id) == TAKE_MAX + 1


async def test_the_list_is_read_by_its_index(server: Site) -> None:
    plan = await generic_plan(server.node.pool, _PAGE)

    assert "notifications_listed" in str(plan)


def test_every_notification_comes_from_an_event() -> None:
    assert {one.name for one in NOTIFICATIONS} <= set(EVENTS)
    assert BookingCancelled.type in EVENTS


async def test_counting_unread_does_not_scan_rows_before_the_mark(server: Site) -> None:
    plan = await generic_plan(server.node.pool, _UNREAD)

    assert re.search(r"notifications_listed.*\n\s*Index Cond: \(\(user_id = .*\(at > ", plan), plan
