"""Delivery workers: priority, failing providers, stops and outages of the database."""

import asyncio
from collections.abc import MutableMapping, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from structlog.testing import capture_logs

from protocol.delivery.channels import Channel
from protocol.ids import DeliveryId
from protocol.rates import Rate
from server.delivery import worker as module
from server.delivery.adapters import Message, Outcome, Sent, Suppressed, TryLater
from server.delivery.worker import DeliveryWorker, WorkerOptions
from server.edge.breaker import FAILURES_MAX, BreakerState
from storage import deliveries
from storage.database import Pool
from storage.deliveries import Leased
from tests.support.deliveries import Recorder, delivery, open_worker, queue
from tests.support.faults import until

DOWN = TryLater("http_503")


class Leases:
    """Counts how often a worker leases."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr(module, "lease", self._lease)

    async def _lease(self, *arguments: object, **options: object) -> list[Leased]:
        self.count += 1
        return await deliveries.lease(*arguments, **options)  # type: ignore[arg-type]

    async def behind_a_call(self, worker: DeliveryWorker[Message]) -> int:
        """Wake a worker; returns how often it leased."""
        before = self.count
        worker.wake()
        for _ in range(50):  # it polls at once
            await asyncio.sleep(0)
        return self.count - before


async def state(pool: Pool, one: object) -> str:
    return str(await pool.fetchval("SELECT state FROM deliveries WHERE id = $1", one.id))  # type: ignore[attr-defined]


async def test_critical_deliveries_are_sent_first(pool: Pool) -> None:
    now = datetime.now(UTC)
    ordinary = delivery(due_at=now - timedelta(hours=1))
    critical = delivery(critical=True, due_at=now - timedelta(seconds=1))
    await queue(pool, ordinary, critical)
    recorder = Recorder()

    async with open_worker(pool, recorder):
        await until(lambda: given(recorder, 2))

    assert recorder.given == [critical.id, ordinary.id]


async def given(recorder: Recorder, count: int) -> bool:
    return len(recorder.given) >= count


async def test_a_hanging_backlog_does_not_delay_critical_deliveries(pool: Pool) -> None:
    await queue(pool, *[delivery() for _ in range(40)])
    recorder = Recorder()
    recorder.free.clear()

    async with open_worker(pool, recorder, WorkerOptions(concurrency=2)) as worker:
        await until(lambda: given(recorder, 20))
        critical = delivery(critical=True)
        await queue(pool, critical)
        worker.wake()
        await until(lambda: given(recorder, 21))

    assert recorder.given[20] == critical.id


async def test_a_hanging_provider_delays_no_other_channel(pool: Pool) -> None:
    class Texts(Recorder):
        channel = Channel.SMS

    text = delivery(channel=Channel.SMS)
    await queue(pool, *[delivery() for _ in range(100)], text)
    hanging, texts = Recorder(), Texts()
    hanging.free.clear()

    async with open_worker(pool, hanging), open_worker(pool, texts):
        await until(lambda: given(hanging, 40))
        await until(lambda: is_sent(pool, text))

    assert texts.given == [text.id]


async def test_no_more_is_leased_than_can_be_sent_at_once(pool: Pool) -> None:
    await queue(pool, *[delivery() for _ in range(40)])
    recorder = Recorder()
    recorder.free.clear()

    async with open_worker(pool, recorder, WorkerOptions(concurrency=2)) as worker:
        await until(lambda: given(recorder, 20))
        worker.wake()
        assert await pool.fetchval("SELECT count(*) FROM deliveries WHERE state = 'sending'") == 20


async def test_while_the_breaker_is_open_nothing_is_leased_and_no_attempt_counts(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = Leases(monkeypatch)
    waiting = [delivery(due_at=datetime.now(UTC) - timedelta(seconds=60 - nth)) for nth in range(10 * FAILURES_MAX + 7)]
    await queue(pool, *waiting)
    recorder = Recorder(*[DOWN] * 1000)

    async with open_worker(pool, recorder, WorkerOptions(concurrency=1)) as worker:
        await until(lambda: is_state(worker, BreakerState.OPEN))
        await until(lambda: none_sending(pool))
        assert await leases.behind_a_call(worker) == 0
        tried = await pool.fetchval("SELECT count(*) FROM deliveries WHERE attempts > 0")
        fresh = await pool.fetchval("SELECT count(*) FROM deliveries WHERE attempts = 0 AND state = 'waiting'")

    assert (tried, fresh) == (10 * FAILURES_MAX, 7)
    assert len(recorder.given) == 10 * FAILURES_MAX


async def is_state(worker: DeliveryWorker[Message], wanted: BreakerState) -> bool:
    return worker.breaker.state is wanted


async def none_sending(pool: Pool) -> bool:
    return not await pool.fetchval("SELECT count(*) FROM deliveries WHERE state = 'sending'")


async def test_deliveries_leased_while_the_breaker_opened_are_put_back(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, truly = Recorder(), deliveries.lease

    async with open_worker(pool, recorder) as worker:

        async def lease(*arguments: object, **options: object) -> list[Leased]:
            leased = await truly(*arguments, **options)  # type: ignore[arg-type]
            while leased and worker.breaker.state is BreakerState.CLOSED:
                worker.breaker.failed(worker.breaker.begin())
            return leased

        monkeypatch.setattr(module, "lease", lease)
        await queue(pool, *[delivery() for _ in range(20)])
        worker.wake()
        await until(lambda: is_state(worker, BreakerState.OPEN))
        await until(lambda: none_sending(pool))

    assert recorder.given == []
    assert await pool.fetchval("SELECT max(attempts) FROM deliveries") == 0


async def test_a_recovered_provider_is_probed_with_one_message_and_then_gets_all(pool: Pool) -> None:
    await queue(pool, *[delivery() for _ in range(10 * FAILURES_MAX + 30)])
    recorder = Recorder(*[DOWN] * 10 * FAILURES_MAX)
    moved = [0.0]

    def monotonic() -> float:
        return asyncio.get_running_loop().time() + moved[0]

    async with open_worker(pool, recorder, WorkerOptions(concurrency=1), monotonic=monotonic) as worker:
        await until(lambda: is_state(worker, BreakerState.OPEN))
        moved[0] = 60.0
        worker.wake()
        await until(lambda: given(recorder, 10 * FAILURES_MAX + 30))

    assert recorder.batches[FAILURES_MAX] == 1
    assert worker.breaker.state is BreakerState.CLOSED


async def test_recipient_specific_failures_do_not_open_the_breaker(pool: Pool) -> None:
    await queue(pool, *[delivery() for _ in range(10 * FAILURES_MAX + 7)])
    recorder = Recorder(*[TryLater("smtp_450", recipient_specific=True)] * 1000)

    async with open_worker(pool, recorder, WorkerOptions(concurrency=1)) as worker:
        await until(lambda: given(recorder, 10 * FAILURES_MAX + 7))
        await until(lambda: none_sending(pool))

    assert worker.breaker.state is BreakerState.CLOSED


async def test_suppressed_messages_do_not_hide_that_a_provider_is_down(pool: Pool) -> None:
    await queue(pool, *[delivery() for _ in range(10 * FAILURES_MAX)])
    batch: list[Outcome] = [Suppressed("device_forgotten"), *[DOWN] * 9]
    recorder = Recorder(*batch * FAILURES_MAX)

    async with open_worker(pool, recorder, WorkerOptions(concurrency=1)) as worker:
        await until(lambda: is_state(worker, BreakerState.OPEN))


async def test_a_provider_that_asks_for_a_pause_gets_nothing_meanwhile(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = Leases(monkeypatch)
    await queue(pool, *[delivery() for _ in range(15)])
    recorder = Recorder(*[TryLater("http_429", after_s=120.0)] * 10)

    async with open_worker(pool, recorder, WorkerOptions(concurrency=1)) as worker:
        await until(lambda: given(recorder, 10))
        await until(lambda: none_sending(pool))
        assert await leases.behind_a_call(worker) == 0
        assert worker.breaker.wait_s > 100

    assert len(recorder.given) == 10
    assert await pool.fetchval("SELECT count(*) FROM deliveries WHERE attempts = 0") == 5


async def test_a_channel_keeps_to_its_rate(pool: Pool) -> None:
    await queue(pool, *[delivery() for _ in range(30)])
    recorder, moved = Recorder(), [0.0]

    async with open_worker(pool, recorder, WorkerOptions(rate=Rate(1.0, 5)), monotonic=lambda: moved[0]) as worker:
        await until(lambda: given(recorder, 5))
        await until(lambda: none_sending(pool))
        assert len(recorder.given) == 5
        moved[0] = 3.0
        worker.wake()
        await until(lambda: given(recorder, 8))
        await until(lambda: none_sending(pool))

    assert len(recorder.given) == 8


async def test_a_batch_that_a_stop_cancels_has_an_unknown_outcome(pool: Pool) -> None:
    one = delivery()
    await queue(pool, one)
    recorder = Recorder()
    recorder.free.clear()

    async with open_worker(pool, recorder):
        await until(lambda: given(recorder, 1))

    row = await pool.fetchrow("SELECT state, reason, attempts, unknown_outcomes FROM deliveries")
    assert row is not None
    assert tuple(row) == ("waiting", "stopped", 1, 1)


async def test_a_stop_lets_running_batches_finish(pool: Pool) -> None:
    one = delivery()
    await queue(pool, one)
    recorder = Recorder()
    recorder.free.clear()

    async with open_worker(pool, recorder) as worker:
        await until(lambda: given(recorder, 1))
        stopping = asyncio.create_task(worker.stop(grace_s=30.0))
        await asyncio.sleep(0)
        recorder.free.set()
        await stopping

    assert await state(pool, one) == "sent"


@pytest.mark.parametrize("outage", [asyncpg.InterfaceError("gone"), asyncpg.ReadOnlySQLTransactionError("read only")])
async def test_a_delivery_that_an_outage_kept_from_composing_is_put_back_uncounted(
    pool: Pool, outage: Exception
) -> None:
    one = delivery()
    await queue(pool, one)
    composing = asyncio.Event()

    async def fail(leased: Sequence[Leased]) -> dict[DeliveryId, Message | Suppressed | TryLater]:
        composing.set()
        raise outage

    recorder = Recorder()
    worker: DeliveryWorker[Message] = DeliveryWorker(recorder, fail, pool, lambda: datetime.now(UTC))
    worker.start()
    await composing.wait()
    await until(lambda: none_sending(pool))
    await worker.stop()

    row = await pool.fetchrow("SELECT state, reason, attempts, unknown_outcomes FROM deliveries")
    assert row is not None
    assert tuple(row) == ("waiting", "database", 0, 0)
    assert recorder.given == []


async def test_an_outage_while_outcomes_are_stored_causes_no_duplicate(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = delivery()
    await queue(pool, one)
    truly, failures = deliveries.settle, [asyncpg.InterfaceError("gone")] * 3

    async def settle(*arguments: object) -> None:
        if failures:
            raise failures.pop()
        await truly(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "settle", settle)
    recorder = Recorder()

    async with open_worker(pool, recorder):
        await until(lambda: is_sent(pool, one))

    assert recorder.given == [one.id]


class NotNoted:
    """A database that stores no outcome; each attempt lets some seconds pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, takes_s: float) -> None:
        self.tries = 0
        self._takes_s = takes_s
        monkeypatch.setattr(module, "settle", self._settle)

    async def _settle(self, *arguments: object) -> None:
        self.tries += 1
        raise asyncpg.InterfaceError("gone")

    def monotonic(self) -> float:
        return self.tries * self._takes_s

    async def tried(self) -> bool:
        return self.tries > 0


def gave_up(logs: Sequence[MutableMapping[str, object]]) -> bool:
    return ("delivery.not_settled", "leases_expire") in [(line["event"], line["action"]) for line in logs]


async def test_an_outcome_that_cannot_be_stored_before_the_lease_ends_is_left_to_it(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue(pool, delivery())
    database = NotNoted(monkeypatch, takes_s=100.0)

    async def over() -> bool:
        return gave_up(logs)

    with capture_logs() as logs:
        async with open_worker(pool, Recorder(), WorkerOptions(lease_s=60), monotonic=database.monotonic):
            await until(over)
            assert database.tries == 1

    assert await pool.fetchval("SELECT state FROM deliveries") == "sending"


async def test_an_outcome_that_cannot_be_stored_at_a_stop_is_left_to_the_lease(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue(pool, delivery())
    database = NotNoted(monkeypatch, takes_s=0.0)

    with capture_logs() as logs:
        async with open_worker(pool, Recorder(), WorkerOptions(lease_s=60), monotonic=database.monotonic):
            await until(database.tried)
            assert not gave_up(logs)

    assert gave_up(logs)
    assert await pool.fetchval("SELECT state FROM deliveries") == "sending"


async def is_sent(pool: Pool, one: object) -> bool:
    return await state(pool, one) == "sent"


async def test_a_malformed_result_of_an_adapter_counts_as_unknown(pool: Pool) -> None:
    await queue(pool, delivery())

    class Short(Recorder):
        async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
            self.given += [message.id for message in messages]
            return [Sent(), Sent()]

    recorder = Short()
    async with open_worker(pool, recorder):
        await until(lambda: given(recorder, 1))
        await until(lambda: none_sending(pool))

    row = await pool.fetchrow("SELECT state, reason, unknown_outcomes FROM deliveries")
    assert row is not None
    assert tuple(row) == ("waiting", "internal", 1)


async def test_a_provider_that_does_not_respond_is_abandoned_in_time(pool: Pool) -> None:
    await queue(pool, delivery())
    recorder = Recorder()
    recorder.free.clear()

    async with open_worker(pool, recorder, WorkerOptions(lease_s=0.2)):
        await until(lambda: given(recorder, 1))
        await until(lambda: none_sending(pool))
        row = await pool.fetchrow("SELECT state, reason, unknown_outcomes FROM deliveries")

    assert row is not None
    assert tuple(row) == ("waiting", "timeout", 1)


async def test_a_crash_between_two_rounds_does_not_end_the_worker(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    truly, failures = deliveries.lease, [ValueError("a bug")]

    async def lease(*arguments: object, **options: object) -> list[Leased]:
        if failures:
            raise failures.pop()
        return await truly(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "lease", lease)
    one = delivery()
    await queue(pool, one)

    async with open_worker(pool, Recorder()):
        await until(lambda: is_sent(pool, one))
