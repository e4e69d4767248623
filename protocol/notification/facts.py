"""Facts for decisions about notifications, loaded before the turn."""

from msgspec import Struct

from protocol.ids import NotificationId


class UnreadNotifications(Struct, frozen=True):
    """The named notifications that are the user's own and unread. May be stale: reading twice is harmless."""

    notification_ids: frozenset[NotificationId]
