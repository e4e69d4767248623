"""A timer wheel: wakes thousands of sleepers with one timer of the event loop, those of one tick together."""

import asyncio
from collections.abc import Callable
from math import ceil
from typing import Generic, Protocol, TypeVar

#: The slot of somebody who does not sleep.
AWAKE = 0


class Sleeper(Protocol):
    """Somebody who can sleep in one slot at a time."""

    #: Kept by the wheel; ``AWAKE`` to begin with.
    slot: int


S = TypeVar("S", bound=Sleeper)


class Wheel(Generic[S]):
    """Who sleeps until when. Nobody is woken early, and nobody more than a tick late.

    Args:
        tick_s: the width of a slot.
        wake: called with each one whose time has come, who sleeps no more. It raises nothing.
    """

    def __init__(self, tick_s: float, wake: Callable[[S], None]) -> None:
        self._tick_s = tick_s
        self._wake = wake
        self._slots: dict[int, set[S]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_slot = AWAKE

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def sleep(self, sleeper: S, until: float) -> None:
        """Wake somebody at this instant of the loop's clock, and not when they were to wake before."""
        slot = max(AWAKE + 1, ceil(until / self._tick_s))
        if sleeper.slot == slot:
            return
        self.cancel(sleeper)
        sleeper.slot = slot
        sleepers = self._slots.get(slot)
        if sleepers is not None:
            sleepers.add(sleeper)
            return
        self._slots[slot] = {sleeper}
        if self._timer is None or slot < self._timer_slot:
            self._arm(slot)

    def cancel(self, sleeper: S) -> None:
        """Do not wake them."""
        sleepers = self._slots.get(sleeper.slot)
        if sleepers is not None:
            sleepers.discard(sleeper)
            if not sleepers:
                del self._slots[sleeper.slot]
        sleeper.slot = AWAKE

    def stop(self) -> None:
        """Wake nobody any more."""
        self._slots.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_slot = slot
        self._timer = asyncio.get_running_loop().call_at(slot * self._tick_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        reached = max(self._timer_slot, int(asyncio.get_running_loop().time() / self._tick_s))
        due = [(slot, self._slots.pop(slot)) for slot in sorted(self._slots) if slot <= reached]
        for slot, sleepers in due:
            for sleeper in sleepers:
                if sleeper.slot == slot:  # else somebody before has cancelled or moved it
                    sleeper.slot = AWAKE
                    self._wake(sleeper)
        first = min(self._slots, default=AWAKE)
        if first != AWAKE:
            self._arm(first)
