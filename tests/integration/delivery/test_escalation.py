"""An event delivered live is not pushed, and an unseen critical one is sent by the next channel (rule N-5)."""

from datetime import timedelta
from uuid import uuid4

import pytest
from argon2 import PasswordHasher

from protocol.delivery.channels import Channel
from protocol.delivery.rows import Delivery
from protocol.delivery.terms import Unless
from protocol.device.commands import RegisterDevice
from protocol.device.terms import Platform
from protocol.frames import AckState
from protocol.ids import DeviceId, NotificationId
from protocol.notice.commands import SendNotification
from protocol.notification.commands import ReadNotifications
from protocol.preference.commands import SetPreferences
from protocol.preference.terms import QuietHours
from protocol.user.commands import SignUp
from storage.deliveries import routing_round
from storage.queries.suppression import _RECEIPTS, LOOK_BACK_MAX
from tests.support.deliveries import delivery
from tests.support.faults import until
from tests.support.query_plans import generic_plan
from tests.support.server import PASSWORD, Person, Site

ALL_DAY_BUT_A_MINUTE = QuietHours("00:01", "00:00")


@pytest.fixture
async def ada(server: Site) -> Person:
    """A connected user with a verified number."""
    email = f"{uuid4().hex}@people.test"
    hash_ = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    sign_up = SignUp(email=email, name="Ada", phone_number="+4930123456", is_phone_verified=True, password_hash=hash_)
    await server.system(sign_up)
    return await server.sign_in(email, live=True)


async def notified(site: Site, person: Person, *, critical: bool = False) -> tuple[NotificationId, int]:
    """Emit an event with a notification; returns the notification and the event's seq."""
    admin = await site.admin()
    await admin.call(
        SendNotification(user_ids=(person.id,), title="Hello", body="There.", channels=(), critical=critical)
    )
    event = await person.hears("notification.sent")
    assert event.seq is not None
    found = "SELECT id FROM notifications WHERE user_id = $1 AND type = 'notification.sent'"

    async def listed() -> bool:
        return await site.node.pool.fetchval(found, person.id) is not None

    await until(listed)
    return await site.node.pool.fetchval(found, person.id), event.seq


async def put(
    site: Site, person: Person, notification_id: NotificationId, channel: Channel, unless: Unless
) -> Delivery:
    """Queue a due delivery."""
    one = delivery(
        user_id=person.id,
        notification_id=notification_id,
        template="notification.sent",
        channel=channel,
        device_id=DeviceId(uuid4()) if channel is Channel.PUSH else None,
        unless=unless,
        due_at=site.node.clock.now(),
    )
    async with routing_round(site.node.pool) as planned:
        await planned.write([one])
    return one


async def outcome(site: Site, one: Delivery) -> tuple[str, str | None]:
    """Wait until it is final; returns its state and reason."""

    async def over() -> bool:
        done = "SELECT finished_at IS NOT NULL FROM deliveries WHERE id = $1"
        return bool(await site.node.pool.fetchval(done, one.id))

    await site.advance(timedelta(0))
    await until(over)
    row = await site.node.pool.fetchrow("SELECT state, reason FROM deliveries WHERE id = $1", one.id)
    assert row is not None
    return row["state"], row["reason"]


async def acked(site: Site, person: Person, seq: int, state: AckState) -> None:
    """Acknowledge as a device, and wait until that is stored."""
    await person.phone.ack(seq, state)
    column = "seen" if state is AckState.SEEN else "delivered"

    async def kept() -> bool:
        found = f"SELECT coalesce(max({column}), 0) >= $2 FROM inbox_acks WHERE user_id = $1"
        return bool(await site.node.pool.fetchval(found, person.id, seq))

    await until(kept)


async def test_an_event_delivered_live_is_not_pushed(server: Site, ada: Person) -> None:
    notification_id, seq = await notified(server, ada)
    await acked(server, ada, seq, AckState.DELIVERED)

    push = await put(server, ada, notification_id, Channel.PUSH, Unless.DELIVERED)

    assert await outcome(server, push) == ("skipped", "delivered_live")


async def test_an_event_that_no_device_acknowledged_is_pushed(server: Site, ada: Person) -> None:
    notification_id, seq = await notified(server, ada)
    await acked(server, ada, seq - 1, AckState.SEEN)

    push = await put(server, ada, notification_id, Channel.PUSH, Unless.DELIVERED)

    assert await outcome(server, push) == ("sent", None)


async def test_a_delivered_but_unseen_event_is_sent_by_sms(server: Site, ada: Person) -> None:
    notification_id, seq = await notified(server, ada)
    await acked(server, ada, seq, AckState.DELIVERED)

    sms = await put(server, ada, notification_id, Channel.SMS, Unless.SEEN)

    assert await outcome(server, sms) == ("sent", None)


async def test_a_seen_event_is_sent_by_no_channel(server: Site, ada: Person) -> None:
    notification_id, seq = await notified(server, ada)
    await acked(server, ada, seq, AckState.SEEN)

    sms = await put(server, ada, notification_id, Channel.SMS, Unless.SEEN)

    assert await outcome(server, sms) == ("skipped", "seen")


async def test_reading_the_notification_counts_as_seen(server: Site, ada: Person) -> None:
    notification_id, _ = await notified(server, ada)
    await ada.call(ReadNotifications(notification_ids=(notification_id,)))

    sms = await put(server, ada, notification_id, Channel.SMS, Unless.SEEN)
    push = await put(server, ada, notification_id, Channel.PUSH, Unless.DELIVERED)

    assert await outcome(server, sms) == ("skipped", "seen")
    assert await outcome(server, push) == ("skipped", "seen")


async def test_acks_of_one_user_do_not_count_for_another(server: Site, ada: Person) -> None:
    bob = await server.person("Bob", live=True)
    notification_id, _ = await notified(server, ada)
    _, seq = await notified(server, bob)
    await acked(server, bob, seq, AckState.SEEN)

    push = await put(server, ada, notification_id, Channel.PUSH, Unless.DELIVERED)

    assert await outcome(server, push) == ("sent", None)


async def test_a_critical_unseen_notification_is_sent_by_sms_in_quiet_hours(server: Site, ada: Person) -> None:
    await ada.call(SetPreferences(quiet_hours=ALL_DAY_BUT_A_MINUTE, channels={"notification.sent": ()}))
    await notified(server, ada, critical=True)
    sms = "SELECT count(*) FROM deliveries WHERE channel = 'sms' AND state = 'sent' AND user_id = $1"

    async def planned() -> bool:
        found = "SELECT count(*) FROM deliveries WHERE channel = 'sms' AND user_id = $1"
        return bool(await server.node.pool.fetchval(found, ada.id))

    await until(planned)
    await server.advance(timedelta(seconds=110))
    assert await server.node.pool.fetchval(sms, ada.id) == 0
    await server.advance(timedelta(seconds=15))

    async def sent() -> bool:
        return bool(await server.node.pool.fetchval(sms, ada.id))

    await until(sent)


async def test_a_notification_that_its_reader_may_not_see_any_more_is_not_sent(server: Site, ada: Person) -> None:
    notification_id, _ = await notified(server, ada)
    await server.node.pool.execute("DELETE FROM notices")

    email = await put(server, ada, notification_id, Channel.EMAIL, Unless.SEEN)

    assert await outcome(server, email) == ("skipped", "not_visible")


async def test_a_chat_message_is_pushed_after_half_a_minute_without_an_ack(server: Site, ada: Person) -> None:
    await ada.call(RegisterDevice(platform=Platform.FCM, token="a-token-of-a-telephone"))
    admin = await server.admin()
    push = "SELECT state, reason FROM deliveries WHERE channel = 'push' AND user_id = $1 ORDER BY at"

    async def pushed(title: str) -> tuple[str, str | None]:
        """Write to Ada; returns the state of the last push after half a minute."""
        before = len(await server.node.pool.fetch(push, ada.id))
        await admin.call(SendNotification(user_ids=(ada.id,), title=title, body="There.", channels=(Channel.PUSH,)))
        event = await ada.hears("notification.sent")
        assert event.seq is not None

        async def planned() -> bool:
            return len(await server.node.pool.fetch(push, ada.id)) > before

        await until(planned)
        await server.advance(timedelta(seconds=25))
        assert (await server.node.pool.fetch(push, ada.id))[-1]["state"] == "waiting"
        if title == "heard":
            await acked(server, ada, event.seq, AckState.DELIVERED)
        await server.advance(timedelta(seconds=10))

        async def over() -> bool:
            return (await server.node.pool.fetch(push, ada.id))[-1]["state"] in ("sent", "skipped")

        await until(over)
        row = (await server.node.pool.fetch(push, ada.id))[-1]
        return row["state"], row["reason"]

    assert await pushed("not heard") == ("sent", None)
    assert await pushed("heard") == ("skipped", "delivered_live")


async def test_a_late_delivery_waits_for_the_end_of_quiet_hours_without_an_attempt(server: Site, ada: Person) -> None:
    notification_id, _ = await notified(server, ada)
    now = server.node.clock.now()
    quiet = QuietHours(f"{now - timedelta(hours=2):%H:%M}", f"{now + timedelta(hours=2):%H:%M}")
    await ada.call(SetPreferences(quiet_hours=quiet))

    push = await put(server, ada, notification_id, Channel.PUSH, Unless.SEEN)
    await server.advance(timedelta(0))

    async def held_up() -> bool:
        row = await server.node.pool.fetchrow("SELECT * FROM deliveries WHERE id = $1", push.id)
        assert row is not None
        waits: timedelta = row["due_at"] - now
        return row["reason"] == "quiet" and row["attempts"] == 0 and timedelta(minutes=119) < waits < timedelta(hours=3)

    await until(held_up)
    await server.advance(timedelta(hours=2, minutes=1))
    assert (await outcome(server, push))[0] == "sent"


async def test_an_unwanted_delivery_is_not_sent(server: Site, ada: Person) -> None:
    notification_id, _ = await notified(server, ada)
    await ada.call(SetPreferences(channels={"notification.sent": (Channel.PUSH,)}))

    email = await put(server, ada, notification_id, Channel.EMAIL, Unless.SEEN)

    assert await outcome(server, email) == ("skipped", "not_wanted")


async def test_only_the_newest_inbox_rows_are_searched(server: Site) -> None:
    await server.node.pool.execute(
        "INSERT INTO inbox (user_id, seq, kind, id, version, at)"
        " SELECT md5(u::text)::uuid, s, 'user', md5(s::text)::uuid, s, now()"
        " FROM generate_series(1, 10) u, generate_series(1, 2000) s"
    )
    await server.node.pool.execute("ANALYZE inbox")

    plan = await generic_plan(server.node.pool, _RECEIPTS)

    assert f"(user_id = n.user_id) AND (seq > (c.seq - {LOOK_BACK_MAX}))" in plan
