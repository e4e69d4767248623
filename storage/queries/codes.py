"""Reads what codes need: a user's contact data, and the address that a code was sent to."""

from collections.abc import Sequence

from msgspec import Struct

from protocol.code.facts import ContactAsk, ContactFacts
from protocol.confidential import Confidential
from protocol.errors import NotFound, Rejected
from protocol.ids import Kind, UserId
from protocol.user.rows import Person
from protocol.user.terms import email_key
from storage.database import Pool
from storage.registry import Sources, loads

_FACTS = """
SELECT p.user_id, p.email, p.name, p.phone_number, p.profile_image_url, p.language, t.target
  FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY ask(user_id, purpose, number)
  LEFT JOIN people p ON p.user_id = ask.user_id
  LEFT JOIN code_targets t ON t.user_id = ask.user_id AND t.purpose = ask.purpose
 ORDER BY ask.number
"""
_OWNERS = """
SELECT k.scope, k.key, k.owner
  FROM unnest($1::text[], $2::text[]) ask(scope, key)
  JOIN unique_keys k ON k.scope = ask.scope AND k.key = ask.key
"""


class Contact(Confidential, Struct, frozen=True, kw_only=True):
    """A user's contact data, and what of it is verified."""

    email: str
    name: str
    phone_number: str | None
    is_email_verified: bool
    is_phone_verified: bool


@loads(ContactFacts)
async def load_contact_facts(sources: Sources, asks: Sequence[ContactAsk]) -> Sequence[ContactFacts | Rejected]:
    """Load the facts for each ask, in order; an unknown user is NotFound."""
    rows = await sources.pool.fetch(_FACTS, [user_id for user_id, _ in asks], [purpose.value for _, purpose in asks])
    keys = [(purpose.value, email_key(row["target"] or "")) for (_, purpose), row in zip(asks, rows, strict=True)]
    claimed = await sources.pool.fetch(_OWNERS, [scope for scope, _ in keys], [key for _, key in keys])
    owners = {(row["scope"], row["key"]): row["owner"] for row in claimed}
    found: list[ContactFacts | Rejected] = []
    for (user_id, _), row, key in zip(asks, rows, keys, strict=True):
        if row["user_id"] is None:
            found.append(NotFound(entity=Kind.USER.value, id=str(user_id)))
        else:
            person = Person(**{name: row[name] for name in Person.__struct_fields__})
            taken = owners.get(key, user_id) != user_id
            found.append(ContactFacts(person=person, target=row["target"], taken=taken))
    return found


async def load_contact(pool: Pool, user_id: UserId) -> Contact:
    """Return a user's contact data. Raises: NotFound."""
    row = await pool.fetchrow(
        "SELECT p.email, p.name, p.phone_number, u.is_email_verified, u.is_phone_verified"
        " FROM people p JOIN users u USING (user_id) WHERE user_id = $1",
        user_id,
    )
    if row is None:
        raise NotFound(entity=Kind.USER.value, id=str(user_id))
    return Contact(**row)


async def find_account(pool: Pool, email: str) -> UserId | None:
    """Return the user who owns an e-mail address, with or without a password."""
    owner: UserId | None = await pool.fetchval(
        "SELECT owner FROM unique_keys WHERE scope = 'email' AND key = $1", email_key(email)
    )
    return owner


async def find_own_password(pool: Pool, user_id: UserId) -> tuple[str, int] | None:
    """Return a user's password hash and its version; None if the user has no password."""
    row = await pool.fetchrow("SELECT password_hash, password_version FROM credentials WHERE user_id = $1", user_id)
    return None if row is None else (row["password_hash"], row["password_version"])
