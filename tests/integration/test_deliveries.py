"""What people are told goes out by its channels: once, late rather than never, and visibly if it cannot (SPEC §7)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from protocol.booking.commands import PayBooking
from protocol.ids import DeliveryId, UserId
from protocol.notification.channels import Channel
from protocol.notification.deliveries import ATTEMPTS_MAX, Delivery
from server.outbound.adapters import Gone, Message, Needless, Outcome, Refused, Sent, TryLater
from server.outbound.courier import BACKOFF_FIRST_S, BACKOFF_MAX_S, Courier, backoff_s
from storage.database import Pool
from storage.deliveries import Leased, Settlement, lease, planning, reclaim, settle
from tests.support.faults import until
from tests.support.server import Site


class Recorder:
    """An adapter that answers as it is told, and keeps what it was given."""

    channel = Channel.EMAIL
    batch_max = 10

    def __init__(self, *answers: Outcome) -> None:
        self.answers = list(answers)
        self.given: list[DeliveryId] = []

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        self.given += [message.id for message in messages]
        return [self.answers.pop(0) if self.answers else Sent() for _ in messages]

    async def check(self) -> str:
        return "fine"

    async def close(self) -> None:
        pass


async def compose(deliveries: Sequence[Leased]) -> dict[DeliveryId, Message | Needless]:
    return {one.id: Message(id=one.id) for one in deliveries}


def delivery(**said: object) -> Delivery:
    now = datetime.now(UTC)
    fields = {
        "id": DeliveryId(uuid4()),
        "user_id": UserId(uuid4()),
        "template": "booking.paid",
        "channel": Channel.EMAIL,
        "due_at": now,
        "at": now,
        **said,
    }
    return Delivery(**fields)  # type: ignore[arg-type]  # a test's own words


async def queue(pool: Pool, *deliveries: Delivery) -> None:
    async with planning(pool) as planned:
        await planned.write(deliveries)


async def settled(pool: Pool, one: Delivery) -> tuple[str, str | None]:
    """Wait until a delivery was tried once more, and is in nobody's hands; gives its state and the reason."""

    async def tried() -> bool:
        done = "SELECT state <> 'sending' AND attempts > $2 FROM deliveries WHERE id = $1"
        return bool(await pool.fetchval(done, one.id, one.attempts))

    await until(tried)
    row = await pool.fetchrow("SELECT state, reason FROM deliveries WHERE id = $1", one.id)
    assert row is not None
    return row["state"], row["reason"]


async def test_what_happens_to_a_booking_goes_out_to_everybody_whom_it_concerns(server: Site) -> None:
    market = await server.market()
    customer = await server.person("Carla Customer")
    booking_id = await server.booked(market, customer)

    await server.captured(await customer.call(PayBooking(booking_id=booking_id)))

    async def sent() -> bool:
        return (
            await server.node.pool.fetchval(
                "SELECT count(*) FROM deliveries WHERE template = 'booking.paid' AND state = 'sent'"
            )
            == 2
        )

    await until(sent)
    letters = await server.node.pool.fetch(
        "SELECT message->>'to' AS to, message->>'subject' AS subject FROM mailbox m"
        " JOIN deliveries d ON d.id = m.delivery_id WHERE d.template = 'booking.paid'"
    )
    assert {letter["to"] for letter in letters} == {market.owner.me.email, market.staff[0].me.email}
    assert {letter["subject"] for letter in letters} == {"New booking"}


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
async def test_what_became_of_an_attempt_is_kept(pool: Pool, answer: Outcome, state: str, reason: str | None) -> None:
    one = delivery(secret="4711")
    await queue(pool, one)
    courier = Courier(Recorder(answer), compose, pool, lambda: datetime.now(UTC), concurrency=1)

    courier.start()
    try:
        assert await settled(pool, one) == (state, reason)
    finally:
        await courier.stop()

    kept = await pool.fetchrow("SELECT provider_id, secret FROM deliveries WHERE id = $1", one.id)
    assert kept is not None
    assert kept["provider_id"] == ("its name" if state == "sent" else None)
    assert (kept["secret"] is None) == (state == "sent")


async def test_what_fails_too_often_is_dead(pool: Pool) -> None:
    one = delivery(attempts=ATTEMPTS_MAX - 1)
    await queue(pool, one)
    courier = Courier(Recorder(TryLater("http_503")), compose, pool, lambda: datetime.now(UTC), concurrency=1)

    courier.start()
    try:
        assert await settled(pool, one) == ("dead", "http_503")
    finally:
        await courier.stop()


async def test_what_is_too_late_is_skipped_and_never_sent(pool: Pool) -> None:
    now = datetime.now(UTC)
    one = delivery(due_at=now - timedelta(hours=2), expires_at=now - timedelta(hours=1))
    await queue(pool, one)
    recorder = Recorder()
    courier = Courier(recorder, compose, pool, lambda: now, concurrency=1)

    courier.start()
    try:
        assert await settled(pool, one) == ("skipped", "expired")
    finally:
        await courier.stop()
    assert recorder.given == []


async def test_critical_ones_go_first(pool: Pool) -> None:
    now = datetime.now(UTC)
    ordinary = delivery(due_at=now - timedelta(hours=1))
    critical = delivery(critical=True, due_at=now - timedelta(seconds=1))
    await queue(pool, ordinary, critical)

    (first,) = await lease(pool, Channel.EMAIL, now, 1)

    assert first.id == critical.id


async def test_two_workers_never_lease_the_same_delivery(pool: Pool) -> None:
    await queue(pool, *[delivery() for _ in range(20)])
    now = datetime.now(UTC)

    first = await lease(pool, Channel.EMAIL, now, 15)
    second = await lease(pool, Channel.EMAIL, now, 15)

    assert (len(first), len(second)) == (15, 5)
    assert not {one.id for one in first} & {one.id for one in second}


async def test_a_lease_that_ran_out_is_taken_back_as_an_unknown_outcome(pool: Pool) -> None:
    one = delivery()
    await queue(pool, one)
    now = datetime.now(UTC)
    await lease(pool, Channel.EMAIL, now, 1)
    assert await reclaim(pool) == 0
    await pool.execute("UPDATE deliveries SET leased_until = now() - interval '1 s'")

    assert await reclaim(pool) == 1

    (again,) = await lease(pool, Channel.EMAIL, now, 1)
    assert (again.attempts, again.unknown_outcomes) == (2, 1)


async def test_a_worker_that_lost_its_lease_can_only_say_that_it_sent(pool: Pool) -> None:
    one = delivery()
    await queue(pool, one)
    now = datetime.now(UTC)
    await lease(pool, Channel.EMAIL, now, 1)
    await pool.execute("UPDATE deliveries SET leased_until = now() - interval '1 s'")
    await reclaim(pool)

    await settle(pool, [Settlement(id=one.id, attempt=1, state="dead", reason="late_news")])  # type: ignore[arg-type]
    assert await pool.fetchval("SELECT state FROM deliveries") == "waiting"
    await settle(pool, [Settlement(id=one.id, attempt=1, state="sent")])  # type: ignore[arg-type]
    assert await pool.fetchval("SELECT state FROM deliveries") == "sent"


@pytest.mark.parametrize("attempts", range(1, ATTEMPTS_MAX + 8))
def test_waits_grow_up_to_a_bound_and_keep_to_what_the_provider_asked_for(attempts: int) -> None:
    longest = min(BACKOFF_FIRST_S * 2 ** (attempts - 1), BACKOFF_MAX_S)

    assert longest / 2 <= backoff_s(attempts, None) <= longest
    assert backoff_s(attempts, 9_000.0) == 9_000.0
