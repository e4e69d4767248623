"""Ending tasks at a stop, without waiting for ever."""

import asyncio

import structlog

#: What does not end within this is left behind: it waits for a database that does not answer, and ends with its line.
END_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


async def end(*tasks: "asyncio.Task[None]") -> None:
    """Cancel tasks and wait until they are over. One that has failed is logged, one that hangs is left behind."""
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
