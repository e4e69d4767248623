"""The language model's cache of answers, and what each user has spent today."""

from datetime import date, datetime

from protocol.ids import UserId
from storage.database import Pool

#: One statement checks and takes, so that parallel requests never exceed the budget.
_TAKE = """
INSERT INTO llm_spending AS s (user_id, day, microdollars) SELECT $1, $2, $3 WHERE $3::bigint <= $4::bigint
ON CONFLICT (user_id, day) DO UPDATE SET microdollars = s.microdollars + excluded.microdollars
 WHERE s.microdollars + excluded.microdollars <= $4
RETURNING true
"""
_CORRECT = """
UPDATE llm_spending SET microdollars = greatest(0, microdollars + $3) WHERE user_id = $1 AND day = $2
"""
_KEEP = """
INSERT INTO llm_cache (key, answer, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET answer = excluded.answer, expires_at = excluded.expires_at
"""


async def take_budget(pool: Pool, user_id: UserId, day: date, microdollars: int, most: int) -> bool:
    """Take an amount from a user's daily budget before it is spent; returns whether enough was left."""
    return bool(await pool.fetchval(_TAKE, user_id, day, microdollars, most))


async def correct_budget(pool: Pool, user_id: UserId, day: date, microdollars: int) -> None:
    """Correct what was taken by the actual cost: a negative amount is given back, a positive one is taken as well."""
    if microdollars:
        await pool.execute(_CORRECT, user_id, day, microdollars)


async def cached_answer(pool: Pool, key: bytes, now: datetime) -> bytes | None:
    """Read a cached answer; None: there is none, or it has expired."""
    answer: bytes | None = await pool.fetchval(
        "SELECT answer FROM llm_cache WHERE key = $1 AND expires_at > $2", key, now
    )
    return answer


async def keep_answer(pool: Pool, key: bytes, answer: bytes, expires_at: datetime) -> None:
    """Cache an answer for all nodes."""
    await pool.execute(_KEEP, key, answer, expires_at)
