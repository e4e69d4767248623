"""Reads the development mailbox: messages of channels that have no provider."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from protocol.delivery.channels import Channel
from protocol.ids import DeliveryId
from storage.database import Pool
from storage.queries.page import Cursor


class MailboxMessage(Struct, frozen=True, kw_only=True):
    """One stored message."""

    id: int
    at: datetime
    channel: Channel
    delivery_id: DeliveryId
    #: The delivery's template; None: the delivery was deleted.
    template: str | None
    #: The message in its channel's form.
    message: dict[str, Any]


class MailboxPage(Struct, frozen=True, kw_only=True):
    """A page of messages, newest first."""

    items: list[MailboxMessage]
    #: None: this was the last page.
    next_cursor: str | None


_SELECT = """
SELECT m.id, m.at, m.channel, m.delivery_id, d.template, m.message
  FROM development_mailbox m LEFT JOIN deliveries d ON d.id = m.delivery_id
"""
_PAGE = f"""{_SELECT}
 WHERE ($1::text IS NULL OR m.channel = $1) AND m.id < coalesce($2, 9223372036854775807)
 ORDER BY m.id DESC LIMIT $3
"""
_cursor = Cursor(tuple[int])


async def read_mailbox(pool: Pool, channel: Channel | None, cursor: str | None, limit: int) -> MailboxPage:
    """Read a page. Raises: Invalid."""
    (before,) = _cursor.read(cursor) or (None,)
    messages = [_message(row) for row in await pool.fetch(_PAGE, channel, before, limit + 1)]
    shown, next_cursor = _cursor.page(messages, limit, lambda message: (message.id,))
    return MailboxPage(items=list(shown), next_cursor=next_cursor)


async def find_message(pool: Pool, number: int) -> MailboxMessage | None:
    """Read one message; None if there is none."""
    row = await pool.fetchrow(f"{_SELECT} WHERE m.id = $1", number)
    return None if row is None else _message(row)


def _message(row: Any) -> MailboxMessage:
    return msgspec.convert({**row, "message": msgspec.json.decode(row["message"])}, MailboxMessage)
