"""Read one actor's whole journal, archived events included, and its stored state."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from protocol.ids import Ref, UserId
from storage.database import Connection, Pool

#: Events fetched at once.
EVENTS_PAGE = 200
#: Bookings named when several have the same number.
SAME_NUMBER_MAX = 10


class StoredState(Struct, frozen=True, kw_only=True):
    """An actor's row, with its state."""

    version: int
    schema: int
    #: JSON.
    state: str


class JournalEvent(Struct, frozen=True, kw_only=True):
    """One event of an actor's journal."""

    version: int
    at: datetime
    type: str
    schema: int
    #: JSON.
    data: str
    principal: UserId
    cause: str


JOURNAL = """
SELECT version, at, type, schema, data::text AS data, principal, cause
  FROM journal_all WHERE kind = $1 AND id = $2 ORDER BY version
"""


async def load_state(connection: Connection, to: Ref) -> StoredState | None:
    """Read an actor's row; None: there is none."""
    row = await connection.fetchrow(
        "SELECT version, schema, state::text AS state FROM actors WHERE kind = $1 AND id = $2", to.kind, to.id
    )
    return None if row is None else StoredState(**row)


async def read_journal(connection: Connection, to: Ref) -> AsyncIterator[JournalEvent]:
    """Read an actor's events in order, within the connection's transaction."""
    async for row in connection.cursor(JOURNAL, to.kind, to.id, prefetch=EVENTS_PAGE):
        yield JournalEvent(**row)


async def booking_ids(pool: Pool, number: str) -> list[UUID]:
    """Return the ids of the bookings with a human number, some of them if there are many; usually one."""
    rows = await pool.fetch("SELECT id FROM bookings WHERE number = $1 ORDER BY id LIMIT $2", number, SAME_NUMBER_MAX)
    return [row["id"] for row in rows]
