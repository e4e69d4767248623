"""The sealing of the ledger as a background job, and its figures on /metrics."""

from datetime import datetime

from prometheus_client import Counter

from server.edge.metrics import Metrics
from storage.database import Pool
from storage.seal import Tail, read_tail, seal

#: How often the ledger is sealed, and how often every node reads what waits.
SEAL_EVERY_S = 60


class LedgerSealer:
    """Seals the waiting transfers, and keeps what was left at the last look."""

    def __init__(self, pool: Pool, metrics: Metrics) -> None:
        self._pool = pool
        self._tail = Tail(0, 0.0, 0)
        self._sealed = Counter(
            "guildwire_ledger_sealed", "Transfers that this process has sealed", registry=metrics.registry
        )
        metrics.gauge("ledger_last_seal", "The number of the newest seal", lambda: self._tail.last_seal)
        metrics.gauge("ledger_unsealed", "Transfers that no seal covers yet", lambda: self._tail.waiting)
        text = "How long the oldest transfer without a seal had waited when last looked"
        metrics.gauge("ledger_unsealed_seconds", text, lambda: self._tail.waiting_s)

    async def run(self, now: datetime) -> dict[str, int]:
        """Seal the waiting transfers; on one node at a time."""
        done = await seal(self._pool)
        self._sealed.inc(done.transfers)
        await self.look()
        return {"seals": done.seals, "transfers": done.transfers}

    async def look(self) -> None:
        """Read the figures."""
        self._tail = await read_tail(self._pool)
