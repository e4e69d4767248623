"""Notifications in words: each in its reader's language, with names, times and amounts."""

from protocol.notification.views import ListNotifications, NotificationPage
from protocol.roles import Principal
from server.delivery.renderer import NotificationRenderer, load_scene
from server.words import language
from storage.database import Pool
from storage.queries.notification import read_notifications
from storage.registry import answers


@answers(ListNotifications)
async def list_notifications(pool: Pool, query: ListNotifications, principal: Principal) -> NotificationPage:
    """Show somebody what they were told of. Raises: Invalid."""
    page = await read_notifications(pool, query, principal)
    scene = await load_scene(pool, page.items)
    teller = NotificationRenderer(language(page.language), scene)
    return NotificationPage(
        items=[teller.tell(kept) for kept in page.items],
        unread_count=page.unread_count,
        next_cursor=page.next_cursor,
        as_of=page.as_of,
    )
