"""Views of notifications, and the queries that return them."""

from datetime import datetime

from protocol.ids import NotificationId
from protocol.notification.terms import Wanted
from protocol.registry import PAGE_LIMIT_DEFAULT, PageLimit, Query, View, query
from protocol.roles import ANYONE


class NotificationView(View, frozen=True, kw_only=True):
    """One notification, in its reader's language."""

    id: NotificationId
    #: The type of the event that caused it.
    type: str
    title: str
    body: str
    #: The entity that it is about: ``booking/<id>``.
    entity: str
    read: bool
    at: datetime


class NotificationPage(View, frozen=True, kw_only=True):
    """A page of notifications, newest first."""

    items: list[NotificationView]
    #: Number of all unread notifications, 100 at most.
    unread_count: int
    #: None: this was the last page.
    next_cursor: str | None
    as_of: str


@query("notification.list", by=ANYONE, view=NotificationPage, routes=("GET /notifications/",))
class ListNotifications(Query, frozen=True, kw_only=True):
    """My notifications."""

    show: Wanted = Wanted.ALL
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None
