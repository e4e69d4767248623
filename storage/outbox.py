"""The outbox: entries for events that people are to be notified of, turned into one notification for each of them."""

from storage.database import Pool

#: Entries that one statement takes.
TAKE_MAX = 500

_TELL = """
WITH next AS (
    SELECT id FROM outbox ORDER BY at, id LIMIT $1 FOR UPDATE SKIP LOCKED),
taken AS (
    DELETE FROM outbox a USING next WHERE a.id = next.id RETURNING a.*),
told AS (
    INSERT INTO notifications (user_id, id, type, kind, entity_id, version, event, at)
    SELECT recipient, t.id, t.type, t.kind, t.entity_id, t.version, t.event, t.at
      FROM taken t CROSS JOIN unnest(t.recipients) recipient),
queued AS (
    INSERT INTO notification_queue (user_id, notification_id, at)
    SELECT recipient, t.id, t.at FROM taken t CROSS JOIN unnest(t.recipients) recipient)
SELECT count(*) FROM taken
"""


async def tell(pool: Pool) -> int:
    """Turn waiting entries into notifications, and queue those to be planned; returns how many it took.

    Several nodes may do so at once.
    """
    return int(await pool.fetchval(_TELL, TAKE_MAX))
