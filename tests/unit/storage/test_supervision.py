"""Loops that have to run: a death is logged, shown, and followed by a restart."""

import asyncio

import pytest
from structlog.testing import capture_logs

from storage import supervision
from storage.supervision import Supervised

#: Whatever a test waits for takes less, or the test fails.
HANG_S = 10


@pytest.fixture(autouse=True)
def _restart_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "RESTART_FIRST_S", 0.0)


class Loop:
    """Dies a given number of times, then runs until it is stopped."""

    def __init__(self, deaths: int, *, how: BaseException | None = None) -> None:
        self.runs = 0
        self.works = asyncio.Event()
        self._deaths = deaths
        self._how = how or RuntimeError("a bug")

    async def run(self) -> None:
        self.runs += 1
        if self.runs <= self._deaths:
            raise self._how
        self.works.set()
        await asyncio.Event().wait()


async def working(loop: Loop) -> None:
    async with asyncio.timeout(HANG_S):
        await loop.works.wait()


@pytest.mark.parametrize("how", [RuntimeError("a bug"), asyncio.CancelledError()])
async def test_a_loop_that_dies_starts_again(how: BaseException) -> None:
    loop = Loop(2, how=how)
    task = Supervised("a loop", loop.run)

    with capture_logs() as logs:
        task.start()
        await working(loop)

    assert (loop.runs, task.failure) == (3, None)
    deaths = [line for line in logs if line["event"] == "task.died"]
    assert [(line["task"], line["log_level"]) for line in deaths] == [("a loop", "critical")] * 2
    await task.stop()


async def test_it_counts_as_dead_until_it_is_prepared() -> None:
    loop, tries, told = Loop(1), 0, []

    async def prepare() -> None:
        nonlocal tries
        tries += 1
        told.append(task.failure)
        if tries == 1:
            raise OSError("no route")

    task = Supervised("a loop", loop.run, prepare=prepare)
    task.start()
    await working(loop)

    assert told == ["RuntimeError('a bug')", "OSError('no route')"]
    assert (loop.runs, task.failure) == (2, None)
    await task.stop()


async def test_each_death_is_told_and_a_listener_that_crashes_stops_no_restart() -> None:
    loop, told = Loop(2), []

    def died() -> None:
        told.append(task.failure)
        raise ZeroDivisionError

    task = Supervised("a loop", loop.run, died=died)
    task.start()
    await working(loop)

    assert told == ["RuntimeError('a bug')"] * 2
    await task.stop()


async def test_the_pause_before_a_restart_doubles_up_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "RESTART_FIRST_S", 0.001)
    monkeypatch.setattr(supervision, "RESTART_MAX_S", 0.003)
    loop = Loop(4)
    task = Supervised("a loop", loop.run)

    with capture_logs() as logs:
        task.start()
        await working(loop)

    assert [line["after_s"] for line in logs if line["event"] == "task.died"] == [0.001, 0.002, 0.003, 0.003]
    await task.stop()


async def test_after_a_long_run_the_first_pause_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "RESTART_FIRST_S", 0.001)
    monkeypatch.setattr(supervision, "RESTART_RESET_S", 0.0)
    loop = Loop(3)
    task = Supervised("a loop", loop.run)

    with capture_logs() as logs:
        task.start()
        await working(loop)

    assert [line["after_s"] for line in logs if line["event"] == "task.died"] == [0.001] * 3
    await task.stop()


async def test_a_stop_is_no_death() -> None:
    loop = Loop(0)
    task = Supervised("a loop", loop.run)
    task.start()
    await working(loop)

    with capture_logs() as logs:
        await task.stop()
        await asyncio.sleep(0)

    assert (logs, task.failure, loop.runs) == ([], None, 1)


async def test_a_stop_ends_the_wait_for_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "RESTART_FIRST_S", 0.001)
    loop, died = Loop(9), asyncio.Event()
    task = Supervised("a loop", loop.run, died=died.set)
    task.start()
    async with asyncio.timeout(HANG_S):
        await died.wait()

    await task.stop()
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.005, later.set)
    await later.wait()

    assert loop.runs == 1


async def test_a_loop_that_returns_is_over() -> None:
    runs = 0

    async def once() -> None:
        nonlocal runs
        runs += 1

    task = Supervised("a loop", once)
    task.start()

    assert await task.wait(HANG_S)
    await asyncio.sleep(0)
    assert (runs, task.failure) == (1, None)
