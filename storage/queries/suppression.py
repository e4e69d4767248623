"""Reads what suppression needs right before sending: receipts of notifications, and the contents of digests."""

from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from protocol.ids import DeliveryId, NotificationId, UserId
from storage.database import Pool
from storage.queries.notification import READ

#: How far back in the reader's inbox an event is searched; one further back counts as not acknowledged.
LOOK_BACK_MAX = 500

#: One notification to one reader.
Key = tuple[UserId, NotificationId]


class Receipt(Struct, frozen=True):
    """How far a notification has got in its reader's apps."""

    #: One of the reader's devices acknowledged the event as delivered.
    delivered: bool
    #: The reader saw the event or read the notification.
    seen: bool


_RECEIPTS = f"""
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
#: Assign to each digest the items deferred to its day or an earlier one that no digest lists; a retry gets the same.
#: Items of an older digest that expired unsent are reassigned. The last part reads the rows as they were before.
_LIST_DIGESTS = """
WITH given AS MATERIALIZED (SELECT user_id, day, delivery_id FROM digests WHERE delivery_id = ANY($1::uuid[])),
taken AS (
    UPDATE digest_items i SET digest_id = g.delivery_id FROM given g
     WHERE i.user_id = g.user_id AND i.day <= g.day AND i.digest_id IS NULL
    RETURNING i.digest_id, i.user_id, i.notification_id),
freed AS (
    UPDATE digest_items i SET digest_id = g.delivery_id
      FROM given g JOIN digests o ON o.user_id = g.user_id AND o.day < g.day JOIN deliveries d ON d.id = o.delivery_id
     WHERE i.digest_id = o.delivery_id AND d.state = 'skipped' AND d.reason = 'expired' AND d.unknown_outcomes = 0
    RETURNING i.digest_id, i.user_id, i.notification_id)
SELECT digest_id, user_id, notification_id FROM taken
 UNION ALL
SELECT digest_id, user_id, notification_id FROM freed
 UNION ALL
SELECT digest_id, user_id, notification_id FROM digest_items WHERE digest_id = ANY($1::uuid[])
"""


async def load_receipts(pool: Pool, keys: Sequence[Key]) -> dict[Key, Receipt]:
    """Return the receipts of notifications to many readers."""
    rows = await pool.fetch(_RECEIPTS, [user_id for user_id, _ in keys], [id for _, id in keys])
    return {(row["user_id"], row["id"]): Receipt(row["delivered"], row["seen"]) for row in rows}


async def list_digests(pool: Pool, ids: Sequence[DeliveryId]) -> dict[DeliveryId, list[Key]]:
    """Return the notifications that these digests list; no two digests list the same one."""
    listed: defaultdict[DeliveryId, list[Key]] = defaultdict(list)
    if ids:
        for row in await pool.fetch(_LIST_DIGESTS, list(ids)):
            listed[row["digest_id"]].append((row["user_id"], row["notification_id"]))
    return listed
