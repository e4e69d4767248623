"""The background jobs of a node, one line each: name, when, what."""

from collections.abc import Awaitable, Callable
from datetime import datetime, time, timedelta

from server.config import Config
from server.node import Node
from server.ops.jobs import Counts, Daily, Every, Job
from server.ops.ledger import SEAL_EVERY_S, LedgerSealer
from storage.database import Pool
from storage.retention import sweep


def jobs_of(node: Node, config: Config) -> list[Job]:
    """Every job."""
    nightly, keep = Daily(time.fromisoformat(config.jobs.nightly_at)), config.retention
    sealer = LedgerSealer(node.pool, node.metrics)
    node.agenda.every("ledger figures", SEAL_EVERY_S, sealer.look)
    return [
        Job("ledger.seal", Every(SEAL_EVERY_S), sealer.run),
        Job("retention.command_log", nightly, _sweeping(node.pool, "command_log", "at", keep.command_log_days)),
        Job("retention.inbox_acks", nightly, _sweeping(node.pool, "inbox_acks", "at", keep.inbox_days)),
        Job(
            "retention.gateway_events",
            nightly,
            _sweeping(node.pool, "gateway_events", "received_at", keep.gateway_events_days),
        ),
    ]


def _sweeping(pool: Pool, table: str, column: str, days: int) -> Callable[[datetime], Awaitable[Counts]]:
    """Delete a table's rows that are older than so many days."""

    async def run(now: datetime) -> Counts:
        return {"rows": await sweep(pool, table, column, now - timedelta(days=days))}

    return run
