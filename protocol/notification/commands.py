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
    """Mark notifications as read on all my devices; repeating it is harmless."""

    notification_ids: Annotated[tuple[NotificationId, ...], Meta(max_length=READ_AT_ONCE_MAX)] = ()
    #: Mark all up to this instant, such as the ``at`` of the newest one shown; a future instant counts as now.
    read_until: Instant | None = None
