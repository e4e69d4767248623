"""Notifications are delivered by their channels: once, late rather than never, and a failure is visible (rule N-7)."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from protocol.booking.commands import PayBooking
from protocol.delivery.channels import Channel
from protocol.delivery.rows import Delivery
from protocol.delivery.terms import ATTEMPTS_MAX, DeliveryState
from server.delivery.adapters import Gone, Outcome, Refused, Sent, TryLater
from server.delivery.worker import BACKOFF_FIRST_S, BACKOFF_MAX_S, DeliveryWorker, backoff_s
from storage.database import Pool
from storage.deliveries import Leased, Settlement, lease, reclaim, settle
from tests.support.deliveries import Recorder, compose, delivery, queue
from tests.support.faults import until
from tests.support.server import Site


async def settled(pool: Pool, one: Delivery) -> tuple[str, str | None]:
    """Wait until a delivery has one more attempt and no lease; returns its state and reason."""

    async def tried() -> bool:
        done = "SELECT state <> 'sending' AND attempts > $2 FROM deliveries WHERE id = $1"
        return bool(await pool.fetchval(done, one.id, one.attempts))

    await until(tried)
    row = await pool.fetchrow("SELECT state, reason FROM deliveries WHERE id = $1", one.id)
    assert row is not None
    return row["state"], row["reason"]


async def test_the_events_of_a_booking_are_delivered_to_its_parties(server: Site) -> None:
    market = await server.market()
    customer = await server.person("Carla Customer")
    booking_id = await server.booked(market, customer)

    await server.captured(await customer.call(PayBooking(booking_id=booking_id)))

    async def sent() -> bool:
        two = "SELECT count(*) = 2 FROM deliveries WHERE template = 'booking.paid' AND state = 'sent'"
        return bool(await server.node.pool.fetchval(two))

    await until(sent)
    emails = await server.node.pool.fetch(
        "SELECT message->>'to' AS to, message->>'subject' AS subject FROM development_mailbox m"
        " JOIN deliveries d ON d.id = m.delivery_id WHERE d.template = 'booking.paid'"
    )
    assert {email["to"] for email in emails} == {market.owner.me.email, market.staff[0].me.email}
    assert {email["subject"] for email in emails} == {"New booking"}


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (Sent("its name"), "sent", None),
        (TryLater("http_503"), "waiting", "http_503"),
        (Refused("bad_address"), "dead", "bad_address"),
        (Gone("unregistered"), "dead", "unregistered"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_the_outcome_of_an_attempt_is_stored(pool: Pool, answer: Outcome, state: str, reason: str | None) -> None:
    one = delivery(secret="4711")
    await queue(pool, one)
    worker = DeliveryWorker(Recorder(answer), compose, pool, lambda: datetime.now(UTC))

    worker.start()
    try:
        assert await settled(pool, one) == (state, reason)
    finally:
        await worker.stop()

    kept = await pool.fetchrow("SELECT provider_id, secret FROM deliveries WHERE id = $1", one.id)
    assert kept is not None
    assert kept["provider_id"] == ("its name" if state == "sent" else None)
    assert (kept["secret"] is None) == (state == "sent")


async def test_a_delivery_without_attempts_left_is_dead(pool: Pool) -> None:
    one = delivery(attempts=ATTEMPTS_MAX - 1)
    await queue(pool, one)
    worker = DeliveryWorker(Recorder(TryLater("http_503")), compose, pool, lambda: datetime.now(UTC))

    worker.start()
    try:
        assert await settled(pool, one) == ("dead", "http_503")
    finally:
        await worker.stop()


async def test_an_expired_delivery_is_skipped(pool: Pool) -> None:
    now = datetime.now(UTC)
    one = delivery(due_at=now - timedelta(hours=2), expires_at=now - timedelta(hours=1))
    await queue(pool, one)
    recorder = Recorder()
    worker = DeliveryWorker(recorder, compose, pool, lambda: now)

    worker.start()
    try:
        assert await settled(pool, one) == ("skipped", "expired")
    finally:
        await worker.stop()
    assert recorder.given == []


async def take(pool: Pool, limit: int) -> list[Leased]:
    return await lease(pool, Channel.EMAIL, datetime.now(UTC), limit, critical=False, lease_s=60.0)


async def test_two_workers_never_lease_the_same_delivery(pool: Pool) -> None:
    await queue(pool, *[delivery() for _ in range(20)])

    first = await take(pool, 15)
    second = await take(pool, 15)

    assert (len(first), len(second)) == (15, 5)
    assert not {one.id for one in first} & {one.id for one in second}


async def test_an_expired_lease_is_reclaimed_with_an_unknown_outcome(pool: Pool) -> None:
    one = delivery()
    await queue(pool, one)
    await take(pool, 1)
    assert await reclaim(pool, ATTEMPTS_MAX) == []
    await pool.execute("UPDATE deliveries SET leased_until = now() - interval '1 s'")

    assert await reclaim(pool, ATTEMPTS_MAX) == [Channel.EMAIL]

    (again,) = await take(pool, 1)
    assert (again.attempts, again.unknown_outcomes) == (2, 1)


async def test_a_worker_without_its_lease_can_only_report_sent(pool: Pool) -> None:
    await queue(pool, delivery())
    (held,) = await take(pool, 1)
    await pool.execute("UPDATE deliveries SET leased_until = now() - interval '1 s'")
    await reclaim(pool, ATTEMPTS_MAX)
    said = partial(Settlement, id=held.id, leased_until=held.leased_until)

    await settle(pool, [said(state=DeliveryState.DEAD, reason="late_news")])
    assert await pool.fetchval("SELECT state FROM deliveries") == "waiting"
    await settle(pool, [said(state=DeliveryState.SENT)])
    assert await pool.fetchval("SELECT state FROM deliveries") == "sent"


async def test_sent_is_stored_even_if_the_delivery_died_meanwhile(pool: Pool) -> None:
    await queue(pool, delivery())
    (held,) = await take(pool, 1)
    await pool.execute("UPDATE deliveries SET leased_until = now() - interval '1 s'")
    await reclaim(pool, 1)
    assert await pool.fetchval("SELECT state FROM deliveries") == "dead"

    await settle(pool, [Settlement(id=held.id, leased_until=held.leased_until, state=DeliveryState.SENT)])

    assert await pool.fetchval("SELECT state FROM deliveries") == "sent"


async def test_a_delivery_that_was_put_back_counts_no_attempt_and_ends_its_lease(pool: Pool) -> None:
    await queue(pool, delivery())
    (held,) = await take(pool, 1)
    put_back = Settlement(id=held.id, leased_until=held.leased_until, state=DeliveryState.WAITING, tried=False)
    await settle(pool, [put_back])

    (again,) = await take(pool, 1)
    await settle(pool, [put_back])

    assert again.attempts == 1
    assert await pool.fetchval("SELECT state FROM deliveries") == "sending"


@pytest.mark.parametrize("attempts", range(1, ATTEMPTS_MAX + 8))
def test_waits_are_bounded_and_not_shorter_than_the_provider_asked_for(attempts: int) -> None:
    longest = min(BACKOFF_FIRST_S * 2 ** (attempts - 1), BACKOFF_MAX_S)

    assert longest / 2 <= backoff_s(attempts, None) <= longest
    assert backoff_s(attempts, 9_000.0) == 9_000.0
