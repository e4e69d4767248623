"""Supervised loops: loops that run as long as the process does, and are restarted and logged when they die."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic
from typing import Any

import structlog

#: A task that does not end within this at a stop is left running: it waits for a database that does not answer.
END_TIMEOUT_S = 5.0
#: The pause before a loop that died starts again. It doubles with each death, up to the maximum.
RESTART_FIRST_S = 0.1
RESTART_MAX_S = 10.0
#: A loop that has run for this long starts over with the first pause.
RESTART_RESET_S = 60.0

log = structlog.get_logger(__name__)


async def cancel_and_wait(*tasks: "asyncio.Task[None]") -> None:
    """Cancel tasks and wait for their end. Failed and hanging ones are logged; hanging ones are left running."""
    for task in tasks:
        task.cancel()
    if not tasks:
        return
    over, hanging = await asyncio.wait(tasks, timeout=END_TIMEOUT_S)
    for task in over:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("stop.task_failed", task=task.get_name(), error=repr(error))
    for task in hanging:
        log.warning("stop.task_hangs", action="leave", task=task.get_name())


class Supervised:
    """One loop, restarted whenever it dies by an exception, or by a cancellation that is not ours.

    Args:
        name: its name in the log and in ``/ready``.
        work: the loop. If it returns, its work is done and it is not restarted.
        prepare: runs before a restart; until it succeeds the loop counts as dead.
        died: called at once after each death.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Coroutine[Any, Any, None]],
        *,
        prepare: Callable[[], Awaitable[None]] | None = None,
        died: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        #: The error that it died of; None while it runs.
        self.failure: str | None = None
        self._work = work
        self._prepare = prepare
        self._died = died
        self._task: asyncio.Task[None] | None = None
        self._restart: asyncio.TimerHandle | None = None
        self._began_at_s = 0.0
        #: Deaths in a row.
        self._deaths = 0
        self._stopping = False

    def start(self) -> None:
        """Start the loop."""
        self._stopping = False
        self._begin()

    async def stop(self) -> None:
        """Stop the loop, within ``END_TIMEOUT_S``."""
        self._stopping = True
        if self._restart is not None:
            self._restart.cancel()
        if self._task is not None:
            await cancel_and_wait(self._task)

    async def wait(self, timeout_s: float) -> bool:
        """Wait until the loop returns by itself; returns whether it did."""
        if self._task is None:
            return True
        over, _ = await asyncio.wait([self._task], timeout=timeout_s)
        return bool(over)

    def _begin(self) -> None:
        self._restart = None
        self._began_at_s = monotonic()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self.name)
        self._task.add_done_callback(self._ended)

    async def _run(self) -> None:
        if self.failure is not None:
            if self._prepare is not None:
                await self._prepare()
            log.warning("task.restarted", task=self.name, died_of=self.failure)
            self.failure = None
        await self._work()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if self._stopping or (error is None and not task.cancelled()):
            return
        self._deaths = 1 if monotonic() - self._began_at_s >= RESTART_RESET_S else self._deaths + 1
        pause_s = min(RESTART_FIRST_S * 2 ** (self._deaths - 1), RESTART_MAX_S)
        self.failure = "cancelled" if error is None else repr(error)
        log.critical("task.died", action="restart", task=self.name, after_s=pause_s, error=self.failure, exc_info=error)
        self._restart = asyncio.get_running_loop().call_later(pause_s, self._begin)
        try:
            self._died()
        except Exception:
            log.exception("task.listener_crashed", task=self.name)
