"""How many connections are open here, and from where: the bounds that hold whoever somebody says to be."""

from collections import Counter

from protocol.errors import Busy, LimitReached
from server.live.limits import Limits

#: What a client waits that could not connect.
CONNECT_RETRY_AFTER_S = 5.0


class ConnectionLimiter:
    """Counts sockets, event streams and polls by address, and all together.

    A key is what ``limited_as`` makes of an address; with None, this machine itself, only the node's bound holds.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self._by_key: Counter[str] = Counter()
        #: How many found no place, by the bound that stood in the way.
        self.refused_total: Counter[str] = Counter(address=0, node=0)

    def enter(self, key: str | None) -> None:
        """Let one more in; ``leave`` gives its place back. Raises: LimitReached, Busy."""
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
        """One that had entered is gone."""
        self._count -= 1
        if key is not None:
            self._by_key[key] -= 1
            if not self._by_key[key]:
                del self._by_key[key]
