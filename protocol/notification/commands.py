"""Commands to notifications."""

from typing import Annotated

from msgspec import Meta

from protocol.ids import Kind, NotificationId
from protocol.instants import Instant
from protocol.notification.terms import READ_AT_ONCE_MAX
from protocol.registry import Command, command
from protocol.roles import ANYONE


@command("notification.read", actor=Kind.USER, by=ANYONE, routes=("PUT /notifications/",))
class ReadNotifications(Command, frozen=True, kw_only=True):
    """Mark notifications as read, for all my devices; again is harmless."""

    notification_ids: Annotated[tuple[NotificationId, ...], Meta(max_length=READ_AT_ONCE_MAX)] = ()
    #: All that came up to then, such as the ``at`` of the newest one shown; later than now counts as now.
    read_until: Instant | None = None
