"""The scheduler of the agenda: fires due rows on time, and finds overdue ones by sweeping the table.

Every timer, message and retry is a row of the table ``agenda``, written and consumed inside commits. The rows that are
due soonest are held in memory (``upcoming_timers.py``), and APScheduler wakes the agenda for the first of them, by the
wall clock. Scans and sweeps run by the monotonic clock, so that no jump of the wall clock can stop them. A row fires by
sending its command, and the commit of that command deletes the row; a second firing finds no row and has no effect.
Messages, which are due at once, skip the scheduler.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import msgspec
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from actors.runtime.call import SYSTEM_PRINCIPAL, Call, Outcome
from actors.runtime.limits import (
    ALARMS_MAX,
    CLOCK_JOBS_MAX,
    CLOCK_TICK_S,
    CRASHES_MAX,
    FIRING_MAX,
    HORIZON_S,
    SCAN_EVERY_S,
    SCAN_PAGE,
    SWEEP_EVERY_S,
    SWEEP_GRACE_S,
)
from actors.runtime.turns import Runtime
from actors.runtime.upcoming_timers import SortKey, UpcomingTimers
from protocol.effects import CancelTimer, Decision, Logged, Send, SetTimer
from protocol.errors import Fault, Internal
from protocol.ids import SYSTEM, AgendaId, Ref
from protocol.registry import BY_NAME, name_of
from storage.agenda import Due
from storage.outcomes import Committed
from storage.supervision import Supervised, cancel_and_wait

log = structlog.get_logger()


@dataclass(slots=True)
class _Crash:
    times: int
    again_at: datetime
    due_at: datetime


class Agenda:
    """Timers and messages of this process.

    Args:
        load_due: loads one page of rows due before an instant, in order, after a given (due_at, id).
        quarantine: removes a row that crashed its actor too often.
        observe_lateness: called with the seconds between a row's due time and its firing.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        submit: Callable[[Decision, Callable[[Committed], None]], None],
        load_due: Callable[[datetime, tuple[datetime, AgendaId] | None], Awaitable[Sequence[Due]]],
        quarantine: Callable[[AgendaId, str], Awaitable[None]],
        observe_lateness: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._runtime = runtime
        self._submit = submit
        self._load_due = load_due
        self._quarantine = quarantine
        self._observe_lateness = observe_lateness
        self._scheduler = AsyncIOScheduler(timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True})
        #: Rows whose commands are being decided or committed.
        self._firing: set[AgendaId] = set()
        self._capacity = asyncio.Event()
        self._upcoming = UpcomingTimers(CLOCK_JOBS_MAX)
        #: When the next wake-up is due, by the wall clock.
        self._alarm_at: datetime | None = None
        self._loading = False
        #: Crash counts of rows that crashed their actor; reset by a restart.
        self._crashes: dict[AgendaId, _Crash] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: The periodic loops.
        self.watches: list[Supervised] = []
        self._open = False

    @property
    def jobs(self) -> int:
        """Timers held in memory."""
        return len(self._upcoming)

    async def start(self) -> None:
        """Fire what is due, and start the periodic loops."""
        self._open = True
        self._scheduler.start()
        self.every("scan", SCAN_EVERY_S, self.scan)
        self.every("sweep", SWEEP_EVERY_S, self.sweep)
        await self.sweep(grace_s=0.0)
        await self.scan()

    async def stop(self) -> None:
        """Stop firing; the rows stay for the next start."""
        self._open = False
        self._scheduler.shutdown(wait=False)
        await asyncio.gather(*[watch.stop() for watch in self.watches])
        await cancel_and_wait(*self._tasks)

    def every(self, name: str, seconds: float, action: Callable[[], Awaitable[object]]) -> None:
        """Run an action periodically by the monotonic clock, never twice at once; runs may be skipped."""
        watch = Supervised(f"agenda {name}", lambda: self._repeat(name, seconds, action))
        self.watches.append(watch)
        watch.start()

    async def _repeat(self, name: str, seconds: float, action: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await action()
            except Exception as error:
                log.exception("agenda.watch_failed", action="try_later", watch=name, error=repr(error))

    def daily(self, name: str, at: time, action: Callable[[], Awaitable[object]]) -> None:
        """Run an action once a day at a time of day in UTC, however late."""
        self._scheduler.add_job(action, "cron", hour=at.hour, minute=at.minute, id=name, max_instances=1)

    # Called by the runtime

    def scheduled(self, to: Ref, effect: SetTimer | CancelTimer) -> None:
        """Handle a committed timer effect."""
        self._upcoming.remove(to, effect.name)
        if isinstance(effect, SetTimer) and self._open:
            what = (name_of(type(effect.command)), msgspec.json.encode(effect.command).decode(), "")
            due = Due(effect.agenda_id, to, effect.name, effect.due_at, effect.expires_at, *what)
            if effect.due_at <= self._runtime.clock.now() + timedelta(seconds=HORIZON_S):
                self._upcoming.add(due)
                self._set_alarm()

    def send(self, effect: Send, cause: str) -> None:
        """Deliver a committed message at once. Bound to ``Runtime.send``."""
        if self._open:
            what = (name_of(type(effect.command)), msgspec.json.encode(effect.command).decode(), cause)
            now = self._runtime.clock.now()
            asyncio.get_running_loop().call_soon(self._fire, Due(effect.agenda_id, effect.to, None, now, None, *what))

    async def time_moved(self) -> None:
        """Reload the upcoming timers after the clock was advanced, since their wall times have changed."""
        self._upcoming.clear()
        self._alarm_at = None
        await self.sweep(grace_s=0.0)
        await self.scan()

    # Scans and sweeps

    async def scan(self) -> None:
        """Load rows due within the horizon, up to the limit of timers in memory."""
        self._scheduler.wakeup()  # the wall clock may have jumped while it slept
        await self._load(None)

    async def _load(self, after: SortKey | None) -> None:
        horizon = self._runtime.clock.now() + timedelta(seconds=HORIZON_S)
        self._upcoming.begin_load()
        try:
            async for due in self._pages(horizon, after):
                if due.agenda_id not in self._firing:
                    self._upcoming.add(due)
                if self._upcoming.truncated:
                    break
        except BaseException:
            self._upcoming.end_load_early()
            raise
        finally:
            self._set_alarm()

    async def _load_more(self) -> None:
        """Load the rows after the last one in memory."""
        try:
            await self._load(self._upcoming.last)
        except Exception as error:
            log.warning("agenda.load_failed", action="scan", error=repr(error))
        finally:
            self._loading = False

    async def sweep(self, grace_s: float = SWEEP_GRACE_S) -> None:
        """Fire all overdue rows, whichever node scheduled them; drop the crash counts of deleted rows."""
        before = self._runtime.clock.now() - timedelta(seconds=grace_s)
        crashed = {agenda_id for agenda_id, crash in self._crashes.items() if crash.due_at <= before}
        async for due in self._pages(before, None):
            crashed.discard(due.agenda_id)
            while len(self._firing) >= FIRING_MAX:
                self._capacity.clear()
                await self._capacity.wait()
            self._fire(due)
        if self._open:
            for agenda_id in crashed:
                self._crashes.pop(agenda_id, None)

    async def _pages(self, before: datetime, after: SortKey | None) -> Any:
        while self._open:
            page = await self._load_due(before, after)
            for due in page:
                yield due
            if len(page) < SCAN_PAGE:
                return
            after = (page[-1].due_at, page[-1].agenda_id)

    # The alarm

    def _set_alarm(self, not_before_s: float = 0.0) -> None:
        """Schedule a wake-up for the first row."""
        first_at = self._upcoming.first_at
        if first_at is None or not self._open:
            return
        now = datetime.now(UTC)
        at = max(first_at - self._runtime.clock.offset, now + timedelta(seconds=not_before_s))
        lost = self._alarm_at is not None and self._alarm_at < now - timedelta(seconds=SWEEP_GRACE_S)
        if self._alarm_at is None or at < self._alarm_at or lost:
            self._alarm_at = at
            self._scheduler.add_job(
                self._on_alarm, "date", run_date=at, id="alarm", replace_existing=True, max_instances=ALARMS_MAX
            )

    async def _on_alarm(self) -> None:
        """Fire all due rows; the next wake-up comes a tick later at the earliest."""
        self._alarm_at = None
        for due in self._upcoming.take(self._runtime.clock.now(), FIRING_MAX - len(self._firing)):
            self._fire(due)
        self._set_alarm(CLOCK_TICK_S)
        if self._upcoming.truncated and len(self._upcoming) <= CLOCK_JOBS_MAX // 2 and not self._loading:
            self._loading = True
            self._spawn(self._load_more())

    # Firing

    def _fire(self, due: Due) -> None:
        """Send a row's command, whose commit deletes the row."""
        now = self._runtime.clock.now()
        crash = self._crashes.get(due.agenda_id)
        if due.agenda_id in self._firing or not self._open or (crash is not None and crash.again_at > now):
            return
        self._firing.add(due.agenda_id)
        self._observe(max(0.0, (now - due.due_at).total_seconds()))
        if due.expires_at is not None and now >= due.expires_at:
            self._skip(due, now)
            return
        try:
            command = msgspec.json.decode(due.payload, type=BY_NAME[due.command].type)
        except (KeyError, msgspec.MsgspecError) as error:
            log.error("agenda.unreadable", actor=str(due.to), command=due.command, error=repr(error))
            self._fired(due, Outcome(due.to, error=Internal(incident=str(due.agenda_id))))
            return

        def done(outcome: Outcome) -> None:
            self._fired(due, outcome)

        key = str(due.agenda_id)
        self._runtime.submit(Call(command, due.to, SYSTEM_PRINCIPAL, key, done, fired=due.agenda_id))  # type: ignore[arg-type]  # internal commands only

    def _observe(self, late_s: float) -> None:
        try:
            self._observe_lateness(late_s)
        except Exception:
            log.exception("agenda.observer_crashed", action="fire")

    def _release(self, due: Due) -> None:
        self._firing.discard(due.agenda_id)
        self._capacity.set()

    def _fired(self, due: Due, outcome: Outcome) -> None:
        self._release(due)
        if isinstance(outcome.error, Internal):
            self._crashed(due, outcome.error)
        elif isinstance(outcome.error, Fault):
            log.info(
                "agenda.postponed", action="sweep", actor=str(due.to), command=due.command, error=str(outcome.error)
            )
        else:
            self._crashes.pop(due.agenda_id, None)

    def _skip(self, due: Due, now: datetime) -> None:
        """Delete an expired row, and record that it was skipped."""
        reply = msgspec.json.encode({"code": "skipped", "fields": {"due_at": due.due_at}})
        decision = Decision(
            to=due.to,
            at=now,
            principal=SYSTEM,
            cause=str(due.agenda_id),
            expected_version=-1,  # any version: the actor does not change
            expected_stamp=0,
            version=0,
            stamp=0,
            schema=1,
            state=None,
            emitted=[],
            effects=[],
            log=Logged(SYSTEM, str(due.agenda_id), bytes(16), due.command, True, reply),
            fired=due.agenda_id,
        )
        try:
            self._submit(decision, lambda committed: self._release(due))
        except Fault:
            self._release(due)

    def _crashed(self, due: Due, error: Internal) -> None:
        """Retry a row that crashed its actor with backoff; after ``CRASHES_MAX`` crashes move it to quarantine."""
        crash = self._crashes.setdefault(due.agenda_id, _Crash(0, due.due_at, due.due_at))
        crash.times += 1
        crash.again_at = self._runtime.clock.now() + timedelta(seconds=SWEEP_EVERY_S * 2**crash.times)
        if crash.times >= CRASHES_MAX:
            del self._crashes[due.agenda_id]
            log.error(
                "agenda.quarantined",
                action="quarantine",
                actor=str(due.to),
                command=due.command,
                row=str(due.agenda_id),
            )
            self._spawn(self._move_to_quarantine(due.agenda_id, str(error)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _move_to_quarantine(self, agenda_id: AgendaId, error: str) -> None:
        try:
            await self._quarantine(agenda_id, error)
        except Exception:
            log.exception("agenda.quarantine_failed", row=str(agenda_id))
