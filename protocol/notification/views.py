"""What is kept of notifications, and how people see and ask for theirs."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from protocol.catalogue import PAGE_LIMIT_DEFAULT, PageLimit, Query, View, query
from protocol.events import Row
from protocol.ids import NotificationId, UserId
from protocol.roles import ANYONE

#: Unread notifications are counted up to here; a client shows "99+".
UNREAD_MAX = 100


class Announcement(Row, frozen=True, kw_only=True):
    """An event that people are to be told of, written in the commit of the event; gone once they are."""

    table: ClassVar[str] = "announcements"
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


class Wanted(StrEnum):
    """Which notifications to list."""

    ALL = "all"
    UNREAD = "unread"


class NotificationView(View, frozen=True, kw_only=True):
    """One notification, in its reader's language."""

    id: NotificationId
    #: The type of the event that it comes from.
    type: str
    title: str
    body: str
    #: What it is about: ``booking/<id>``.
    entity: str
    read: bool
    at: datetime


class NotificationPage(View, frozen=True, kw_only=True):
    """A page of notifications, the latest first."""

    items: list[NotificationView]
    #: How many of all of them are unread, 100 at most.
    unread_count: int
    #: None: this was the last page.
    next_cursor: str | None
    as_of: str


@query("notification.list", by=ANYONE, view=NotificationPage, routes=("GET /notifications/",))
class ListNotifications(Query, frozen=True, kw_only=True):
    """What I was told of."""

    show: Wanted = Wanted.ALL
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None
