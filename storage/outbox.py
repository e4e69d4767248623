"""The outbox: events with recipients, fanned out into one notification for each recipient."""

from storage.database import Pool

#: Outbox entries that one statement takes.
TAKE_MAX = 500

_FAN_OUT = """
WITH next AS (
    SELECT id FROM outbox ORDER BY at, id LIMIT $1 FOR UPDATE SKIP LOCKED),
taken AS (
    DELETE FROM outbox a USING next WHERE a.id = next.id RETURNING a.*),
notified AS (
    INSERT INTO notifications (user_id, id, type, kind, entity_id, version, event, at)
    SELECT recipient, t.id, t.type, t.kind, t.entity_id, t.version, t.event, t.at
      FROM taken t CROSS JOIN unnest(t.recipients) recipient),
queued AS (
    INSERT INTO routing_queue (user_id, notification_id, at)
    SELECT recipient, t.id, t.at FROM taken t CROSS JOIN unnest(t.recipients) recipient)
SELECT count(*) FROM taken
"""


async def fan_out(pool: Pool) -> int:
    """Turn waiting outbox entries into notifications and queue these for routing; returns how many entries it took.

    Several nodes may run it at once.
    """
    return int(await pool.fetchval(_FAN_OUT, TAKE_MAX))
