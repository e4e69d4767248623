"""Lists notifications, each rendered in its reader's language."""

from protocol.notification.views import ListNotifications, NotificationPage
from protocol.roles import Principal
from server.delivery.renderer import NotificationRenderer, load_notification_context
from server.words.languages import language
from storage.database import Pool
from storage.queries.notification import read_notifications
from storage.registry import answers


@answers(ListNotifications)
async def list_notifications(pool: Pool, query: ListNotifications, principal: Principal) -> NotificationPage:
    """Return a page of the caller's notifications. Raises: Invalid."""
    page = await read_notifications(pool, query, principal)
    context = await load_notification_context(pool, page.items)
    renderer = NotificationRenderer(language(page.language), page.zone, context)
    return NotificationPage(
        items=[renderer.render(one) for one in page.items],
        unread_count=page.unread_count,
        next_cursor=page.next_cursor,
        as_of=page.as_of,
    )
