"""Queries of users and their sessions, and the look-ups of passwords and revocations."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from protocol.errors import NotFound, Unauthenticated
from protocol.events import EVENTS, Event
from protocol.ids import BusinessId, Kind, UserId
from protocol.roles import Principal, Role
from protocol.user.terms import Membership, UserSession, email_key
from protocol.user.views import CurrentUser, SessionList, Sessions, SessionView, UserView
from storage.database import Pool
from storage.queries.page import AS_OF
from storage.registry import answers

_memberships = msgspec.json.Decoder(tuple[Membership, ...])
_sessions = msgspec.json.Decoder(tuple[UserSession, ...])


class StoredPassword(Struct, frozen=True):
    """A stored password hash."""

    user_id: UserId
    password_hash: str
    password_version: int

    def __repr__(self) -> str:
        return f"StoredPassword({self.user_id}, …)"


async def find_password(pool: Pool, email: str) -> StoredPassword | None:
    """Look up an account by its normalised address; None if there is none, or none with a password."""
    row = await pool.fetchrow(
        "SELECT c.user_id, c.password_hash, c.password_version FROM unique_keys k"
        " JOIN credentials c ON c.user_id = k.owner WHERE k.scope = 'email' AND k.key = $1",
        email_key(email),
    )
    return None if row is None else StoredPassword(row["user_id"], row["password_hash"], row["password_version"])


async def load_user(
    pool: Pool, user_id: UserId, *, role: Role, business_id: BusinessId | None, manager: bool
) -> UserView:
    """Show a user to themselves, acting as given. Raises: NotFound."""
    row = await pool.fetchrow(
        f"SELECT p.*, u.is_email_verified, u.is_phone_verified, u.memberships, u.created_at, u.last_login_at, {AS_OF}"
        " FROM people p JOIN users u USING (user_id) WHERE user_id = $1",
        user_id,
    )
    if row is None:
        raise NotFound(entity=Kind.USER.value, id=str(user_id))
    memberships = _memberships.decode(row["memberships"])
    return UserView(
        id=row["user_id"],
        email=row["email"],
        name=row["name"],
        phone_number=row["phone_number"],
        profile_image_url=row["profile_image_url"],
        language=row["language"],
        is_email_verified=row["is_email_verified"],
        is_phone_verified=row["is_phone_verified"],
        created_at=row["created_at"],
        last_login_at=row["last_login_at"],
        roles=tuple(sorted({one.role for one in memberships})),
        memberships=memberships,
        role=role,
        business_id=business_id,
        manager=manager,
        as_of=row["as_of"],
    )


@answers(CurrentUser)
async def current_user(pool: Pool, query: CurrentUser, principal: Principal | None) -> UserView:
    """Show the user of the principal. Raises: Unauthenticated, NotFound."""
    who = _known(principal)
    return await load_user(pool, who.user_id, role=who.role, business_id=who.business_id, manager=who.manager)


@answers(Sessions)
async def list_sessions(pool: Pool, query: Sessions, principal: Principal | None) -> SessionList:
    """Show the principal's sessions, the latest used first. Raises: Unauthenticated, NotFound."""
    who = _known(principal)
    row = await pool.fetchrow(f"SELECT sessions, now() AS now, {AS_OF} FROM users WHERE user_id = $1", who.user_id)
    if row is None:
        raise NotFound(entity=Kind.USER.value, id=str(who.user_id))
    live = [one for one in _sessions.decode(row["sessions"]) if one.expires_at > row["now"]]
    views = [
        SessionView(
            id=one.session_id,
            device=one.device,
            current=one.session_id == who.session_id,
            opened_at=one.opened_at,
            refreshed_at=one.refreshed_at,
            expires_at=one.expires_at,
        )
        for one in sorted(live, key=lambda one: one.refreshed_at, reverse=True)
    ]
    return SessionList(sessions=tuple(views), as_of=row["as_of"])


async def load_names(pool: Pool, user_ids: Iterable[UserId]) -> dict[UserId, str]:
    """Look up the names of users; erased ones are left out."""
    rows = await pool.fetch("SELECT user_id, name FROM people WHERE user_id = ANY($1::uuid[])", list(set(user_ids)))
    return {row["user_id"]: row["name"] for row in rows}


async def load_revocations(pool: Pool, since: datetime) -> list[tuple[UUID, Event]]:
    """Load the events since an instant that revoked sessions or roles, each with its user, in order."""
    rows = await pool.fetch(
        "SELECT id, type, data FROM journal"
        " WHERE type IN ('session.ended', 'session.revoked', 'role.revoked', 'role.granted') AND at > $1"
        " ORDER BY at, version",
        since,
    )
    return [(row["id"], msgspec.json.decode(row["data"], type=EVENTS[row["type"]])) for row in rows]


def _known(principal: Principal | None) -> Principal:
    if principal is None:
        raise Unauthenticated(reason="missing_token")
    return principal
