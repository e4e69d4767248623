"""The delivery queue: routing creates deliveries, workers lease them, and settle them when the outcome is known."""

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

#: Notifications that one transaction routes.
ROUTE_MAX = 200
#: Expired leases that one statement reclaims.
RECLAIM_MAX = 1_000


class Leased(Confidential, Struct, frozen=True, kw_only=True):
    """A delivery leased by a worker; its fields are those of ``Delivery``."""

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
    #: Attempts, including this one.
    attempts: int
    unknown_outcomes: int
    at: datetime
    #: Attempts before the last replay by an admin.
    earlier_attempts: int = 0
    #: When this attempt was due. None: not from the queue.
    due_at: datetime | None = None
    #: End of the lease, different for each lease of a delivery. None: not from the queue.
    leased_until: datetime | None = None


class QueueDepth(Struct, frozen=True, kw_only=True):
    """The number of a channel's deliveries in the queue."""

    channel: Channel
    waiting: int
    sending: int
    dead: int
    #: When the oldest waiting delivery was due; None: none waits.
    due_at: datetime | None


class Settlement(Struct, frozen=True, kw_only=True):
    """The outcome of one attempt, as it is stored."""

    id: DeliveryId
    #: The lease that reports this outcome; ignored if a later lease exists, except for SENT.
    leased_until: datetime | None
    state: DeliveryState
    #: A code; None for SENT.
    reason: str | None = None
    provider_id: str | None = None
    #: When to try again; only for WAITING. None: unchanged.
    due_at: datetime | None = None
    #: Whether the message arrived is unknown.
    unknown: bool = False
    #: False: the provider received nothing, and the attempt is not counted.
    tried: bool = True


#: Deletes by ctid, so that only these rows are visited, however long the queue is.
_TAKE = """
WITH next AS MATERIALIZED (
    SELECT ctid AS place FROM routing_queue ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED),
taken AS (
    DELETE FROM routing_queue WHERE ctid = ANY (ARRAY(SELECT place FROM next)) RETURNING user_id, notification_id)
SELECT n.user_id, n.id AS notification_id, n.type, n.event::text AS event, n.at, b.starts_at
  FROM taken t JOIN notifications n ON n.user_id = t.user_id AND n.id = t.notification_id
  LEFT JOIN bookings b ON n.kind = 'booking' AND b.id = n.entity_id
 ORDER BY n.at
"""
#: The first item deferred to a reader's day creates the digest. Ordered, so that two transactions do not deadlock.
_DEFER = """
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
#: A dead delivery keeps secret and address for a replay, unless it expires by itself, as codes do.
#: SENT is stored whichever lease is current; any other outcome only under the current lease.
#: Rows are locked in the order of their ids, so that two settlements do not deadlock.
_SETTLE = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
                         $7::boolean[], $8::boolean[])
                  s(id, leased_until, state, reason, provider_id, due_at, unknown, tried)),
held AS MATERIALIZED (
    SELECT d.id FROM deliveries d WHERE d.id IN (SELECT id FROM given) ORDER BY d.id FOR UPDATE)
UPDATE deliveries d
   SET state = s.state, reason = s.reason, provider_id = coalesce(s.provider_id, d.provider_id),
       due_at = coalesce(s.due_at, d.due_at), leased_until = NULL,
       attempts = d.attempts - (NOT s.tried)::int,
       unknown_outcomes = d.unknown_outcomes + s.unknown::int,
       finished_at = CASE WHEN s.state <> 'waiting' THEN clock_timestamp() END,
       secret = CASE WHEN s.state = 'waiting' OR s.state = 'dead' AND d.expires_at IS NULL THEN d.secret END,
       address = CASE WHEN s.state = 'waiting' OR s.state = 'dead' AND d.expires_at IS NULL THEN d.address END
  FROM given s JOIN held USING (id)
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
_QUEUE_DEPTHS = """
SELECT channel, count(*) FILTER (WHERE state = 'waiting') AS waiting,
       count(*) FILTER (WHERE state = 'sending') AS sending, count(*) FILTER (WHERE state = 'dead') AS dead,
       min(due_at) FILTER (WHERE state = 'waiting') AS due_at
  FROM deliveries WHERE state IN ('waiting', 'sending', 'dead') GROUP BY channel
"""
#: A dead delivery that has expired cannot be replayed.
_FORGET = """
UPDATE deliveries SET secret = NULL, address = NULL
 WHERE state = 'dead' AND expires_at < $1 AND (secret IS NOT NULL OR address IS NOT NULL)
"""


class RoutingRound:
    """One round of routing: its notifications, and the writing of their deliveries."""

    def __init__(self, items: Sequence[RoutableNotification], fetch: Callable[..., Awaitable[Sequence[Any]]]) -> None:
        self.items = items
        self._fetch = fetch

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Queue deliveries; they become visible when the round commits."""
        if deliveries:
            data = msgspec.json.encode(deliveries).decode()
            await self._fetch("SELECT put_deliveries($1::text::json)", data)

    async def defer(self, items: Sequence[Deferred]) -> set[DeliveryId]:
        """Store items of digests; returns the deliveries of the digests that this created."""
        if not items:
            return set()
        columns = [
            [getattr(one, name) for one in items] for name in ("user_id", "notification_id", "day", "delivery_id")
        ]
        return {row["delivery_id"] for row in await self._fetch(_DEFER, *columns)}


@asynccontextmanager
async def routing_round(pool: Pool) -> AsyncIterator[RoutingRound]:
    """Take queued notifications and route them in one transaction; several nodes may run rounds at once."""
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(_TAKE, ROUTE_MAX)
        yield RoutingRound([_routable(row) for row in rows], connection.fetch)


def _routable(row: Any) -> RoutableNotification:
    return RoutableNotification(**{**row, "event": read_event(row["type"], row["event"])})


async def lease(
    pool: Pool, channel: Channel, now: datetime, limit: int, *, critical: bool, lease_s: float
) -> list[Leased]:
    """Lease due deliveries, critical or others, the longest due first, and count an attempt for each."""
    rows = await pool.fetch(_LEASE, channel.value, critical, now, limit, lease_s)
    return [msgspec.convert(dict(row), Leased) for row in sorted(rows, key=lambda row: row["due_at"])]


async def next_due(pool: Pool, channel: Channel, *, critical: bool) -> datetime | None:
    """Return when the next delivery of a channel is due; None if none waits."""
    due_at: datetime | None = await pool.fetchval(_NEXT_DUE, channel.value, critical)
    return due_at


async def settle(pool: Pool, settlements: Sequence[Settlement]) -> None:
    """Store the outcomes of attempts."""
    columns: list[list[object]] = [[getattr(one, name) for one in settlements] for name in Settlement.__struct_fields__]
    await pool.execute(_SETTLE, *columns)


async def reclaim(pool: Pool, attempts_max: int) -> list[Channel]:
    """Reclaim expired leases; returns the channel of each. A delivery without attempts left is dead."""
    return [Channel(row["channel"]) for row in await pool.fetch(_RECLAIM, RECLAIM_MAX, attempts_max)]


async def load_queue_depths(pool: Pool) -> list[QueueDepth]:
    """Return the queue's depth by channel."""
    return [msgspec.convert(dict(row), QueueDepth) for row in await pool.fetch(_QUEUE_DEPTHS)]


async def forget_secrets(pool: Pool, now: datetime) -> int:
    """Erase codes and addresses of dead deliveries that have expired; returns of how many."""
    status = await pool.execute(_FORGET, now)
    return int(status.rpartition(" ")[2])


async def keep_in_mailbox(pool: Pool, channel: Channel, delivery_id: UUID, at: datetime, message: bytes) -> int:
    """Store a message of a channel without a provider; returns its number."""
    return int(
        await pool.fetchval(
            "INSERT INTO development_mailbox (channel, delivery_id, at, message)"
            " VALUES ($1, $2, $3, $4::text::jsonb) RETURNING id",
            *(channel.value, delivery_id, at, message.decode()),
        )
    )
