"""What one connection waits for besides its bytes, such as a page of the log: tasks that end with it."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

Work = Coroutine[Any, Any, None]


class Tasks:
    """The tasks of one connection; most have none for most of the time."""

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] | None = None

    def spawn(self, work: Work, supervise: Callable[[Work], Work]) -> None:
        """Begin some work, within what takes up its errors."""
        task = asyncio.get_running_loop().create_task(supervise(work))
        if self._running is None:
            self._running = set()
        self._running.add(task)
        task.add_done_callback(partial(self._done, work))

    def _done(self, work: Work, task: asyncio.Task[None]) -> None:
        work.close()  # cut before its first step, it was never begun
        if self._running is not None:
            self._running.discard(task)
            self._running = self._running or None

    def cancel(self) -> None:
        """Cut them all."""
        for task in self._running or ():
            task.cancel()
