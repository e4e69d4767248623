"""Rows of notifications, written in the commit of the decision that causes them."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from protocol.events import Row
from protocol.ids import NotificationId, UserId


class OutboxEntry(Row, frozen=True, kw_only=True):
    """An event with recipients, written in the event's commit and deleted when it is fanned out."""

    table: ClassVar[str] = "outbox"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: UUID
    #: The event's type, which is the notification type's name.
    type: str
    kind: str
    entity_id: UUID
    #: The entity's version after the event; kind, id and version identify the event in every inbox.
    version: int
    #: The event: ids, codes and amounts.
    event: Struct
    recipients: tuple[UserId, ...]
    at: datetime


class NotificationReadRow(Row, frozen=True, kw_only=True):
    """One notification that was marked as read by its id."""

    table: ClassVar[str] = "notification_reads"
    key: ClassVar[tuple[str, ...]] = ("user_id", "notification_id")

    user_id: UserId
    notification_id: NotificationId
    read_at: datetime


class NotificationMarkRow(Row, frozen=True, kw_only=True):
    """The instant up to which a user has read everything."""

    table: ClassVar[str] = "notification_marks"
    key: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: UserId
    read_until: datetime
