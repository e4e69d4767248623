"""Facts that decisions about notifications are made on, loaded before the turn."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from protocol.ids import NotificationId, UserId


class UnreadAsk(NamedTuple):
    """Whose notifications, and which of them."""

    user_id: UserId
    notification_ids: Sequence[NotificationId]


class UnreadNotifications(Struct, frozen=True):
    """Which of those that a command names are the user's own, and unread. May be stale: to read twice is harmless."""

    notification_ids: frozenset[NotificationId]
