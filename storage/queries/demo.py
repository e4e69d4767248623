"""Look-ups of the existing demo data, so that a second run only creates what is missing."""

from collections.abc import Collection
from datetime import datetime

from protocol.ids import BusinessId, InvitationId, UserId
from protocol.roles import Role
from storage.database import Pool


async def find_accounts(pool: Pool, emails: Collection[str]) -> dict[str, UserId]:
    """Find the accounts with these e-mail addresses."""
    rows = await pool.fetch("SELECT key, owner FROM unique_keys WHERE scope = 'email' AND key = ANY ($1)", list(emails))
    return {row["key"]: row["owner"] for row in rows}


async def count_accounts_at(pool: Pool, domain: str) -> int:
    """Count the accounts whose e-mail address is of that domain."""
    text = "SELECT count(*) FROM unique_keys WHERE scope = 'email' AND key LIKE '%@' || $1"
    return int(await pool.fetchval(text, domain))


async def find_businesses(pool: Pool, owner_ids: Collection[UserId]) -> dict[UserId, BusinessId]:
    """Find the first business of each of these owners."""
    rows = await pool.fetch(
        "SELECT DISTINCT ON (owner_id) owner_id, id FROM businesses WHERE owner_id = ANY ($1)"
        " ORDER BY owner_id, created_at, id",
        list(owner_ids),
    )
    return {row["owner_id"]: row["id"] for row in rows}


async def find_members(pool: Pool, business_ids: Collection[BusinessId]) -> set[tuple[BusinessId, UserId]]:
    """Find the present and former members of these businesses."""
    rows = await pool.fetch("SELECT business_id, user_id FROM members WHERE business_id = ANY ($1)", list(business_ids))
    return {(row["business_id"], row["user_id"]) for row in rows}


async def find_invitation(pool: Pool, business_id: BusinessId, user_id: UserId) -> InvitationId | None:
    """Find the open invitation of a user to a business."""
    found: InvitationId | None = await pool.fetchval(
        "SELECT id FROM invitations WHERE business_id = $1 AND user_id = $2 AND status = 'invited'",
        business_id,
        user_id,
    )
    return found


async def find_titles(pool: Pool, business_ids: Collection[BusinessId]) -> set[tuple[BusinessId, str]]:
    """Find the titles of these businesses' services, inactive ones too."""
    rows = await pool.fetch("SELECT business_id, title FROM services WHERE business_id = ANY ($1)", list(business_ids))
    return {(row["business_id"], row["title"]) for row in rows}


async def is_admin(pool: Pool, user_id: UserId) -> bool:
    """Whether the user has the role of an admin."""
    found = await pool.fetchval(
        "SELECT EXISTS (SELECT FROM users, jsonb_array_elements(memberships) m"
        " WHERE user_id = $1 AND m ->> 'role' = $2)",
        user_id,
        Role.ADMIN.value,
    )
    return bool(found)


async def has_messages_under_way(pool: Pool, now: datetime) -> bool:
    """Whether a message between actors is not handled yet."""
    return bool(await pool.fetchval("SELECT EXISTS (SELECT FROM agenda WHERE name IS NULL AND due_at <= $1)", now))
