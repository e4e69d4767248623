"""Events of notices: what happened, in the past tense."""

from uuid import UUID

from protocol.delivery.channels import Channel
from protocol.events import Event, event
from protocol.ids import UserId
from protocol.notice.rows import Notice
from protocol.notification.types import ANY_CHANNEL, Importance, Party, Routing, tell


def _as_written(event: "NotificationSent") -> Routing:
    """By the channels that its author chose."""
    return frozenset(event.channels), Importance.CRITICAL if event.critical else Importance.TIMELY


@event(
    "notification.sent",
    tell=tell({Party.SELF}, ANY_CHANNEL, even_by_self=True, routing=_as_written),
    content=(Notice, "notice_id"),
)
class NotificationSent(Event, frozen=True, kw_only=True):
    """An admin sent the user a notice, which holds the text."""

    notice_id: UUID
    by: UserId
    channels: tuple[Channel, ...]
    critical: bool = False
