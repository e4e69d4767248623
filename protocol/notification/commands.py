"""What can be done with notifications, and what happens to them. The user's own actor decides."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from protocol.catalogue import Command, command
from protocol.events import Event
from protocol.ids import Kind, NotificationId
from protocol.instants import Instant
from protocol.roles import ANYONE

#: Notifications that one command names.
READ_AT_ONCE_MAX = 100


class NotificationsRead(Event, frozen=True, kw_only=True):
    """Notifications were read: these, or all up to an instant."""

    notification_ids: tuple[NotificationId, ...] = ()
    read_until: datetime | None = None


class UnreadNotifications(Struct, frozen=True):
    """Which of those that a command names are the user's own, and unread. May be stale: to read twice is harmless."""

    notification_ids: frozenset[NotificationId]


@command("notification.read", actor=Kind.USER, by=ANYONE, routes=("PUT /notifications/",))
class ReadNotifications(Command, frozen=True, kw_only=True):
    """Mark notifications as read, for all my devices; again is harmless."""

    notification_ids: Annotated[tuple[NotificationId, ...], Meta(max_length=READ_AT_ONCE_MAX)] = ()
    #: All that came up to then, such as the ``at`` of the newest one shown; later than now counts as now.
    read_until: Instant | None = None
