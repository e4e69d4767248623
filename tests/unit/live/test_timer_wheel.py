"""The timer wheel: nobody wakes early, nobody is forgotten, and who was cancelled sleeps on."""

import asyncio
import random

from server.live.hub.timer_wheel import AWAKE, Wheel

TICK_S = 0.01
HANG_S = 20.0


class Sleeper:
    def __init__(self) -> None:
        self.slot = AWAKE
        self.woken_at: list[float] = []


class Bedroom:
    """A wheel, and when it woke whom."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.wheel: Wheel[Sleeper] = Wheel(TICK_S, self._wake)
        self.changed = asyncio.Event()

    def _wake(self, sleeper: Sleeper) -> None:
        sleeper.woken_at.append(self.loop.time())
        self.changed.set()

    async def until_all_are_awake(self) -> None:
        async with asyncio.timeout(HANG_S):
            while len(self.wheel):
                self.changed.clear()
                await self.changed.wait()


async def test_everybody_wakes_once_and_not_early() -> None:
    room, chance = Bedroom(), random.Random(5)
    sleepers = [(Sleeper(), room.loop.time() + chance.random() * 0.2) for _ in range(200)]
    for sleeper, until in sleepers:
        room.wheel.sleep(sleeper, until)

    await room.until_all_are_awake()

    for sleeper, until in sleepers:
        (woken_at,) = sleeper.woken_at
        assert woken_at >= until
        assert sleeper.slot == AWAKE


async def test_who_is_told_another_time_wakes_then_and_not_before() -> None:
    room, sooner, later = Bedroom(), Sleeper(), Sleeper()
    now = room.loop.time()
    room.wheel.sleep(sooner, now + 3600)
    room.wheel.sleep(later, now + 0.02)

    room.wheel.sleep(sooner, now + 0.03)
    room.wheel.sleep(later, now + 0.1)
    await room.until_all_are_awake()

    assert now + 0.03 <= sooner.woken_at[0] < later.woken_at[0]
    assert later.woken_at[0] >= now + 0.1
    assert len(sooner.woken_at) == len(later.woken_at) == 1


async def test_who_is_cancelled_is_not_woken_even_by_a_neighbour_of_the_same_tick() -> None:
    loop = asyncio.get_running_loop()
    sleepers, woken = [Sleeper(), Sleeper()], list[Sleeper]()

    def wake(sleeper: Sleeper) -> None:
        woken.append(sleeper)
        for other in sleepers:
            wheel.cancel(other)

    wheel: Wheel[Sleeper] = Wheel(TICK_S, wake)
    at = loop.time() + 0.01
    for sleeper in sleepers:
        wheel.sleep(sleeper, at)
    done = Sleeper()
    rung = asyncio.Event()
    last: Wheel[Sleeper] = Wheel(TICK_S, lambda sleeper: rung.set())
    last.sleep(done, at + 2 * TICK_S)

    async with asyncio.timeout(HANG_S):
        await rung.wait()

    assert len(woken) == 1
    assert len(wheel) == 0


async def test_who_goes_to_sleep_again_while_the_wheel_rings_is_woken_again() -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    done = asyncio.Event()

    def wake(sleeper: Sleeper) -> None:
        times.append(loop.time())
        if len(times) == 3:
            done.set()
        else:
            wheel.sleep(sleeper, loop.time() - 1.0)  # long past

    wheel: Wheel[Sleeper] = Wheel(TICK_S, wake)
    wheel.sleep(Sleeper(), loop.time())

    async with asyncio.timeout(HANG_S):
        await done.wait()

    assert len(times) == 3
