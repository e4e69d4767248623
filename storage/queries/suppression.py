"""Reading, at the moment of sending, what people have heeded by now, and what their digests are to list."""

from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from protocol.ids import DeliveryId, NotificationId, UserId
from storage.database import Pool
from storage.queries.notification import READ

#: How far back in its reader's inbox an event is looked for; one that is further back counts as not acknowledged.
LOOK_BACK_MAX = 500

#: One notification to one reader.
Key = tuple[UserId, NotificationId]


class Heed(Struct, frozen=True):
    """What became of a notification in its reader's apps."""

    #: A device of theirs got the event live.
    delivered: bool
    #: They saw the event, or read the notification.
    seen: bool


_HEED = f"""
SELECT n.user_id, n.id, coalesce(a.delivered >= i.seq, false) AS delivered,
       coalesce(a.seen >= i.seq, false) OR {READ} AS seen
  FROM unnest($1::uuid[], $2::uuid[]) w(user_id, id)
  JOIN notifications n ON n.user_id = w.user_id AND n.id = w.id
  LEFT JOIN notification_marks m ON m.user_id = n.user_id
  LEFT JOIN LATERAL (
    SELECT max(delivered) AS delivered, max(seen) AS seen FROM inbox_acks WHERE user_id = n.user_id) a ON true
  LEFT JOIN inbox_counters c ON c.user_id = n.user_id
  LEFT JOIN LATERAL (
    SELECT x.seq FROM inbox x
     WHERE x.user_id = n.user_id AND x.seq > c.seq - {LOOK_BACK_MAX}
       AND x.kind = n.kind AND x.id = n.entity_id AND x.version = n.version LIMIT 1) i ON true
"""
#: A digest takes what was put off to its day or an earlier one and is in no other; tried again, it takes the same.
#: What stands in one that grew too old unsent is freed for it. The last part sees the rows as they were before.
_LIST = """
WITH given AS MATERIALIZED (SELECT user_id, day, delivery_id FROM digests WHERE delivery_id = ANY($1::uuid[])),
taken AS (
    UPDATE digest_items i SET listed_in = g.delivery_id FROM given g
     WHERE i.user_id = g.user_id AND i.day <= g.day AND i.listed_in IS NULL
    RETURNING i.listed_in, i.user_id, i.notification_id),
freed AS (
    UPDATE digest_items i SET listed_in = g.delivery_id
      FROM given g JOIN digests o ON o.user_id = g.user_id AND o.day < g.day JOIN deliveries d ON d.id = o.delivery_id
     WHERE i.listed_in = o.delivery_id AND d.state = 'skipped' AND d.reason = 'expired' AND d.unknown_outcomes = 0
    RETURNING i.listed_in, i.user_id, i.notification_id)
SELECT listed_in, user_id, notification_id FROM taken
 UNION ALL
SELECT listed_in, user_id, notification_id FROM freed
 UNION ALL
SELECT listed_in, user_id, notification_id FROM digest_items WHERE listed_in = ANY($1::uuid[])
"""


async def load_heed(pool: Pool, keys: Sequence[Key]) -> dict[Key, Heed]:
    """Say of notifications of many people whether a device got them, and whether they were seen."""
    rows = await pool.fetch(_HEED, [user_id for user_id, _ in keys], [id for _, id in keys])
    return {(row["user_id"], row["id"]): Heed(row["delivered"], row["seen"]) for row in rows}


async def list_digests(pool: Pool, ids: Sequence[DeliveryId]) -> dict[DeliveryId, list[Key]]:
    """Say which notifications these digests list; what they list, no other does."""
    listed: defaultdict[DeliveryId, list[Key]] = defaultdict(list)
    if ids:
        for row in await pool.fetch(_LIST, list(ids)):
            listed[row["listed_in"]].append((row["user_id"], row["notification_id"]))
    return listed
