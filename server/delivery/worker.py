"""The worker of one channel: takes what is due, has it composed, lets the adapter send it, and notes what became of it.

    deliveries ── lease ──▶ compose ──▶ adapter.send ──▶ settle
        ▲                                                   │
        └────────────── try later, with backoff ◀───────────┘

An attempt is noted before it is made, so what a crash interrupts is known by its lease that runs out. While the
provider is let alone (``breaker.py``) nothing is leased, so waiting for it costs nobody an attempt.
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
from storage.supervision import Supervised, end

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=Message)

#: How long a worker may hold a delivery, unless configured otherwise; after that it is taken for dead.
LEASE_S = 120
#: What is due is looked for this often, even if nobody calls.
LOOK_EVERY_S = 30.0
#: The same after the database failed.
OUTAGE_WAIT_S = 2.0
#: What could not be composed is tried again after this.
PUT_BACK_S = 5.0
#: A channel with a pace goes for more when there is room for so many seconds' worth.
PACE_ROUND_S = 0.25
#: What is being taken when the server stops is waited for so long; then its leases run out.
ROUND_MAX_S = 5.0
#: What was cut may take so long to be noted.
NOTE_MAX_S = 5.0
#: The shortest wait between two looks at the queue.
ROUND_MIN_S = 0.01
#: The wait after a first failed attempt, doubled with each further one, and at most; half of it is left to chance.
BACKOFF_FIRST_S = 10.0
BACKOFF_MAX_S = 3600.0
#: The longest wait that a provider is granted when it asks for one.
BACKOFF_ASKED_MAX_S = 24 * 3600.0
#: Waits between attempts to note outcomes while the database is away.
SETTLE_AGAIN_FIRST_S = 0.2
SETTLE_AGAIN_MAX_S = 5.0


class Terms(Struct, frozen=True, kw_only=True):
    """How a channel is served."""

    #: Batches under way at once. One more is kept for what is critical, so that no backlog holds that up.
    concurrency: int = 4
    #: Messages a second; None: as many as there are.
    rate: Rate | None = None
    attempts_max: int = ATTEMPTS_MAX
    #: A quarter of it is for composing a batch, half for sending, the rest for noting what became of it.
    lease_s: float = LEASE_S


USUAL = Terms()


class NotAttempted(Struct, frozen=True):
    """Nothing of it reached the provider: it is put back, and no attempt counts."""

    reason: str
    after_s: float = 0.0


#: Gives each delivery its message, or why there is none. It leaves out those who have nobody to go to.
Compose = Callable[[Sequence[Leased]], Awaitable[Mapping[DeliveryId, M | Suppressed | NotAttempted | TryLater]]]
#: Hears of each attempt's outcome.
Observe = Callable[[Leased, Outcome], None]


class DeliveryWorker(Generic[M]):
    """Sends what is due on one channel.

    Args:
        compose: makes messages; a delivery that it leaves out has nobody to go to.
        now: the domain's clock.
        gone: told of deliveries whose address is no more.
        observe: hears what became of each attempt, once that is noted.
        monotonic: seconds, for pauses and the pace.
    """

    def __init__(
        self,
        adapter: Adapter[M],
        compose: Compose[M],
        pool: Pool,
        now: Callable[[], datetime],
        terms: Terms = USUAL,
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
        self._terms = terms
        self._gone = gone
        self._observe = observe
        self._monotonic = monotonic
        self._pace = None if terms.rate is None else TokenBucket(terms.rate)
        self._called = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        #: The time limits of what is composed or sent right now.
        self._limits: set[asyncio.Timeout] = set()
        self._stopping = False
        self._cut = asyncio.Event()
        self.task = Supervised(f"delivery worker {self.channel}", self._run)

    def start(self) -> None:
        """Go to work."""
        self.task.start()

    async def stop(self, grace_s: float = 0.0) -> None:
        """Stop taking, let what is under way finish within the grace, then cut it; what became of it is noted."""
        self._stopping = True
        self._called.set()
        await self.task.wait(ROUND_MAX_S)
        await self.task.stop()
        if self._sending:
            await asyncio.wait(self._sending, timeout=grace_s)
        self._cut.set()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
        if self._sending:
            await asyncio.wait(self._sending, timeout=NOTE_MAX_S)
            await end(*self._sending)
        await self._adapter.close()

    def call(self) -> None:
        """There is something to do."""
        self._called.set()

    # Taking

    async def _run(self) -> None:
        while not self._stopping:
            self._called.clear()
            try:
                wait_s = await self._round()
            except Exception as error:
                about = {"channel": self.channel, "error": repr(error), "exc_info": not isinstance(error, UNWRITABLE)}
                log.warning("courier.postponed", action="look_again", **about)
                wait_s = OUTAGE_WAIT_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), min(max(wait_s, ROUND_MIN_S), LOOK_EVERY_S))

    async def _round(self) -> float:
        """Take what is due, as far as it may go; answers how long nothing more is to be expected, in seconds."""
        waits_s = []
        for critical in (True, False):
            if (shut_s := self.breaker.wait_s) > 0.0:
                return shut_s
            room = self._room(critical)
            leased = await self._take(room, critical) if room > 0 else []
            waits_s.append(self._wait_s(critical) if len(leased) == room else await self._ahead_s(critical))
        return min(waits_s)

    def _hands(self, critical: bool) -> int:
        """Batches that may go out now."""
        return max(0, self._terms.concurrency + critical - len(self._sending))

    def _room(self, critical: bool) -> int:
        """Messages that may be taken now."""
        room = self._hands(critical) * self._adapter.batch_max
        if self._pace is not None:
            room = min(room, self._pace.room(self._monotonic()))
        return min(room, 1) if self.breaker.state is BreakerState.HALF_OPEN else room

    async def _take(self, room: int, critical: bool) -> Sequence[Leased]:
        leased = await lease(
            self._pool, self.channel, self._now(), room, critical=critical, lease_s=float(self._terms.lease_s)
        )
        if self._pace is not None:
            self._pace.take(self._monotonic(), len(leased))
        for at in range(0, len(leased), self._adapter.batch_max):
            batch = leased[at : at + self._adapter.batch_max]
            era = self.breaker.begin()
            task = asyncio.get_running_loop().create_task(self._send(batch, era), name=f"send {self.channel}")
            self._sending.add(task)
            task.add_done_callback(self._finished)
        return leased

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._called.set()

    def _wait_s(self, critical: bool) -> float:
        """How long until more may be taken; whoever finishes calls."""
        if self._pace is None or self._hands(critical) == 0:
            return math.inf
        rate = self._terms.rate
        assert rate is not None
        return self._pace.wait_s(self._monotonic(), max(1, min(rate.burst, round(rate.per_s * PACE_ROUND_S))))

    async def _ahead_s(self, critical: bool) -> float:
        """How long until more is due."""
        due_at = await next_due(self._pool, self.channel, critical=critical)
        return math.inf if due_at is None else (due_at - self._now()).total_seconds()

    # Sending

    async def _send(self, batch: Sequence[Leased], era: int) -> None:
        """Compose, send and settle one batch, whatever happens."""
        try:
            try:
                outcomes = await self._outcomes(batch, era)
            finally:
                self.breaker.dropped(era)  # unless it was judged
            if await self._settle([self._settlement(one, outcomes[one.id]) for one in batch]):
                for one in batch:
                    await self._tell(one, outcomes[one.id])
        except Exception as error:
            log.exception("courier.crashed", action="lease_runs_out", channel=self.channel, error=repr(error))

    async def _outcomes(self, batch: Sequence[Leased], era: int) -> Mapping[DeliveryId, Outcome | NotAttempted]:
        """Say what became of each of a batch."""
        if not self.breaker.admits(era):  # it has opened while this was leased
            return dict.fromkeys([one.id for one in batch], NotAttempted("provider_down"))
        now = self._now()
        outcomes: dict[DeliveryId, Outcome | NotAttempted] = {one.id: Suppressed("nobody_there") for one in batch}
        late = {one.id for one in batch if one.expires_at is not None and one.expires_at <= now}
        outcomes |= dict.fromkeys(late, Suppressed("expired"))
        timely = [one for one in batch if one.id not in late]
        try:
            async with self._at_most(self._terms.lease_s / 4):
                composed = await self._compose(timely) if timely else {}
        except UNWRITABLE as error:  # the time limit too
            log.warning("courier.postponed", action="put_back", channel=self.channel, error=repr(error))
            return outcomes | {one.id: NotAttempted("database", PUT_BACK_S) for one in timely}
        except Exception as error:
            log.exception("courier.crashed", action="try_later", channel=self.channel, error=repr(error))
            return outcomes | {one.id: TryLater("internal") for one in timely}
        messages: list[M] = []
        for delivery_id, one in composed.items():
            if isinstance(one, Suppressed | NotAttempted | TryLater):
                outcomes[delivery_id] = one
            else:
                messages.append(one)
        if messages:
            outcomes |= await self._sent(messages, era)
        return outcomes

    async def _sent(self, messages: Sequence[M], era: int) -> Mapping[DeliveryId, Outcome | NotAttempted]:
        ids = [message.id for message in messages]
        if self._cut.is_set() or not self.breaker.admits(era):
            return dict.fromkeys(ids, NotAttempted("stopped" if self._cut.is_set() else "provider_down"))
        try:
            async with self._at_most(self._terms.lease_s / 2):
                outcomes = dict(zip(ids, await self._adapter.send(messages), strict=True))
        except TimeoutError:
            if self._cut.is_set():
                return dict.fromkeys(ids, TryLater("stopped", unknown=True))
            outcomes = dict.fromkeys(ids, TryLater("timeout", unknown=True))
        except Exception as error:
            log.exception("courier.adapter_crashed", action="try_later", channel=self.channel, error=repr(error))
            outcomes = dict.fromkeys(ids, TryLater("internal", unknown=True))
        self._judge(list(outcomes.values()), era)
        return outcomes

    def _judge(self, outcomes: Sequence[Outcome], era: int) -> None:
        """Tell the breaker what a batch says of the provider; what was needless never came to it."""
        heard = [one for one in outcomes if not isinstance(one, Suppressed)]
        if not heard:
            return
        later = [one for one in heard if isinstance(one, TryLater) and not one.alone]
        asked_s = max((one.after_s or 0.0 for one in later), default=0.0)
        if asked_s > 0.0:
            self.breaker.pause(asked_s)
        before = self.breaker.state
        if len(later) < len(heard):
            self.breaker.succeeded()
        else:
            self.breaker.failed(era)
        if (after := self.breaker.state) is not before:
            reason = later[0].reason if later else None
            log.warning("courier.breaker", action=after, channel=self.channel, reason=reason)

    @asynccontextmanager
    async def _at_most(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError when the time is over, or a stop cuts what is under way."""
        async with asyncio.timeout(0.0 if self._cut.is_set() else seconds) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    # Noting

    async def _settle(self, settlements: Sequence[Settlement]) -> bool:
        """Note outcomes, again and again while the database is away: what is not noted would be sent once more."""
        wait_s, until_s = SETTLE_AGAIN_FIRST_S, self._monotonic() + self._terms.lease_s
        while True:
            try:
                await settle(self._pool, settlements)
                return True
            except Exception as error:
                about = {"channel": self.channel, "deliveries": len(settlements), "error": repr(error)}
                if self._cut.is_set() or self._monotonic() + wait_s > until_s:
                    log.error("courier.not_settled", action="leases_run_out", **about)
                    return False
                log.warning("courier.not_settled", action="try_again", **about)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, SETTLE_AGAIN_MAX_S)

    async def _tell(self, one: Leased, outcome: Outcome | NotAttempted) -> None:
        if isinstance(outcome, NotAttempted):
            return
        if self._observe is not None:
            self._observe(one, outcome)
        if isinstance(outcome, Gone) and self._gone is not None:
            try:
                await self._gone(one)
            except Exception as error:  # the next message to it will say the same
                log.error("courier.not_forgotten", channel=self.channel, error=repr(error))

    def _settlement(self, one: Leased, outcome: Outcome | NotAttempted) -> Settlement:
        """What is noted of one attempt."""
        tries = one.attempts - one.earlier_attempts
        say = partial(Settlement, id=one.id, leased_until=one.leased_until)
        match outcome:
            case Sent():
                return say(state=DeliveryState.SENT, provider_id=outcome.provider_id)
            case NotAttempted(reason, after_s):
                due_at = self._now() + timedelta(seconds=after_s) if after_s else None
                return say(state=DeliveryState.WAITING, reason=reason, due_at=due_at, tried=False)
            case TryLater(reason, after_s, unknown):
                if tries >= self._terms.attempts_max:
                    return say(state=DeliveryState.DEAD, reason=reason, unknown=unknown)
                due_at = self._now() + timedelta(seconds=backoff_s(tries, after_s))
                return say(state=DeliveryState.WAITING, reason=reason, due_at=due_at, unknown=unknown)
            case Refused(reason) | Gone(reason):
                return say(state=DeliveryState.DEAD, reason=reason)
            case Suppressed(reason):
                return say(state=DeliveryState.SKIPPED, reason=reason)


def backoff_s(attempts: int, after_s: float | None) -> float:
    """How long to wait after so many attempts; at least what the provider asked for, in seconds."""
    longest = min(BACKOFF_FIRST_S * 2.0 ** (attempts - 1), BACKOFF_MAX_S)
    return max(longest * random.uniform(0.5, 1.0), min(after_s or 0.0, BACKOFF_ASKED_MAX_S))
