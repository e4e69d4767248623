"""The background jobs of a node, one line each: name, when, what."""

from collections.abc import Awaitable, Callable
from datetime import datetime, time, timedelta

from actors.actor import ACTORS
from server.app.config import Config, RetentionConfig
from server.app.node import Node
from server.ops.jobs import Counts, Daily, Every, Job
from server.ops.ledger_sealing import SEAL_EVERY_S, LedgerSealer
from server.ops.nightly_verify import VERIFY_MAX_S, NightlyVerification
from server.ops.suggestion_counter import COUNT_EVERY_S, SuggestionCounter
from storage.database import Pool
from storage.deliveries import forget_secrets
from storage.retention import archive_journals, forget_notifications, sweeping, trim_inboxes

Run = Callable[[datetime], Awaitable[Counts]]

#: Answers of a language model that are too old are deleted this often.
LLM_CACHE_SWEEP_EVERY_S = 3600
#: What users have cost is kept so long.
LLM_SPENDING_KEPT = timedelta(days=90)


def jobs_of(node: Node, config: Config) -> list[Job]:
    """Every job."""
    nightly = Daily(time.fromisoformat(config.jobs.nightly_at))
    sealer = LedgerSealer(node.pool, node.metrics)
    node.agenda.every("ledger figures", SEAL_EVERY_S, sealer.look)
    proof = NightlyVerification(node.pool, ACTORS)
    node.metrics.registry.register(proof)
    suggestions = SuggestionCounter(node.pool)
    node.metrics.registry.register(suggestions)
    node.agenda.every("suggestion figures", COUNT_EVERY_S, suggestions.look)
    return [
        Job("ledger.seal", Every(SEAL_EVERY_S), sealer.run),
        Job("suggestions.count", Every(COUNT_EVERY_S), suggestions.run),
        Job(
            "forget_llm_cache",
            Every(LLM_CACHE_SWEEP_EVERY_S),
            _removing(node.pool, timedelta(0), sweeping("llm_cache", "expires_at")),
        ),
        Job("forget_llm_spending", nightly, _removing(node.pool, LLM_SPENDING_KEPT, sweeping("llm_spending", "day"))),
        Job("verify", nightly, proof.run, VERIFY_MAX_S, proof.tell),
        *retention_jobs(node.pool, nightly, config.retention),
    ]


def _removing(pool: Pool, kept: timedelta, remove: Callable[[Pool, datetime], Awaitable[int]]) -> Run:
    """What deletes, or moves, what is older than that."""

    async def run(now: datetime) -> Counts:
        return {"rows": await remove(pool, now - kept)}

    return run


def retention_jobs(pool: Pool, nightly: Daily, keep: RetentionConfig) -> list[Job]:
    """What goes, or moves, when it is old enough."""

    def removing(days: int, remove: Callable[[Pool, datetime], Awaitable[int]]) -> Run:
        return _removing(pool, timedelta(days=days), remove)

    odd_events = sweeping("gateway_events", "received_at")
    answers_to_sms = sweeping("inbound_messages", "received_at")
    notices = sweeping("notices", "at")
    jobs = [
        Job("trim_inboxes", nightly, removing(keep.inbox_days, trim_inboxes)),
        Job("forget_acks", nightly, removing(keep.inbox_days, sweeping("inbox_acks", "at"))),
        Job("forget_answers", nightly, removing(keep.command_log_days, sweeping("command_log", "at"))),
        Job("forget_gateway_events", nightly, removing(keep.gateway_events_days, odd_events)),
        Job("forget_inbound_messages", nightly, removing(keep.gateway_events_days, answers_to_sms)),
        Job("forget_code_targets", nightly, removing(0, sweeping("code_targets", "expires_at"))),
        Job("forget_deliveries", nightly, removing(keep.deliveries_days, sweeping("deliveries", "finished_at"))),
        Job("forget_digests", nightly, removing(keep.deliveries_days, sweeping("digests", "day"))),
        Job("forget_digest_items", nightly, removing(keep.deliveries_days, sweeping("digest_items", "day"))),
        Job("forget_secrets", nightly, removing(0, forget_secrets)),
        Job("empty_mailbox", nightly, removing(keep.deliveries_days, sweeping("mailbox", "at"))),
        Job("forget_notifications", nightly, _forgetting_notifications(pool, keep)),
        # A day later, so that no notification outlives its text.
        Job("forget_notices", nightly, removing(keep.notifications_unread_days + 1, notices)),
    ]
    if keep.journal_days:
        jobs.append(Job("archive_journals", nightly, removing(keep.journal_days, archive_journals)))
    return jobs


def _forgetting_notifications(pool: Pool, keep: RetentionConfig) -> Run:
    async def run(now: datetime) -> Counts:
        read_before = now - timedelta(days=keep.notifications_read_days)
        unread_before = now - timedelta(days=keep.notifications_unread_days)
        return {"rows": await forget_notifications(pool, read_before=read_before, unread_before=unread_before)}

    return run
