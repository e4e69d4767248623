"""A timer wheel: thousands of timers on one timer of the event loop; those of one tick expire together."""

import asyncio
from collections.abc import Callable
from math import ceil
from typing import Generic, Protocol, TypeVar

#: The slot of an owner without a timer.
UNSCHEDULED = 0


class Owner(Protocol):
    """Has one timer at most."""

    #: Kept by the wheel; ``UNSCHEDULED`` to begin with.
    slot: int


T = TypeVar("T", bound=Owner)


class TimerWheel(Generic[T]):
    """The timers of many owners. None expires early, and none more than a tick late.

    Args:
        tick_s: the width of a slot.
        expire: called with each owner whose timer has expired; it has no timer any more. Must not raise.
    """

    def __init__(self, tick_s: float, expire: Callable[[T], None]) -> None:
        self._tick_s = tick_s
        self._expire = expire
        self._slots: dict[int, set[T]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_slot = UNSCHEDULED

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def schedule(self, owner: T, at: float) -> None:
        """Set the owner's timer to this instant of the loop's clock; it replaces the one before."""
        slot = max(UNSCHEDULED + 1, ceil(at / self._tick_s))
        if owner.slot == slot:
            return
        self.cancel(owner)
        owner.slot = slot
        owners = self._slots.get(slot)
        if owners is not None:
            owners.add(owner)
            return
        self._slots[slot] = {owner}
        if self._timer is None or slot < self._timer_slot:
            self._arm(slot)

    def cancel(self, owner: T) -> None:
        """Cancel the owner's timer, if it has one."""
        owners = self._slots.get(owner.slot)
        if owners is not None:
            owners.discard(owner)
            if not owners:
                del self._slots[owner.slot]
        owner.slot = UNSCHEDULED

    def stop(self) -> None:
        """Cancel all timers."""
        self._slots.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_slot = slot
        self._timer = asyncio.get_running_loop().call_at(slot * self._tick_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        reached = max(self._timer_slot, int(asyncio.get_running_loop().time() / self._tick_s))
        due = [(slot, self._slots.pop(slot)) for slot in sorted(self._slots) if slot <= reached]
        for slot, owners in due:
            for owner in owners:
                if owner.slot == slot:  # else one that expired before has cancelled or moved it
                    owner.slot = UNSCHEDULED
                    self._expire(owner)
        first = min(self._slots, default=UNSCHEDULED)
        if first != UNSCHEDULED:
            self._arm(first)
