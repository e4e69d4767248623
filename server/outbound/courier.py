"""The worker of one channel: takes what is due, has it composed, lets the adapter send it, and notes what became of it.

    deliveries ── lease ──▶ compose ──▶ adapter.send ──▶ settle
        ▲                                                   │
        └────────────── try later, with backoff ◀───────────┘

An attempt is noted before it is made, so what a crash interrupts is known by its lease that runs out.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import structlog

from protocol.ids import DeliveryId
from protocol.notification.deliveries import ATTEMPTS_MAX, DeliveryState
from server.outbound.adapters import Adapter, Gone, Message, Needless, Outcome, Refused, Sent, TryLater
from storage.database import OUTAGES, Pool
from storage.deliveries import LEASE_S, Leased, Settlement, lease, next_due, settle

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=Message)

#: What is due is looked for this often, even if nobody calls.
LOOK_EVERY_S = 30.0
#: How long an adapter may take for one batch; well within its lease.
SEND_TIMEOUT_S = LEASE_S / 2
#: The wait after a first failed attempt, doubled with each further one, and at most; half of it is left to chance.
BACKOFF_FIRST_S = 10.0
BACKOFF_MAX_S = 3600.0

#: Gives each delivery its message, or why there is none.
Compose = Callable[[Sequence[Leased]], Awaitable[Mapping[DeliveryId, M | Needless]]]


class Courier(Generic[M]):
    """Sends what is due on one channel.

    Args:
        compose: makes messages; a delivery that it leaves out has nobody to go to.
        now: the domain's clock.
        concurrency: batches under way at once.
        gone: told of deliveries whose address is no more.
    """

    def __init__(
        self,
        adapter: Adapter[M],
        compose: Compose[M],
        pool: Pool,
        now: Callable[[], datetime],
        *,
        concurrency: int,
        gone: Callable[[Leased], Awaitable[None]] | None = None,
    ) -> None:
        self.channel = adapter.channel
        self._adapter = adapter
        self._compose = compose
        self._pool = pool
        self._now = now
        self._concurrency = concurrency
        self._gone = gone
        self._called = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go to work."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"courier {self.channel}")

    async def stop(self) -> None:
        """Stop taking; what is under way may finish within the adapter's own time, and is noted."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._adapter.close()

    def call(self) -> None:
        """There is something to do."""
        self._called.set()

    async def _run(self) -> None:
        while True:
            self._called.clear()
            try:
                wait_s = await self._round()
            except OUTAGES as error:
                log.warning("courier.postponed", action="look_again", channel=self.channel, error=repr(error))
                wait_s = LOOK_EVERY_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), wait_s)

    async def _round(self) -> float:
        """Take what is due, as far as hands are free; answers how long nothing more is to be expected, in seconds."""
        free = self._concurrency - len(self._sending)
        if free == 0:
            return LOOK_EVERY_S  # whoever finishes calls
        room = free * self._adapter.batch_max
        leased = await lease(self._pool, self.channel, self._now(), room)
        for at in range(0, len(leased), self._adapter.batch_max):
            self._send_soon(leased[at : at + self._adapter.batch_max])
        if len(leased) == room:
            return LOOK_EVERY_S
        due_at = await next_due(self._pool, self.channel)
        ahead_s = LOOK_EVERY_S if due_at is None else (due_at - self._now()).total_seconds()
        return min(max(ahead_s, 0.0), LOOK_EVERY_S)

    def _send_soon(self, batch: Sequence[Leased]) -> None:
        task = asyncio.get_running_loop().create_task(self._send(batch), name=f"send {self.channel}")
        self._sending.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._called.set()

    async def _send(self, batch: Sequence[Leased]) -> None:
        try:
            outcomes = await self._outcomes(batch)
            await settle(self._pool, [self._settlement(one, outcomes[one.id]) for one in batch])
            if self._gone is not None:
                for one in batch:
                    if isinstance(outcomes[one.id], Gone):
                        await self._gone(one)
        except OUTAGES as error:
            # Nobody has noted what was sent: the leases run out, and it counts as unknown.
            log.error("courier.not_settled", action="lease_runs_out", channel=self.channel, error=repr(error))

    async def _outcomes(self, batch: Sequence[Leased]) -> Mapping[DeliveryId, Outcome]:
        outcomes: dict[DeliveryId, Outcome] = {one.id: Needless("nobody_there") for one in batch}
        try:
            now = self._now()
            timely = [one for one in batch if one.expires_at is None or now < one.expires_at]
            outcomes |= {one.id: Needless("expired") for one in batch if one not in timely}
            composed = await self._compose(timely)
            outcomes |= {id: one for id, one in composed.items() if isinstance(one, Needless)}
            messages = [one for one in composed.values() if not isinstance(one, Needless)]
            if messages:
                outcomes |= await self._sent(messages)
        except OUTAGES as error:
            outcomes |= {one.id: TryLater("database") for one in batch}
            log.warning("courier.postponed", action="try_later", channel=self.channel, error=repr(error))
        except Exception as error:
            outcomes |= {one.id: TryLater("internal") for one in batch}
            log.exception("courier.crashed", action="try_later", channel=self.channel, error=repr(error))
        return outcomes

    async def _sent(self, messages: Sequence[M]) -> dict[DeliveryId, Outcome]:
        ids = [message.id for message in messages]
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                outcomes = await self._adapter.send(messages)
        except TimeoutError:
            return dict.fromkeys(ids, TryLater("timeout", unknown=True))
        except Exception as error:
            log.exception("courier.adapter_crashed", action="try_later", channel=self.channel, error=repr(error))
            return dict.fromkeys(ids, TryLater("internal", unknown=True))
        return dict(zip(ids, outcomes, strict=True))

    def _settlement(self, one: Leased, outcome: Outcome) -> Settlement:
        """What is noted of one attempt."""
        match outcome:
            case Sent():
                return Settlement(
                    id=one.id, attempt=one.attempts, state=DeliveryState.SENT, provider_id=outcome.provider_id
                )
            case TryLater() if one.attempts < ATTEMPTS_MAX:
                return Settlement(
                    id=one.id,
                    attempt=one.attempts,
                    state=DeliveryState.WAITING,
                    reason=outcome.reason,
                    due_at=self._now() + timedelta(seconds=backoff_s(one.attempts, outcome.after_s)),
                    unknown=outcome.unknown,
                )
            case TryLater(unknown=unknown):
                return Settlement(
                    id=one.id,
                    attempt=one.attempts,
                    state=DeliveryState.DEAD,
                    reason=outcome.reason,
                    unknown=unknown,
                )
            case Refused() | Gone():
                return Settlement(id=one.id, attempt=one.attempts, state=DeliveryState.DEAD, reason=outcome.reason)
            case Needless():
                return Settlement(id=one.id, attempt=one.attempts, state=DeliveryState.SKIPPED, reason=outcome.reason)


def backoff_s(attempts: int, after_s: float | None) -> float:
    """How long to wait after so many attempts; at least what the provider asked for, in seconds."""
    longest = min(BACKOFF_FIRST_S * 2.0 ** (attempts - 1), BACKOFF_MAX_S)
    return max(longest * random.uniform(0.5, 1.0), after_s or 0.0)
