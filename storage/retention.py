"""Deletion and archiving of old rows, in small statements without long locks or transactions."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from uuid import UUID

from storage.database import Pool
from storage.queries.notification import READ

#: Blocks of 8 KiB that one statement scans, which also bounds the rows that it deletes.
SWEEP_BLOCKS_MAX = 256
#: Inboxes that one statement trims, and rows of each that it deletes.
TRIM_USERS_MAX = 200
TRIM_ROWS_MAX = 100
#: Blocks of the journal that one statement searches for actors at rest, actors that it moves, and events of each.
ARCHIVE_BLOCKS_MAX = 256
ARCHIVE_ACTORS_MAX = 100
ARCHIVE_EVENTS_MAX = 500

#: A ctid: a block, and a row in it.
TupleId = tuple[int, int]

#: $1: the user after whom to continue, $2: before when, $3: users, $4: rows of each.
#: The newest row of an inbox stays, so that its rows always end at its counter.
TRIM = """
WITH page AS MATERIALIZED (
    SELECT user_id, seq FROM inbox_counters WHERE user_id > $1 ORDER BY user_id LIMIT $3),
old AS MATERIALIZED (
    SELECT p.user_id, f.seq AS first, least(p.seq, f.seq + $4) AS stop
      FROM page p
     CROSS JOIN LATERAL (SELECT i.seq, i.at FROM inbox i WHERE i.user_id = p.user_id ORDER BY i.seq LIMIT 1) f
     WHERE f.at < $2),
doomed AS MATERIALIZED (
    SELECT f.place FROM old o
     CROSS JOIN LATERAL (
        SELECT i.ctid AS place, bool_and(i.at < $2) OVER (ORDER BY i.seq) AS beginning FROM inbox i
         WHERE i.user_id = o.user_id AND i.seq >= o.first AND i.seq < o.stop) f
     WHERE f.beginning),
deleted AS (
    DELETE FROM inbox WHERE ctid = ANY (ARRAY(SELECT place FROM doomed)) RETURNING user_id)
SELECT (SELECT user_id FROM page ORDER BY user_id DESC LIMIT 1) AS last,
       (SELECT count(*) FROM page) AS users,
       (SELECT count(*) FROM deleted) AS deleted,
       EXISTS (SELECT FROM deleted GROUP BY user_id HAVING count(*) >= $4) AS more
"""

#: $1, $2: the blocks, $3: read notifications before this are deleted, $4: all before this.
#: The blocks are materialized first: otherwise the planner would search a whole index in every step.
FORGET_NOTIFICATIONS = f"""
WITH old AS MATERIALIZED (
    SELECT ctid AS place, user_id, id, at FROM notifications WHERE ctid >= $1::tid AND ctid < $2::tid AND at < $3),
doomed AS MATERIALIZED (
    SELECT n.place, n.user_id, n.id FROM old n LEFT JOIN notification_marks m USING (user_id)
     WHERE n.at < $4 OR {READ}),
unmarked AS (
    DELETE FROM notification_reads r USING doomed d WHERE r.user_id = d.user_id AND r.notification_id = d.id),
gone AS (
    DELETE FROM notifications WHERE ctid = ANY (ARRAY(SELECT place FROM doomed)) RETURNING id)
SELECT count(*) FROM gone
"""
#: Read marks without a notification of the same user. $1, $2: the blocks, $3: before when.
FORGET_STRAY_READS = """
WITH old AS MATERIALIZED (
    SELECT ctid AS place, user_id, notification_id FROM notification_reads
     WHERE ctid >= $1::tid AND ctid < $2::tid AND read_at < $3)
DELETE FROM notification_reads WHERE ctid = ANY (ARRAY(
    SELECT o.place FROM old o
     WHERE NOT EXISTS (SELECT FROM notifications n WHERE n.user_id = o.user_id AND n.id = o.notification_id)))
"""

#: $1, $2: the blocks, $3: before when, $4: actors, $5: events of each.
ARCHIVE = """
WITH old AS MATERIALIZED (
    SELECT DISTINCT kind, id FROM journal WHERE ctid >= $1::tid AND ctid < $2::tid AND at < $3),
quiet AS MATERIALIZED (
    SELECT o.kind, o.id, (SELECT min(f.version) FROM journal f WHERE f.kind = o.kind AND f.id = o.id) AS first
      FROM old o
      JOIN actors a ON a.kind = o.kind AND a.id = o.id
      JOIN journal l ON l.kind = a.kind AND l.id = a.id AND l.version = a.version
     WHERE l.at < $3
       AND NOT EXISTS (SELECT FROM agenda t WHERE t.kind = o.kind AND t.actor_id = o.id AND t.name IS NOT NULL)
     LIMIT $4),
moved AS (
    DELETE FROM journal j USING quiet q
     WHERE j.kind = q.kind AND j.id = q.id AND j.version BETWEEN q.first AND q.first + $5 - 1
    RETURNING j.*)
INSERT INTO journal_archive
SELECT kind, id, min(version), max(version), array_agg(type ORDER BY version), array_agg(schema ORDER BY version),
       array_agg(data ORDER BY version), array_agg(at ORDER BY version), array_agg(principal ORDER BY version),
       array_agg(cause ORDER BY version)
  FROM moved GROUP BY kind, id
RETURNING cardinality(types)
"""


def sweeping(table: str, column: str) -> Callable[[Pool, datetime], Awaitable[int]]:
    """Make a function that deletes a table's rows by the age of a column, and returns how many.

    It scans the whole table, block by block: one sequential scan a night, instead of an index that every insert would
    have to update.
    """
    sql = f"DELETE FROM {table} WHERE ctid >= $1::tid AND ctid < $2::tid AND {column} < $3"

    async def sweep(pool: Pool, before: datetime) -> int:
        deleted = 0
        async for here in _steps(pool, table):
            status = await pool.execute(sql, *here, before)
            deleted += int(status.rpartition(" ")[2])
        return deleted

    return sweep


async def forget_notifications(pool: Pool, *, read_before: datetime, unread_before: datetime) -> int:
    """Delete read notifications from before one instant, and all from before another; returns how many.

    Their read marks are deleted as well.
    """
    forgotten = 0
    async for here in _steps(pool, "notifications"):
        forgotten += int(await pool.fetchval(FORGET_NOTIFICATIONS, *here, read_before, unread_before))
    async for here in _steps(pool, "notification_reads"):
        await pool.execute(FORGET_STRAY_READS, *here, read_before)
    return forgotten


async def trim_inboxes(pool: Pool, before: datetime) -> int:
    """Delete inbox rows from before an instant, and return how many.

    In each inbox the rows before the first one that is not older are deleted, but never the last row: what is left is
    contiguous and ends at its counter. A client that resumes from a deleted row gets a reset.
    """
    after, trimmed = UUID(int=0), 0
    while True:
        row = await pool.fetchrow(TRIM, after, before, TRIM_USERS_MAX, TRIM_ROWS_MAX)
        assert row is not None
        trimmed += int(row["deleted"])
        if row["more"]:
            continue
        if row["users"] < TRIM_USERS_MAX:
            return trimmed
        after = row["last"]


async def archive_journals(pool: Pool, before: datetime) -> int:
    """Move the journals of actors at rest since before an instant to the archive, and return how many events.

    An actor is at rest if it has no event since and no timer. Its later events go to ``journal``, and can be moved too.
    """
    moved = 0
    for first in range(0, await _blocks(pool, "journal"), ARCHIVE_BLOCKS_MAX):
        here = (first, 0), (first + ARCHIVE_BLOCKS_MAX, 0)
        while rows := await pool.fetch(ARCHIVE, *here, before, ARCHIVE_ACTORS_MAX, ARCHIVE_EVENTS_MAX):
            moved += sum(int(row[0]) for row in rows)
    return moved


async def _steps(pool: Pool, table: str) -> AsyncIterator[tuple[TupleId, TupleId]]:
    """Yield the ranges of blocks of a table at its present size."""
    for first in range(0, await _blocks(pool, table), SWEEP_BLOCKS_MAX):
        yield (first, 0), (first + SWEEP_BLOCKS_MAX, 0)


async def _blocks(pool: Pool, table: str) -> int:
    """The number of blocks of a table."""
    sql = "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::int"
    return int(await pool.fetchval(sql, table))
