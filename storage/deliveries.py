"""The queue of deliveries: planned in one transaction, leased by workers, settled once their outcome is known."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from protocol.confidential import Confidential
from protocol.delivery.channels import Channel
from protocol.delivery.rows import Delivery
from protocol.delivery.terms import Deferred, DeliveryState, RoutableNotification, Unless
from protocol.ids import DeliveryId, DeviceId, NotificationId, UserId
from storage.database import Pool
from storage.queries.notification import read_event

#: Notifications that one transaction plans deliveries for.
PLAN_MAX = 200
#: Leases that one statement takes back.
RECLAIM_MAX = 1_000


class Leased(Confidential, Struct, frozen=True, kw_only=True):
    """A delivery in a worker's hands; its fields are those of ``Delivery``."""

    id: DeliveryId
    user_id: UserId
    notification_id: NotificationId | None
    template: str
    channel: Channel
    device_id: DeviceId | None
    address: str | None
    secret: str | None
    critical: bool
    expires_at: datetime | None
    unless: Unless | None
    #: Attempts begun, this one included.
    attempts: int
    unknown_outcomes: int
    at: datetime
    #: Attempts from before an admin had it sent again.
    earlier_attempts: int = 0
    #: When this attempt was due. None: it is not from the queue.
    due_at: datetime | None = None
    #: Until when it is held: no two leases of a delivery have the same. None: it is not from the queue.
    leased_until: datetime | None = None


class Queued(Struct, frozen=True, kw_only=True):
    """How much of a channel is in the queue."""

    channel: Channel
    waiting: int
    sending: int
    dead: int
    #: When the one that waits for longest was due; None: none waits.
    due_at: datetime | None


class Settlement(Struct, frozen=True, kw_only=True):
    """What became of one attempt."""

    id: DeliveryId
    #: Whose word it is: the lease under which it was made. A later one has the last word.
    leased_until: datetime | None
    state: DeliveryState
    #: A code; None for what was sent.
    reason: str | None = None
    provider_id: str | None = None
    #: When to try again; only for WAITING. None: when it was due.
    due_at: datetime | None = None
    #: Nobody knows whether this attempt arrived.
    unknown: bool = False
    #: It was an attempt. False: nothing of it reached the provider, and it is put back as it was.
    tried: bool = True


#: By place: however long the queue is, only these rows are looked at.
_TAKE = """
WITH next AS MATERIALIZED (
    SELECT ctid AS place FROM notification_queue ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED),
taken AS (
    DELETE FROM notification_queue WHERE ctid = ANY (ARRAY(SELECT place FROM next)) RETURNING user_id, notification_id)
SELECT n.user_id, n.id AS notification_id, n.type, n.event::text AS event, n.at, b.starts_at
  FROM taken t JOIN notifications n ON n.user_id = t.user_id AND n.id = t.notification_id
  LEFT JOIN bookings b ON n.kind = 'booking' AND b.id = n.entity_id
 ORDER BY n.at
"""
#: Whoever is the first to put something off to a reader's day opens its digest; in order, so that two do not deadlock.
_PUT_OFF = """
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::uuid[]) g(user_id, notification_id, day, delivery_id)),
kept AS (
    INSERT INTO digest_items (user_id, notification_id, day) SELECT user_id, notification_id, day FROM given
    ON CONFLICT DO NOTHING)
INSERT INTO digests (user_id, day, delivery_id)
SELECT DISTINCT ON (user_id, day) user_id, day, delivery_id FROM given ORDER BY user_id, day
ON CONFLICT DO NOTHING RETURNING delivery_id
"""
_COLUMNS = ", ".join(f"d.{name}" for name in Leased.__struct_fields__)
_LEASE = f"""
WITH next AS (
    SELECT id FROM deliveries
     WHERE state = 'waiting' AND channel = $1 AND critical = $2 AND due_at <= $3
     ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED)
UPDATE deliveries d SET state = 'sending', attempts = d.attempts + 1,
       leased_until = clock_timestamp() + make_interval(secs => $5)
  FROM next WHERE d.id = next.id RETURNING {_COLUMNS}
"""
_NEXT_DUE = "SELECT min(due_at) FROM deliveries WHERE state = 'waiting' AND channel = $1 AND critical = $2"
#: What is dead may be replayed, and needs its secret; what has an end by itself, such as a code, is never worth it.
#: What was sent was sent, whoever holds the lease by now; anything else is the word of whoever holds it.
#: Rows are locked in the order of their ids, so that no two settle each other to a halt.
_SETTLE = """
WITH said AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
                         $7::boolean[], $8::boolean[])
                  s(id, leased_until, state, reason, provider_id, due_at, unknown, tried)),
held AS MATERIALIZED (
    SELECT d.id FROM deliveries d WHERE d.id IN (SELECT id FROM said) ORDER BY d.id FOR UPDATE)
UPDATE deliveries d
   SET state = s.state, reason = s.reason, provider_id = coalesce(s.provider_id, d.provider_id),
       due_at = coalesce(s.due_at, d.due_at), leased_until = NULL,
       attempts = d.attempts - (NOT s.tried)::int,
       unknown_outcomes = d.unknown_outcomes + s.unknown::int,
       finished_at = CASE WHEN s.state <> 'waiting' THEN clock_timestamp() END,
       secret = CASE WHEN s.state = 'waiting' OR s.state = 'dead' AND d.expires_at IS NULL THEN d.secret END,
       address = CASE WHEN s.state = 'waiting' OR s.state = 'dead' AND d.expires_at IS NULL THEN d.address END
  FROM said s JOIN held USING (id)
 WHERE d.id = s.id
   AND (d.state = 'sending' AND d.leased_until = s.leased_until
        OR s.state = 'sent' AND d.state IN ('waiting', 'sending', 'dead'))
"""
_RECLAIM = """
WITH lost AS (
    SELECT id, attempts - earlier_attempts >= $2 AS dies FROM deliveries
     WHERE state = 'sending' AND leased_until < clock_timestamp()
     ORDER BY leased_until LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE deliveries d
   SET state = CASE WHEN lost.dies THEN 'dead' ELSE 'waiting' END, reason = 'outcome_unknown',
       unknown_outcomes = d.unknown_outcomes + 1, leased_until = NULL,
       finished_at = CASE WHEN lost.dies THEN clock_timestamp() END,
       secret = CASE WHEN NOT lost.dies OR d.expires_at IS NULL THEN d.secret END,
       address = CASE WHEN NOT lost.dies OR d.expires_at IS NULL THEN d.address END
  FROM lost WHERE d.id = lost.id RETURNING d.channel
"""
_LOOK = """
SELECT channel, count(*) FILTER (WHERE state = 'waiting') AS waiting,
       count(*) FILTER (WHERE state = 'sending') AS sending, count(*) FILTER (WHERE state = 'dead') AS dead,
       min(due_at) FILTER (WHERE state = 'waiting') AS due_at
  FROM deliveries WHERE state IN ('waiting', 'sending', 'dead') GROUP BY channel
"""
#: Whoever died and is too late to be sent again needs neither any more.
_FORGET = """
UPDATE deliveries SET secret = NULL, address = NULL
 WHERE state = 'dead' AND expires_at < $1 AND (secret IS NOT NULL OR address IS NOT NULL)
"""


class Planning:
    """A round of planning under way: its notifications, and where their deliveries are put."""

    def __init__(self, items: Sequence[RoutableNotification], fetch: Callable[..., Awaitable[Sequence[Any]]]) -> None:
        self.items = items
        self._fetch = fetch

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Queue these; with the end of the round they are there, and its notifications planned."""
        if deliveries:
            data = msgspec.json.encode(deliveries).decode()
            await self._fetch("SELECT put_deliveries($1::text::json)", data)

    async def put_off(self, items: Sequence[Deferred]) -> set[DeliveryId]:
        """Keep these for their readers' digests; answers the deliveries of those that were opened by it."""
        if not items:
            return set()
        columns = [
            [getattr(one, name) for one in items] for name in ("user_id", "notification_id", "day", "delivery_id")
        ]
        return {row["delivery_id"] for row in await self._fetch(_PUT_OFF, *columns)}


@asynccontextmanager
async def planning(pool: Pool) -> AsyncIterator[Planning]:
    """Take notifications to plan deliveries for, all or nothing; several nodes may do so at once."""
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(_TAKE, PLAN_MAX)
        yield Planning([_unplanned(row) for row in rows], connection.fetch)


def _unplanned(row: Any) -> RoutableNotification:
    return RoutableNotification(**{**row, "event": read_event(row["type"], row["event"])})


async def lease(
    pool: Pool, channel: Channel, now: datetime, limit: int, *, critical: bool, lease_s: float
) -> list[Leased]:
    """Take deliveries that are due, critical or ordinary ones, the longest due first, each with one attempt more."""
    rows = await pool.fetch(_LEASE, channel.value, critical, now, limit, lease_s)
    return [msgspec.convert(dict(row), Leased) for row in sorted(rows, key=lambda row: row["due_at"])]


async def next_due(pool: Pool, channel: Channel, *, critical: bool) -> datetime | None:
    """When the next delivery of a channel is due; None if none waits."""
    due_at: datetime | None = await pool.fetchval(_NEXT_DUE, channel.value, critical)
    return due_at


async def settle(pool: Pool, settlements: Sequence[Settlement]) -> None:
    """Note what became of attempts."""
    columns: list[list[object]] = [[getattr(one, name) for one in settlements] for name in Settlement.__struct_fields__]
    await pool.execute(_SETTLE, *columns)


async def reclaim(pool: Pool, attempts_max: int) -> list[Channel]:
    """Take back leases that ran out; answers the channel of each. What was tried too often is dead."""
    return [Channel(row["channel"]) for row in await pool.fetch(_RECLAIM, RECLAIM_MAX, attempts_max)]


async def look_at_queue(pool: Pool) -> list[Queued]:
    """See how much is in the queue, by channel."""
    return [msgspec.convert(dict(row), Queued) for row in await pool.fetch(_LOOK)]


async def forget_secrets(pool: Pool, now: datetime) -> int:
    """Wipe what dead deliveries hold of codes and addresses once they are too late; answers of how many."""
    status = await pool.execute(_FORGET, now)
    return int(status.rpartition(" ")[2])


async def keep_in_mailbox(pool: Pool, channel: Channel, delivery_id: UUID, message: bytes) -> int:
    """Keep what a channel without a provider would have sent; answers its number."""
    return int(
        await pool.fetchval(
            "INSERT INTO development_mailbox (channel, delivery_id, message)"
            " VALUES ($1, $2, $3::text::jsonb) RETURNING id",
            *(channel.value, delivery_id, message.decode()),
        )
    )
