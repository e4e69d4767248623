"""Stores reports of SMS providers: the state of a message, and numbers that opted out."""

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec

from protocol.ids import DeliveryId
from storage.database import Pool

_RECORD_PROVIDER_STATE = """
WITH known AS (SELECT id FROM deliveries WHERE id = $1),
noted AS (
    UPDATE deliveries d SET provider_state = $2::text, provider_code = $3, provider_id = coalesce(d.provider_id, $4)
     WHERE d.id = $1 AND coalesce(($5::text::jsonb ->> d.provider_state)::int, 0) < ($5::text::jsonb ->> $2::text)::int)
SELECT count(*) FROM known
"""
#: A repeated reply has no effect: a later reply may have overtaken it.
_RECORD_REPLY = """
WITH fresh AS (
    INSERT INTO sms_replies (provider_id, means, received_at) VALUES ($1, $3, $4)
    ON CONFLICT DO NOTHING RETURNING means),
lifted AS (
    DELETE FROM opted_out_numbers WHERE number = $2 AND EXISTS (SELECT FROM fresh WHERE means = 'start'))
INSERT INTO opted_out_numbers (number, stopped_at) SELECT $2, $4 FROM fresh WHERE means = 'stop'
ON CONFLICT DO NOTHING
"""


async def record_provider_state(
    pool: Pool, delivery_id: DeliveryId, provider_id: str, *, state: str, code: int | None, ranks: Mapping[str, int]
) -> bool:
    """Store a message's state unless a further one is known; returns whether the delivery exists.

    Args:
        ranks: the order of states.
    """
    order = msgspec.json.encode(ranks).decode()
    return bool(await pool.fetchval(_RECORD_PROVIDER_STATE, delivery_id, state, code, provider_id, order))


async def record_reply(pool: Pool, provider_id: str, number: str, means: str, at: datetime) -> None:
    """Store a reply, ``stop``, ``start`` or ``other``, and apply it; a repeated reply has no effect."""
    await pool.execute(_RECORD_REPLY, provider_id, number, means, at)


async def record_opt_out(pool: Pool, number: str, at: datetime) -> None:
    """Store that a number receives no more messages."""
    await pool.execute(
        "INSERT INTO opted_out_numbers (number, stopped_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", number, at
    )


async def load_opted_out(pool: Pool, numbers: Collection[str]) -> frozenset[str]:
    """Return which of these numbers have opted out."""
    if not numbers:
        return frozenset()
    rows = await pool.fetch("SELECT number FROM opted_out_numbers WHERE number = ANY($1::text[])", list(numbers))
    return frozenset(row["number"] for row in rows)
