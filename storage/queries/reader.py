"""Reading whom to reach: many people in one statement."""

from collections.abc import Sequence

from protocol.ids import UserId
from protocol.notification.reader import Reader
from storage.database import Pool


async def load_readers(pool: Pool, ids: Sequence[UserId]) -> dict[UserId, Reader]:
    """How to reach these people; who was erased is not among them."""
    rows = await pool.fetch(
        "SELECT p.user_id, p.name, p.language, p.email,"
        " CASE WHEN u.is_phone_verified THEN p.phone_number END AS phone_number"
        " FROM people p JOIN users u USING (user_id) WHERE p.user_id = ANY($1::uuid[])",
        list(ids),
    )
    return {row["user_id"]: Reader(**row) for row in rows}
