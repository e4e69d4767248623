"""Seals the ledger as a background job, with metrics."""

from datetime import datetime

from server.edge.metrics import Metrics
from storage.database import Pool
from storage.seal import Tail, read_tail, seal

#: How often the ledger is sealed, and how often every node reads the metrics.
SEAL_EVERY_S = 60


class LedgerSealer:
    """Seals new transfers, and publishes the number that is not sealed yet."""

    def __init__(self, pool: Pool, metrics: Metrics) -> None:
        self._pool = pool
        self._tail = Tail(0, 0.0, 0)
        self._sealed = 0
        metrics.total("ledger_sealed", "Transfers that this process has sealed", lambda: {"": self._sealed})
        metrics.gauge("ledger_last_seal", "The number of the newest seal", lambda: self._tail.last_seal)
        metrics.gauge("ledger_unsealed", "Transfers that no seal covers yet", lambda: self._tail.waiting)
        text = "Age of the oldest transfer without a seal at the last look-up"
        metrics.gauge("ledger_unsealed_seconds", text, lambda: self._tail.waiting_s)

    async def run(self, now: datetime) -> dict[str, int]:
        """Seal the transfers that have no seal yet; one node at a time does so."""
        done = await seal(self._pool)
        self._sealed += done.transfers
        await self.refresh()
        return {"seals": done.seals, "transfers": done.transfers}

    async def refresh(self) -> None:
        """Read the metrics from the database."""
        self._tail = await read_tail(self._pool)
