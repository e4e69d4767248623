"""Deliveries are counted on /metrics, and old ones are deleted."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from protocol.delivery.channels import Channel
from server.delivery import metrics as module
from server.delivery.adapters import Gone, Refused, Sent, TryLater
from server.delivery.metrics import DeliveryMetrics
from server.delivery.worker import WorkerOptions
from server.edge.job import Daily
from server.ops.config import RetentionConfig
from server.ops.retention import retention_jobs
from storage.database import Pool
from storage.deliveries import keep_in_mailbox
from tests.support.deliveries import Recorder, delivery, open_worker, queue
from tests.support.faults import until

NIGHTLY = Daily(datetime(2026, 1, 1, 3, 17).time())


def lines(metrics: DeliveryMetrics) -> set[str]:
    registry = CollectorRegistry()
    registry.register(metrics)
    return set(generate_latest(registry).decode().splitlines())


def now() -> datetime:
    return datetime.now(UTC)


async def test_outcomes_are_counted_by_channel_and_reason(pool: Pool) -> None:
    await queue(pool, *[delivery(due_at=now() - timedelta(seconds=4 - nth)) for nth in range(4)])
    recorder = Recorder(Sent(), TryLater("timeout", unknown=True), Refused("bad_address"), Gone("unregistered"))
    metrics = DeliveryMetrics(pool, {}, now)

    async with open_worker(pool, recorder, WorkerOptions(), observe=metrics.finished):
        await until(lambda: none_sending(pool))

    said = lines(metrics)
    for outcome, reason in (("sent", ""), ("later", "timeout"), ("refused", "bad_address"), ("gone", "unregistered")):
        labels = f'channel="email",outcome="{outcome}",reason="{reason}"'
        assert f"guildwire_delivery_attempts_total{{{labels}}} 1.0" in said
    assert 'guildwire_delivery_unknown_outcomes_total{channel="email"} 1.0' in said
    assert 'guildwire_delivery_seconds_count{channel="email"} 1.0' in said
    assert 'guildwire_delivery_seconds_bucket{channel="email",le="2.5"} 0.0' in said
    assert 'guildwire_delivery_tries_bucket{channel="email",le="1"} 1.0' in said


async def none_sending(pool: Pool) -> bool:
    fresh = "SELECT count(*) FROM deliveries WHERE state = 'sending' OR attempts = 0"
    return not await pool.fetchval(fresh)


async def test_the_queue_is_counted_by_channel_and_state(pool: Pool) -> None:
    await queue(pool, delivery(due_at=now() - timedelta(hours=1)), delivery(), delivery(channel=Channel.SMS))
    await pool.execute(
        "UPDATE deliveries SET state = 'dead', finished_at = clock_timestamp() WHERE channel = 'sms'",
    )
    metrics = DeliveryMetrics(pool, {}, now)

    await metrics.refresh()

    said = lines(metrics)
    assert 'guildwire_deliveries{channel="email",state="waiting"} 2.0' in said
    assert 'guildwire_deliveries{channel="sms",state="dead"} 1.0' in said
    (overdue,) = [line for line in said if line.startswith('guildwire_deliveries_overdue_seconds{channel="email"}')]
    assert 3600 <= float(overdue.split()[-1]) < 3700


async def test_the_number_of_reasons_is_bounded(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REASONS_MAX", 2)
    metrics = DeliveryMetrics(pool, {}, now)
    leased = SimpleNamespace(channel=Channel.EMAIL, attempts=1, due_at=None)

    for nth in range(5):
        metrics.finished(leased, Refused(f"code_{nth}"))  # type: ignore[arg-type]

    assert 'guildwire_delivery_attempts_total{channel="email",outcome="refused",reason="other"} 3.0' in lines(metrics)


async def run(pool: Pool, name: str, at: datetime, **keep: int) -> int:
    (job,) = [job for job in retention_jobs(pool, NIGHTLY, RetentionConfig(**keep)) if job.name == name]
    return (await job.run(at))["rows"]


async def test_old_final_deliveries_are_deleted_and_waiting_ones_are_not(pool: Pool) -> None:
    sent, dead, waiting = delivery(), delivery(), delivery(due_at=now() - timedelta(days=60))
    await queue(pool, sent, dead, waiting)
    over = "UPDATE deliveries SET state = $2, finished_at = clock_timestamp() WHERE id = $1"
    await pool.execute(over, sent.id, "sent")
    await pool.execute(over, dead.id, "dead")

    assert await run(pool, "forget_deliveries", now() + timedelta(days=29), deliveries_days=30) == 0
    assert await run(pool, "forget_deliveries", now() + timedelta(days=31), deliveries_days=30) == 2

    assert await pool.fetchval("SELECT id FROM deliveries") == waiting.id


async def test_old_mailbox_messages_are_deleted(pool: Pool) -> None:
    await keep_in_mailbox(pool, Channel.EMAIL, delivery().id, now(), b"{}")

    assert await run(pool, "empty_mailbox", now() + timedelta(days=29), deliveries_days=30) == 0
    assert await run(pool, "empty_mailbox", now() + timedelta(days=31), deliveries_days=30) == 1


async def test_codes_of_expired_dead_deliveries_are_erased(pool: Pool) -> None:
    late = delivery(secret="4711", address="new@people.test", expires_at=now() - timedelta(minutes=1))
    early = delivery(secret="4712", expires_at=now() + timedelta(hours=1))
    await queue(pool, late, early)
    await pool.execute("UPDATE deliveries SET state = 'dead', finished_at = clock_timestamp()")

    assert await run(pool, "forget_secrets", now()) == 1

    rows = await pool.fetch("SELECT id, secret, address FROM deliveries")
    kept = {row["id"]: (row["secret"], row["address"]) for row in rows}
    assert kept == {late.id: (None, None), early.id: ("4712", None)}
