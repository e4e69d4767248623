"""Gathers the acknowledgements of devices, which are written every few seconds, many in one statement."""

from collections.abc import Awaitable, Callable, Sequence

from protocol.frames import AckState
from protocol.ids import UserId
from storage.inbox import Acked


class Acks:
    """Acknowledgements that are not written yet.

    Args:
        write: stores a batch of them.
        acks_max: the most devices; past it the oldest entry is dropped, and the device's next ack makes up for it.
    """

    def __init__(self, write: Callable[[Sequence[Acked]], Awaitable[None]], acks_max: int) -> None:
        self._write = write
        self._acks_max = acks_max
        self._pending: dict[tuple[UserId, str], Acked] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, user_id: UserId, device: str, seq: int, state: AckState) -> None:
        """Add an acknowledgement; a seen event is also delivered."""
        known = self._pending.pop((user_id, device), None)
        delivered, seen = (known.delivered, known.seen) if known is not None else (0, 0)
        if state is AckState.SEEN:
            seen = max(seen, seq)
        if len(self._pending) >= self._acks_max:
            del self._pending[next(iter(self._pending))]
        self._pending[user_id, device] = Acked(user_id, device, max(delivered, seq), seen)

    async def flush(self) -> None:
        """Write what has gathered; if that fails, it is kept for the next flush."""
        pending, self._pending = self._pending, {}
        try:
            if pending:
                await self._write(list(pending.values()))
        except BaseException:
            for (user_id, device), ack in pending.items():
                self.add(user_id, device, ack.delivered, AckState.DELIVERED)
                self.add(user_id, device, ack.seen, AckState.SEEN)
            raise
