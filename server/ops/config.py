"""The configuration of operations: database, background jobs, retention and logs."""

from typing import Annotated, Literal

from msgspec import Meta

from server.edge.config import ConfigError, Section

Days = Annotated[int, Meta(ge=1, le=36_500)]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)")]
PostgresUrl = Annotated[str, Meta(pattern=r"^(postgres(ql)?://.*)?$(?!\n)")]


class DatabaseConfig(Section, frozen=True, kw_only=True):
    """[database]: the Postgres to use; the embedded one if there is no URL."""

    url: PostgresUrl = ""
    pool_max: Annotated[int, Meta(ge=2, le=100)] = 10
    #: Connections that commit; 1 is enough for most installations, chat gains from 2.
    committers: Annotated[int, Meta(ge=1, le=8)] = 1


class JobsConfig(Section, frozen=True, kw_only=True):
    """[jobs]: background jobs."""

    #: When nightly jobs begin: a time of day in UTC, ``HH:MM``.
    nightly_at: TimeOfDay = "03:17"


class RetentionConfig(Section, frozen=True, kw_only=True):
    """[retention]: how long data that is not permanent is kept, in days."""

    #: Inboxes; a client that was offline for longer gets a reset.
    inbox_days: Days = 30
    #: Stored replies; a command that is retried later is decided again.
    command_log_days: Days = 7
    #: Webhooks of payment gateways that changed nothing.
    unmatched_webhooks_days: Days = 90
    #: Deliveries that were sent, skipped or are dead, and the development mailbox.
    deliveries_days: Days = 30
    #: Notifications that were read, and unread ones, including the texts of admins.
    notifications_read_days: Days = 90
    notifications_unread_days: Days = 365
    #: Journals of actors without events for longer move to the archive; 0 for never.
    journal_days: Annotated[int, Meta(ge=0, le=36_500)] = 400

    def check(self) -> None:
        """Check the periods against each other. Raises: ConfigError."""
        if 0 < self.journal_days <= self.inbox_days:
            raise ConfigError("retention.journal_days: must be longer than retention.inbox_days, or 0")
        if self.notifications_unread_days < self.notifications_read_days:
            raise ConfigError("retention.notifications_unread_days: must not be shorter than notifications_read_days")


class LogConfig(Section, frozen=True, kw_only=True):
    """[log]"""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
