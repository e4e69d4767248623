"""What asking a language model leaves behind: answers for a while, and what each user has cost today."""

from datetime import date, datetime

from protocol.ids import UserId
from storage.database import Pool

#: One statement looks and takes, so that parallel requests never take more than there is.
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
    """Take an amount from a user's budget of a day, before it is spent; answers whether there was so much left."""
    return bool(await pool.fetchval(_TAKE, user_id, day, microdollars, most))


async def correct_budget(pool: Pool, user_id: UserId, day: date, microdollars: int) -> None:
    """Give back what was taken and not spent; a negative amount gives, a positive one takes what it cost beyond."""
    if microdollars:
        await pool.execute(_CORRECT, user_id, day, microdollars)


async def cached_answer(pool: Pool, key: bytes, now: datetime) -> bytes | None:
    """An answer that was given before, unless it is too old."""
    answer: bytes | None = await pool.fetchval(
        "SELECT answer FROM llm_cache WHERE key = $1 AND expires_at > $2", key, now
    )
    return answer


async def keep_answer(pool: Pool, key: bytes, answer: bytes, expires_at: datetime) -> None:
    """Keep an answer for all nodes."""
    await pool.execute(_KEEP, key, answer, expires_at)
