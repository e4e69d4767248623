"""Reading the mailbox of development: what channels without a provider would have sent."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from protocol.delivery.channels import Channel
from protocol.ids import DeliveryId
from storage.database import Pool
from storage.queries.page import Cursor


class Letter(Struct, frozen=True, kw_only=True):
    """One message that was kept."""

    id: int
    at: datetime
    channel: Channel
    delivery_id: DeliveryId
    #: Whose words it has; None: its delivery is forgotten.
    template: str | None
    #: The message as its channel has it.
    message: dict[str, Any]


class LetterPage(Struct, frozen=True, kw_only=True):
    """A page of them, the newest first."""

    items: list[Letter]
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


async def read_mailbox(pool: Pool, channel: Channel | None, cursor: str | None, limit: int) -> LetterPage:
    """Give a page. Raises: Invalid."""
    (before,) = _cursor.read(cursor) or (None,)
    letters = [_letter(row) for row in await pool.fetch(_PAGE, channel, before, limit + 1)]
    shown, next_cursor = _cursor.page(letters, limit, lambda letter: (letter.id,))
    return LetterPage(items=list(shown), next_cursor=next_cursor)


async def find_letter(pool: Pool, number: int) -> Letter | None:
    """Give one of them."""
    row = await pool.fetchrow(f"{_SELECT} WHERE m.id = $1", number)
    return None if row is None else _letter(row)


def _letter(row: Any) -> Letter:
    return msgspec.convert({**row, "message": msgspec.json.decode(row["message"])}, Letter)
