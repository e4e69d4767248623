"""The delivery worker of one channel: leases due deliveries, composes and sends them, and stores the outcomes.

    deliveries ── lease ──▶ compose ──▶ adapter.send ──▶ settle
        ▲                                                   │
        └────────────── try later, with backoff ◀───────────┘

An attempt is counted before it is made; if the process crashes, its lease expires. While the circuit breaker is open
(``breaker.py``) nothing is leased, so an outage of the provider costs no attempts.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

import structlog
from msgspec import Struct

from protocol.delivery.terms import ATTEMPTS_MAX, DeliveryState
from protocol.ids import DeliveryId
from protocol.rates import Rate
from server.delivery.adapters import Adapter, Gone, Message, Outcome, Refused, Sent, Suppressed, TryLater
from server.edge.breaker import Breaker, BreakerState
from server.edge.token_bucket import TokenBucket
from storage.database import UNWRITABLE, Pool
from storage.deliveries import Leased, Settlement, lease, next_due, settle
from storage.supervision import Supervised, cancel_and_wait

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=Message)

#: The default lease. A worker that holds a delivery longer is considered dead.
LEASE_S = 120
#: How often the queue is polled without a wake-up.
POLL_EVERY_S = 30.0
#: The wait after the database failed.
OUTAGE_WAIT_S = 2.0
#: The wait before a delivery that could not be composed is leased again.
PUT_BACK_S = 5.0
#: A channel with a rate leases again when it may send this many seconds' worth of messages.
RATE_ROUND_S = 0.25
#: How long a stop waits for a lease in progress; after that the lease expires.
ROUND_MAX_S = 5.0
#: How long a stop waits for the outcomes of cancelled batches to be stored.
SETTLE_MAX_S = 5.0
#: The shortest wait between two polls.
ROUND_MIN_S = 0.01
#: The wait after the first failed attempt, doubled with each further one up to the maximum; half of it is random.
BACKOFF_FIRST_S = 10.0
BACKOFF_MAX_S = 3600.0
#: The longest wait that a provider may ask for.
BACKOFF_ASKED_MAX_S = 24 * 3600.0
#: Waits between attempts to store outcomes while the database is down.
SETTLE_RETRY_FIRST_S = 0.2
SETTLE_RETRY_MAX_S = 5.0


class WorkerOptions(Struct, frozen=True, kw_only=True):
    """How a worker serves its channel."""

    #: Batches sent at once. One more slot is reserved for critical deliveries, so that no backlog delays them.
    concurrency: int = 4
    #: Messages a second; None: unlimited.
    rate: Rate | None = None
    attempts_max: int = ATTEMPTS_MAX
    #: A quarter is for composing a batch, half for sending it, the rest for storing the outcomes.
    lease_s: float = LEASE_S


DEFAULT_OPTIONS = WorkerOptions()


class NotAttempted(Struct, frozen=True):
    """Nothing was sent: the delivery is put back, and the attempt is not counted."""

    reason: str
    after_s: float = 0.0


#: Returns each delivery's message, or why there is none. Deliveries to erased users are left out.
Compose = Callable[[Sequence[Leased]], Awaitable[Mapping[DeliveryId, M | Suppressed | NotAttempted | TryLater]]]
#: Receives each attempt's outcome.
Observe = Callable[[Leased, Outcome], None]


class DeliveryWorker(Generic[M]):
    """Sends the due deliveries of one channel.

    Args:
        compose: makes messages; a delivery that it leaves out has no recipient any more.
        now: the domain's clock.
        gone: receives deliveries whose address does not exist any more.
        observe: receives each attempt's outcome after it was stored.
        monotonic: seconds of a monotonic clock, for the breaker and the rate.
    """

    def __init__(
        self,
        adapter: Adapter[M],
        compose: Compose[M],
        pool: Pool,
        now: Callable[[], datetime],
        options: WorkerOptions = DEFAULT_OPTIONS,
        *,
        gone: Callable[[Leased], Awaitable[None]] | None = None,
        observe: Observe | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.channel = adapter.channel
        self.breaker = Breaker(monotonic)
        self._adapter = adapter
        self._compose = compose
        self._pool = pool
        self._now = now
        self._options = options
        self._gone = gone
        self._observe = observe
        self._monotonic = monotonic
        self._bucket = None if options.rate is None else TokenBucket(options.rate)
        self._woken = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        #: The timeouts of batches being composed or sent.
        self._timeouts: set[asyncio.Timeout] = set()
        self._stopping = False
        self._cancelled = asyncio.Event()
        self.task = Supervised(f"delivery worker {self.channel}", self._run)

    def start(self) -> None:
        """Start leasing."""
        self.task.start()

    async def stop(self, grace_s: float = 0.0) -> None:
        """Stop leasing, let batches finish within the grace period, then cancel them; outcomes are stored."""
        self._stopping = True
        self._woken.set()
        await self.task.wait(ROUND_MAX_S)
        await self.task.stop()
        if self._sending:
            await asyncio.wait(self._sending, timeout=grace_s)
        self._cancelled.set()
        for timeout in self._timeouts:
            if not timeout.expired():
                timeout.reschedule(asyncio.get_running_loop().time())
        if self._sending:
            await asyncio.wait(self._sending, timeout=SETTLE_MAX_S)
            await cancel_and_wait(*self._sending)
        await self._adapter.close()

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._woken.set()

    # Leasing

    async def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            try:
                wait_s = await self._round()
            except Exception as error:
                about = {"channel": self.channel, "error": repr(error), "exc_info": not isinstance(error, UNWRITABLE)}
                log.warning("delivery.postponed", action="retry", **about)
                wait_s = OUTAGE_WAIT_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), min(max(wait_s, ROUND_MIN_S), POLL_EVERY_S))

    async def _round(self) -> float:
        """Lease and start what may be sent; returns the wait in seconds until the next round."""
        waits_s = []
        for critical in (True, False):
            if (closed_s := self.breaker.wait_s) > 0.0:
                return closed_s
            limit = self._limit(critical)
            leased = await self._lease(limit, critical) if limit > 0 else []
            waits_s.append(self._wait_s(critical) if len(leased) == limit else await self._next_due_s(critical))
        return min(waits_s)

    def _free_slots(self, critical: bool) -> int:
        """Batches that may be started now."""
        return max(0, self._options.concurrency + critical - len(self._sending))

    def _limit(self, critical: bool) -> int:
        """Messages that may be leased now."""
        limit = self._free_slots(critical) * self._adapter.batch_max
        if self._bucket is not None:
            limit = min(limit, self._bucket.room(self._monotonic()))
        return min(limit, 1) if self.breaker.state is BreakerState.HALF_OPEN else limit

    async def _lease(self, limit: int, critical: bool) -> Sequence[Leased]:
        leased = await lease(
            self._pool, self.channel, self._now(), limit, critical=critical, lease_s=float(self._options.lease_s)
        )
        if self._bucket is not None:
            self._bucket.take(self._monotonic(), len(leased))
        for start in range(0, len(leased), self._adapter.batch_max):
            batch = leased[start : start + self._adapter.batch_max]
            generation = self.breaker.begin()
            task = asyncio.get_running_loop().create_task(self._send(batch, generation), name=f"send {self.channel}")
            self._sending.add(task)
            task.add_done_callback(self._finished)
        return leased

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._woken.set()

    def _wait_s(self, critical: bool) -> float:
        """Seconds until more may be leased. A batch that finishes wakes the worker."""
        if self._bucket is None or self._free_slots(critical) == 0:
            return math.inf
        rate = self._options.rate
        assert rate is not None
        return self._bucket.wait_s(self._monotonic(), max(1, min(rate.burst, round(rate.per_s * RATE_ROUND_S))))

    async def _next_due_s(self, critical: bool) -> float:
        """Seconds until the next delivery is due."""
        due_at = await next_due(self._pool, self.channel, critical=critical)
        return math.inf if due_at is None else (due_at - self._now()).total_seconds()

    # Sending

    async def _send(self, batch: Sequence[Leased], generation: int) -> None:
        """Compose, send and settle one batch. Never raises."""
        try:
            try:
                outcomes = await self._outcomes(batch, generation)
            finally:
                self.breaker.dropped(generation)  # no effect after a verdict
            if await self._settle([self._settlement(one, outcomes[one.id]) for one in batch]):
                for one in batch:
                    await self._report(one, outcomes[one.id])
        except Exception as error:
            log.exception("delivery.crashed", action="lease_expires", channel=self.channel, error=repr(error))

    async def _outcomes(self, batch: Sequence[Leased], generation: int) -> Mapping[DeliveryId, Outcome | NotAttempted]:
        """Compose and send a batch; returns each delivery's outcome."""
        if not self.breaker.admits(generation):  # it opened during the lease
            return dict.fromkeys([one.id for one in batch], NotAttempted("provider_down"))
        now = self._now()
        outcomes: dict[DeliveryId, Outcome | NotAttempted] = {one.id: Suppressed("nobody_there") for one in batch}
        expired = {one.id for one in batch if one.expires_at is not None and one.expires_at <= now}
        outcomes |= dict.fromkeys(expired, Suppressed("expired"))
        current = [one for one in batch if one.id not in expired]
        try:
            async with self._timeout(self._options.lease_s / 4):
                composed = await self._compose(current) if current else {}
        except UNWRITABLE as error:  # includes the timeout
            log.warning("delivery.postponed", action="put_back", channel=self.channel, error=repr(error))
            return outcomes | {one.id: NotAttempted("database", PUT_BACK_S) for one in current}
        except Exception as error:
            log.exception("delivery.crashed", action="try_later", channel=self.channel, error=repr(error))
            return outcomes | {one.id: TryLater("internal") for one in current}
        messages: list[M] = []
        for delivery_id, one in composed.items():
            if isinstance(one, Suppressed | NotAttempted | TryLater):
                outcomes[delivery_id] = one
            else:
                messages.append(one)
        if messages:
            outcomes |= await self._send_messages(messages, generation)
        return outcomes

    async def _send_messages(
        self, messages: Sequence[M], generation: int
    ) -> Mapping[DeliveryId, Outcome | NotAttempted]:
        ids = [message.id for message in messages]
        if self._cancelled.is_set() or not self.breaker.admits(generation):
            return dict.fromkeys(ids, NotAttempted("stopped" if self._cancelled.is_set() else "provider_down"))
        try:
            async with self._timeout(self._options.lease_s / 2):
                outcomes = dict(zip(ids, await self._adapter.send(messages), strict=True))
        except TimeoutError:
            if self._cancelled.is_set():
                return dict.fromkeys(ids, TryLater("stopped", unknown=True))
            outcomes = dict.fromkeys(ids, TryLater("timeout", unknown=True))
        except Exception as error:
            log.exception("delivery.adapter_crashed", action="try_later", channel=self.channel, error=repr(error))
            outcomes = dict.fromkeys(ids, TryLater("internal", unknown=True))
        self._update_breaker(list(outcomes.values()), generation)
        return outcomes

    def _update_breaker(self, outcomes: Sequence[Outcome], generation: int) -> None:
        """Record a batch as the provider's success or failure; suppressed messages never reached the provider."""
        attempted = [one for one in outcomes if not isinstance(one, Suppressed)]
        if not attempted:
            return
        failed = [one for one in attempted if isinstance(one, TryLater) and not one.recipient_specific]
        asked_s = max((one.after_s or 0.0 for one in failed), default=0.0)
        if asked_s > 0.0:
            self.breaker.pause(asked_s)
        before = self.breaker.state
        if len(failed) < len(attempted):
            self.breaker.succeeded()
        else:
            self.breaker.failed(generation)
        if (after := self.breaker.state) is not before:
            reason = failed[0].reason if failed else None
            log.warning("delivery.breaker", action=after, channel=self.channel, reason=reason)

    @asynccontextmanager
    async def _timeout(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError after this time, or when a stop cancels the batch."""
        async with asyncio.timeout(0.0 if self._cancelled.is_set() else seconds) as timeout:
            self._timeouts.add(timeout)
            try:
                yield
            finally:
                self._timeouts.discard(timeout)

    # Settling

    async def _settle(self, settlements: Sequence[Settlement]) -> bool:
        """Store outcomes, retrying while the database is down: a delivery without its outcome would be sent again."""
        wait_s, until_s = SETTLE_RETRY_FIRST_S, self._monotonic() + self._options.lease_s
        while True:
            try:
                await settle(self._pool, settlements)
                return True
            except Exception as error:
                about = {"channel": self.channel, "deliveries": len(settlements), "error": repr(error)}
                if self._cancelled.is_set() or self._monotonic() + wait_s > until_s:
                    log.error("delivery.not_settled", action="leases_expire", **about)
                    return False
                log.warning("delivery.not_settled", action="retry", **about)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, SETTLE_RETRY_MAX_S)

    async def _report(self, one: Leased, outcome: Outcome | NotAttempted) -> None:
        if isinstance(outcome, NotAttempted):
            return
        if self._observe is not None:
            self._observe(one, outcome)
        if isinstance(outcome, Gone) and self._gone is not None:
            try:
                await self._gone(one)
            except Exception as error:  # the next message to this address returns Gone again
                log.error("delivery.address_not_forgotten", channel=self.channel, error=repr(error))

    def _settlement(self, one: Leased, outcome: Outcome | NotAttempted) -> Settlement:
        """The stored form of one attempt's outcome."""
        tries = one.attempts - one.earlier_attempts
        settlement = partial(Settlement, id=one.id, leased_until=one.leased_until)
        match outcome:
            case Sent():
                return settlement(state=DeliveryState.SENT, provider_id=outcome.provider_id)
            case NotAttempted(reason, after_s):
                due_at = self._now() + timedelta(seconds=after_s) if after_s else None
                return settlement(state=DeliveryState.WAITING, reason=reason, due_at=due_at, tried=False)
            case TryLater(reason, after_s, unknown):
                if tries >= self._options.attempts_max:
                    return settlement(state=DeliveryState.DEAD, reason=reason, unknown=unknown)
                due_at = self._now() + timedelta(seconds=backoff_s(tries, after_s))
                return settlement(state=DeliveryState.WAITING, reason=reason, due_at=due_at, unknown=unknown)
            case Refused(reason) | Gone(reason):
                return settlement(state=DeliveryState.DEAD, reason=reason)
            case Suppressed(reason):
                return settlement(state=DeliveryState.SKIPPED, reason=reason)


def backoff_s(attempts: int, after_s: float | None) -> float:
    """Seconds to wait after this many attempts; at least what the provider asked for."""
    longest = min(BACKOFF_FIRST_S * 2.0 ** (attempts - 1), BACKOFF_MAX_S)
    return max(longest * random.uniform(0.5, 1.0), min(after_s or 0.0, BACKOFF_ASKED_MAX_S))
