"""The jobs that delete, or archive, what is kept for a time only."""

from datetime import datetime, timedelta

from server.edge.job import Counts, Daily, Job, Run, removing
from server.ops.config import RetentionConfig
from storage.database import Pool
from storage.deliveries import forget_secrets
from storage.retention import archive_journals, forget_notifications, sweeping, trim_inboxes


def retention_jobs(pool: Pool, nightly: Daily, keep: RetentionConfig) -> list[Job]:
    """Make the jobs, as the section [retention] says."""

    def sweep(name: str, days: int, table: str, column: str) -> Job:
        return Job(name, nightly, removing(pool, timedelta(days=days), sweeping(table, column)))

    inbox, sms_and_webhooks, deliveries = keep.inbox_days, keep.unmatched_webhooks_days, keep.deliveries_days
    jobs = [
        Job("trim_inboxes", nightly, removing(pool, timedelta(days=inbox), trim_inboxes)),
        sweep("forget_acks", inbox, "inbox_acks", "at"),
        sweep("forget_answers", keep.command_log_days, "command_log", "at"),
        sweep("forget_unmatched_webhooks", sms_and_webhooks, "unmatched_webhooks", "received_at"),
        sweep("forget_inbound_messages", sms_and_webhooks, "sms_replies", "received_at"),
        sweep("forget_code_targets", 0, "code_targets", "expires_at"),
        sweep("forget_deliveries", deliveries, "deliveries", "finished_at"),
        sweep("forget_digests", deliveries, "digests", "day"),
        sweep("forget_digest_items", deliveries, "digest_items", "day"),
        Job("forget_secrets", nightly, removing(pool, timedelta(0), forget_secrets)),
        sweep("empty_mailbox", deliveries, "development_mailbox", "at"),
        Job("forget_notifications", nightly, _forgetting_notifications(pool, keep)),
        # A day later, so that no notification outlives its text.
        sweep("forget_notices", keep.notifications_unread_days + 1, "notices", "at"),
    ]
    if keep.journal_days:
        jobs.append(
            Job("archive_journals", nightly, removing(pool, timedelta(days=keep.journal_days), archive_journals))
        )
    return jobs


def _forgetting_notifications(pool: Pool, keep: RetentionConfig) -> Run:
    async def run(now: datetime) -> Counts:
        read_before = now - timedelta(days=keep.notifications_read_days)
        unread_before = now - timedelta(days=keep.notifications_unread_days)
        return {"rows": await forget_notifications(pool, read_before=read_before, unread_before=unread_before)}

    return run
