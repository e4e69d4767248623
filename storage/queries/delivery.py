"""Lists deliveries for admins, and replays dead ones."""

from datetime import datetime
from uuid import UUID

import msgspec

from protocol.delivery.channels import Channel
from protocol.delivery.terms import REPLAY_MAX
from protocol.delivery.views import DeliveryPage, DeliveryView, ListDeliveries
from protocol.errors import NotFound
from protocol.ids import DeliveryId
from protocol.instants import Instant
from protocol.roles import Principal
from storage.database import Pool
from storage.queries.page import Cursor
from storage.registry import answers

_COLUMNS = ", ".join(DeliveryView.__struct_fields__)

#: $1: the state, $2: the channel or null, $3: the reason or null, $4, $5: the last row shown or null, $6: rows.
LIST = f"""
SELECT {_COLUMNS} FROM deliveries
 WHERE state = $1 AND ($2::text IS NULL OR channel = $2) AND ($3::text IS NULL OR reason = $3)
   AND (coalesce(finished_at, due_at), id)
       < (coalesce($4, 'infinity'::timestamptz), coalesce($5, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
 ORDER BY coalesce(finished_at, due_at) DESC, id DESC LIMIT $6
"""
_AGAIN = "state = 'waiting', due_at = $1, finished_at = NULL, earlier_attempts = attempts"
_REPLAY = f"UPDATE deliveries SET {_AGAIN} WHERE id = $2 AND state = 'dead' RETURNING {_COLUMNS}"
_FIND = f"SELECT {_COLUMNS} FROM deliveries WHERE id = $1"
_REPLAY_ALL = f"""
WITH chosen AS (
    SELECT id FROM deliveries
     WHERE state = 'dead' AND channel = $2 AND ($3::text IS NULL OR reason = $3)
       AND coalesce(finished_at, due_at) <= coalesce($4, clock_timestamp())
     ORDER BY coalesce(finished_at, due_at), id LIMIT $5 FOR UPDATE SKIP LOCKED)
UPDATE deliveries SET {_AGAIN} WHERE id IN (SELECT id FROM chosen)
"""
_cursor = Cursor(tuple[Instant, UUID])


@answers(ListDeliveries)
async def list_deliveries(pool: Pool, query: ListDeliveries, principal: Principal) -> DeliveryPage:
    """Return a page of deliveries. Raises: Invalid."""
    after = _cursor.read(query.cursor) or (None, None)
    rows = await pool.fetch(LIST, query.state, query.channel, query.reason, *after, query.limit + 1)
    items = [msgspec.convert(dict(row), DeliveryView) for row in rows]
    shown, next_cursor = _cursor.page(items, query.limit, lambda one: (one.finished_at or one.due_at, one.id))
    return DeliveryPage(items=list(shown), next_cursor=next_cursor)


async def replay(pool: Pool, delivery_id: DeliveryId, now: datetime) -> DeliveryView:
    """Replay a delivery if it is dead; returns its state afterwards. Raises: NotFound."""
    # The row as this statement wrote it: a worker may take it right after.
    row = await pool.fetchrow(_REPLAY, now, delivery_id) or await pool.fetchrow(_FIND, delivery_id)
    if row is None:
        raise NotFound(entity="delivery")
    return msgspec.convert(dict(row), DeliveryView)


async def replay_all(pool: Pool, channel: Channel, reason: str | None, until: datetime | None, now: datetime) -> int:
    """Replay dead deliveries, REPLAY_MAX at most; returns how many."""
    status = await pool.execute(_REPLAY_ALL, now, channel, reason, until, REPLAY_MAX)
    return int(status.rpartition(" ")[2])
