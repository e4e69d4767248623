"""Read rows of notifications, written in the commit of the decision that they follow from."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from protocol.events import Row
from protocol.ids import NotificationId, UserId


class OutboxEntry(Row, frozen=True, kw_only=True):
    """An event that people are to be told of, written in the commit of the event; gone once they are."""

    table: ClassVar[str] = "outbox"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: UUID
    #: The event's type, and the name of the notification.
    type: str
    kind: str
    entity_id: UUID
    #: The entity's version after the event; with kind and id it is the event's place in every inbox.
    version: int
    #: The event itself: ids, codes and amounts.
    event: Struct
    recipients: tuple[UserId, ...]
    at: datetime


class NotificationReadRow(Row, frozen=True, kw_only=True):
    """One notification that was read by itself."""

    table: ClassVar[str] = "notification_reads"
    key: ClassVar[tuple[str, ...]] = ("user_id", "notification_id")

    user_id: UserId
    notification_id: NotificationId
    read_at: datetime


class NotificationMarkRow(Row, frozen=True, kw_only=True):
    """Up to when somebody has read everything."""

    table: ClassVar[str] = "notification_marks"
    key: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: UserId
    read_until: datetime
