"""The timer wheel: no timer expires early, none is lost, and a cancelled one does not expire."""

import asyncio
import random

from server.live.hub.timer_wheel import UNSCHEDULED, TimerWheel

TICK_S = 0.01
HANG_S = 20.0


class Owner:
    def __init__(self) -> None:
        self.slot = UNSCHEDULED
        self.expired_at: list[float] = []


class Timers:
    """A wheel that notes when each timer expires."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.wheel: TimerWheel[Owner] = TimerWheel(TICK_S, self._expire)
        self.changed = asyncio.Event()

    def _expire(self, owner: Owner) -> None:
        owner.expired_at.append(self.loop.time())
        self.changed.set()

    async def until_empty(self) -> None:
        async with asyncio.timeout(HANG_S):
            while len(self.wheel):
                self.changed.clear()
                await self.changed.wait()


async def test_each_timer_expires_once_and_not_early() -> None:
    timers, chance = Timers(), random.Random(5)
    owners = [(Owner(), timers.loop.time() + chance.random() * 0.2) for _ in range(200)]
    for owner, at in owners:
        timers.wheel.schedule(owner, at)

    await timers.until_empty()

    for owner, at in owners:
        (expired_at,) = owner.expired_at
        assert expired_at >= at
        assert owner.slot == UNSCHEDULED


async def test_a_rescheduled_timer_expires_at_the_new_time_only() -> None:
    timers, sooner, later = Timers(), Owner(), Owner()
    now = timers.loop.time()
    timers.wheel.schedule(sooner, now + 3600)
    timers.wheel.schedule(later, now + 0.02)

    timers.wheel.schedule(sooner, now + 0.03)
    timers.wheel.schedule(later, now + 0.1)
    await timers.until_empty()

    assert now + 0.03 <= sooner.expired_at[0] < later.expired_at[0]
    assert later.expired_at[0] >= now + 0.1
    assert len(sooner.expired_at) == len(later.expired_at) == 1


async def test_a_timer_that_another_of_the_same_tick_cancels_does_not_expire() -> None:
    loop = asyncio.get_running_loop()
    owners, expired = [Owner(), Owner()], list[Owner]()

    def expire(owner: Owner) -> None:
        expired.append(owner)
        for other in owners:
            wheel.cancel(other)

    wheel: TimerWheel[Owner] = TimerWheel(TICK_S, expire)
    at = loop.time() + 0.01
    for owner in owners:
        wheel.schedule(owner, at)
    over = asyncio.Event()
    last: TimerWheel[Owner] = TimerWheel(TICK_S, lambda owner: over.set())
    last.schedule(Owner(), at + 2 * TICK_S)

    async with asyncio.timeout(HANG_S):
        await over.wait()

    assert len(expired) == 1
    assert len(wheel) == 0


async def test_a_timer_scheduled_while_others_expire_expires_too() -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    done = asyncio.Event()

    def expire(owner: Owner) -> None:
        times.append(loop.time())
        if len(times) == 3:
            done.set()
        else:
            wheel.schedule(owner, loop.time() - 1.0)  # long past

    wheel: TimerWheel[Owner] = TimerWheel(TICK_S, expire)
    wheel.schedule(Owner(), loop.time())

    async with asyncio.timeout(HANG_S):
        await done.wait()

    assert len(times) == 3
