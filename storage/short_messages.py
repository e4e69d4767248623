"""What providers of short messages tell us: how far a message got, and who wants none any more."""

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec

from protocol.ids import DeliveryId
from storage.database import Pool

_NOTE_STATE = """
WITH known AS (SELECT id FROM deliveries WHERE id = $1),
noted AS (
    UPDATE deliveries d SET provider_state = $2::text, provider_code = $3, provider_id = coalesce(d.provider_id, $4)
     WHERE d.id = $1 AND coalesce(($5::text::jsonb ->> d.provider_state)::int, 0) < ($5::text::jsonb ->> $2::text)::int)
SELECT count(*) FROM known
"""
#: An answer that came before is not heeded again: it may have been overtaken by another.
_TAKE_ANSWER = """
WITH fresh AS (
    INSERT INTO inbound_messages (provider_id, means, received_at) VALUES ($1, $3, $4)
    ON CONFLICT DO NOTHING RETURNING means),
lifted AS (
    DELETE FROM stopped_numbers WHERE number = $2 AND EXISTS (SELECT FROM fresh WHERE means = 'start'))
INSERT INTO stopped_numbers (number, stopped_at) SELECT $2, $4 FROM fresh WHERE means = 'stop'
ON CONFLICT DO NOTHING
"""


async def note_state(
    pool: Pool, delivery_id: DeliveryId, provider_id: str, *, state: str, code: int | None, ranks: Mapping[str, int]
) -> bool:
    """Keep how far a message got, unless it is known to have got further; answers whether there is such a delivery.

    Args:
        ranks: how far each state is.
    """
    order = msgspec.json.encode(ranks).decode()
    return bool(await pool.fetchval(_NOTE_STATE, delivery_id, state, code, provider_id, order))


async def take_answer(pool: Pool, provider_id: str, number: str, means: str, at: datetime) -> None:
    """Heed an answer: ``stop``, ``start`` or ``other``. Once only, however often it comes."""
    await pool.execute(_TAKE_ANSWER, provider_id, number, means, at)


async def note_stop(pool: Pool, number: str, at: datetime) -> None:
    """Nothing goes to that number any more."""
    await pool.execute(
        "INSERT INTO stopped_numbers (number, stopped_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", number, at
    )


async def load_stopped(pool: Pool, numbers: Collection[str]) -> frozenset[str]:
    """Which of these want nothing any more."""
    if not numbers:
        return frozenset()
    rows = await pool.fetch("SELECT number FROM stopped_numbers WHERE number = ANY($1::text[])", list(numbers))
    return frozenset(row["number"] for row in rows)
