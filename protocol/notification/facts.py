"""Facts for decisions about notifications, loaded before the turn."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from protocol.ids import NotificationId, UserId


class UnreadAsk(NamedTuple):
    """Whose notifications, and which of them."""

    user_id: UserId
    notification_ids: Sequence[NotificationId]


class UnreadNotifications(Struct, frozen=True):
    """The named notifications that are the user's own and unread. May be stale: reading twice is harmless."""

    notification_ids: frozenset[NotificationId]
