"""Admins list dead deliveries, without addresses and texts, and replay them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from protocol.delivery.channels import Channel
from protocol.delivery.procedures import ReplayDeliveries, ReplayDelivery
from protocol.delivery.rows import Delivery
from protocol.delivery.terms import ATTEMPTS_MAX, DeliveryState
from protocol.delivery.views import ListDeliveries
from protocol.errors import NotFound
from protocol.ids import DeliveryId
from server.delivery.adapters import TryLater
from server.delivery.worker import WorkerOptions
from storage.database import Pool
from storage.queries.delivery import replay
from tests.support.deliveries import Recorder, delivery, open_worker, queue
from tests.support.faults import until
from tests.support.server import Site


async def dead(pool: Pool, count: int, *, reason: str = "http_500", **said: object) -> list[Delivery]:
    """Dead deliveries, newest first."""
    emails = [delivery(**said) for _ in range(count)]
    await queue(pool, *emails)
    for age, email in enumerate(emails):
        await pool.execute(
            "UPDATE deliveries SET state = 'dead', attempts = 3, unknown_outcomes = 1, reason = $2,"
            " finished_at = clock_timestamp() - make_interval(secs => $3) WHERE id = $1",
            *(email.id, reason, float(age)),
        )
    return emails


async def test_dead_deliveries_are_paged_newest_first(server: Site) -> None:
    emails = await dead(server.node.pool, 5)
    admin = await server.admin()

    seen, cursor = [], None
    while True:
        page = await admin.call(ListDeliveries(limit=2, cursor=cursor))
        seen += [one.id for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == [one.id for one in emails]


async def test_dead_deliveries_are_filtered_by_channel_and_reason(server: Site) -> None:
    pool = server.node.pool
    emails = await dead(pool, 2)
    (other,) = await dead(pool, 1, reason="bad_address")
    (sms,) = await dead(pool, 1, channel=Channel.SMS)
    admin = await server.admin()

    async def ids(**asked: object) -> set[DeliveryId]:
        return {one.id for one in (await admin.call(ListDeliveries(**asked))).items}  # type: ignore[arg-type]

    assert await ids(channel=Channel.SMS) == {sms.id}
    assert await ids(reason="bad_address") == {other.id}
    assert await ids(channel=Channel.EMAIL, reason="http_500") == {one.id for one in emails}
    assert await ids(state=DeliveryState.SENT, reason="http_500") == set()


async def test_neither_address_nor_secret_is_shown(server: Site) -> None:
    (email,) = await dead(server.node.pool, 1, address="new@people.test", secret="4711", template="code.email")
    admin = await server.admin()

    answer = await server.request("GET", "/admin/deliveries/?state=dead&channel=email", admin)

    (item,) = answer.json["items"]
    assert item["id"] == str(email.id)
    assert (item["attempts"], item["unknown_outcomes"], item["reason"]) == (3, 1, "http_500")
    assert b"people.test" not in answer.body
    assert b"4711" not in answer.body


async def test_a_replayed_delivery_is_sent_again(server: Site) -> None:
    person = await server.person()
    (email,) = await dead(
        server.node.pool, 1, user_id=person.id, template="code.email", address="new@people.test", secret="471100"
    )
    admin = await server.admin()

    answer = await server.request("POST", f"/admin/deliveries/{email.id}/replay", admin)

    assert (answer.status, answer.json["state"]) == (200, "waiting")

    async def over() -> bool:
        finished = "SELECT finished_at IS NOT NULL FROM deliveries WHERE id = $1"
        return bool(await server.node.pool.fetchval(finished, email.id))

    await until(over)
    assert await server.node.pool.fetchval("SELECT state FROM deliveries WHERE id = $1", email.id) == "sent"
    arrived = "SELECT message->>'to' FROM development_mailbox WHERE delivery_id = $1"
    assert await server.node.pool.fetchval(arrived, email.id) == "new@people.test"


async def test_a_replay_is_idempotent(server: Site) -> None:
    (email,) = await dead(server.node.pool, 1, due_at=datetime.now(UTC) - timedelta(hours=1))
    later = datetime.now(UTC) + timedelta(days=1)

    first = await replay(server.node.pool, email.id, later)
    second = await replay(server.node.pool, email.id, later + timedelta(hours=1))

    assert first == second
    assert first.due_at == later


async def test_an_unknown_delivery_cannot_be_replayed(server: Site) -> None:
    admin = await server.admin()

    with pytest.raises(NotFound):
        await admin.call(ReplayDelivery(delivery_id=DeliveryId(uuid4())))


async def test_a_selection_is_replayed_and_counted(server: Site) -> None:
    pool = server.node.pool
    await dead(pool, 3)
    await dead(pool, 2, reason="bad_address")
    await dead(pool, 1, channel=Channel.PUSH)
    admin = await server.admin()
    asked = ReplayDeliveries(channel=Channel.EMAIL, reason="http_500", until=datetime.now(UTC) + timedelta(hours=1))

    first = await admin.call(asked)
    second = await admin.call(asked)

    assert (first.count, first.more) == (3, False)
    assert second.count == 0
    assert await pool.fetchval("SELECT count(*) FROM deliveries WHERE state = 'dead'") == 3


async def test_a_delivery_that_died_after_the_limit_is_not_replayed(server: Site) -> None:
    await dead(server.node.pool, 1)
    admin = await server.admin()
    before = datetime.now(UTC) - timedelta(hours=1)

    assert (await admin.call(ReplayDeliveries(channel=Channel.EMAIL, until=before))).count == 0


async def test_a_replay_has_all_attempts_and_the_total_keeps_the_old_ones(pool: Pool) -> None:
    one = delivery()
    await queue(pool, one)
    await pool.execute(
        "UPDATE deliveries SET state = 'dead', attempts = $1, finished_at = clock_timestamp()", ATTEMPTS_MAX
    )
    await replay(pool, one.id, datetime.now(UTC))

    async with open_worker(pool, Recorder(TryLater("http_503")), WorkerOptions(attempts_max=2)):
        await until(lambda: tried(pool, ATTEMPTS_MAX + 1))

    row = await pool.fetchrow("SELECT state, attempts, earlier_attempts FROM deliveries")
    assert row is not None
    assert tuple(row) == ("waiting", ATTEMPTS_MAX + 1, ATTEMPTS_MAX)


async def tried(pool: Pool, attempts: int) -> bool:
    return bool(await pool.fetchval("SELECT state <> 'sending' AND attempts = $1 FROM deliveries", attempts))


async def test_the_list_is_read_by_its_index(pool: Pool) -> None:
    await queue(pool, *[delivery() for _ in range(500)])
    await pool.execute("ANALYZE deliveries")

    plan = await pool.fetch(
        "EXPLAIN SELECT id FROM deliveries WHERE state = 'dead' ORDER BY coalesce(finished_at, due_at) DESC, id DESC"
        " LIMIT 20"
    )

    assert "deliveries_listed" in "\n".join(row[0] for row in plan)
