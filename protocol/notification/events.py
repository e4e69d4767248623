"""Events of notifications: what happened, in the past tense."""

from datetime import datetime

from protocol.events import Event, event
from protocol.ids import NotificationId


@event("notifications.read")
class NotificationsRead(Event, frozen=True, kw_only=True):
    """Notifications were read: these, or all up to an instant."""

    notification_ids: tuple[NotificationId, ...] = ()
    read_until: datetime | None = None
