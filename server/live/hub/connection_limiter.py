"""Connection limits that apply before authentication: by address, and of the node."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from protocol.errors import Busy, LimitReached
from server.live.limits import CONNECT_RETRY_AFTER_S, Limits


class ConnectionLimiter:
    """Counts WebSockets, event streams and long polls, by address and in total.

    A key is what ``limited_as`` returns for an address; for None, this machine itself, only the node's limit applies.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self._by_key: Counter[str] = Counter()
        #: Refused connections, by limit.
        self.refused_total: Counter[str] = Counter(address=0, node=0)

    def enter(self, key: str | None) -> None:
        """Count one more connection; each needs its ``leave``. Raises: LimitReached, Busy."""
        if key is not None and self._by_key[key] >= self._limits.connections_per_address_max:
            self.refused_total["address"] += 1
            raise LimitReached(limit="connections_per_address", retry_after_s=CONNECT_RETRY_AFTER_S)
        if self._count >= self._limits.connections_max:
            self.refused_total["node"] += 1
            raise Busy(limit="connections", retry_after_s=CONNECT_RETRY_AFTER_S)
        self._count += 1
        if key is not None:
            self._by_key[key] += 1

    def leave(self, key: str | None) -> None:
        """Count one connection less."""
        self._count -= 1
        if key is not None:
            self._by_key[key] -= 1
            if not self._by_key[key]:
                del self._by_key[key]

    @contextmanager
    def entered(self, key: str | None) -> Iterator[None]:
        """Count a connection within a ``with`` block. Raises: LimitReached, Busy."""
        self.enter(key)
        try:
            yield
        finally:
            self.leave(key)
