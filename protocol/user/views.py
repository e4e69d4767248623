"""Views of users, and the queries that return them."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from protocol.ids import BusinessId, SessionId, UserId
from protocol.registry import Query, View, query
from protocol.roles import ANYONE, Role
from protocol.user.terms import Membership

# Views


class SessionGrant(View, frozen=True, kw_only=True):
    """The claims of a session's access token. Contains no secret."""

    session_id: SessionId
    role: Role
    roles: tuple[Role, ...]
    business_id: BusinessId | None
    manager: bool
    #: Counts revocations of the user's roles: tokens of an earlier version are refused.
    roles_version: int


class Rotated(View, frozen=True, kw_only=True):
    """The result of presenting a refresh token."""

    #: None: the token had been used before, and its session was revoked.
    grant: SessionGrant | None


class UserView(View, frozen=True, kw_only=True):
    """A user as they see themselves (rule P-1), with the active role."""

    id: UserId
    email: Annotated[str, Meta(extra_json_schema={"format": "email"})]
    name: str
    phone_number: str | None
    profile_image_url: str | None
    language: str
    is_email_verified: bool
    is_phone_verified: bool
    created_at: datetime
    last_login_at: datetime | None
    roles: tuple[Role, ...]
    memberships: tuple[Membership, ...]
    role: Role
    business_id: BusinessId | None
    manager: bool
    #: ``epoch:seq`` of the user's inbox when this was read.
    as_of: str


class SessionView(View, frozen=True, kw_only=True):
    """One device that the user is signed in on."""

    id: SessionId
    device: str
    #: Whether this is the session of the request.
    current: bool
    opened_at: datetime
    refreshed_at: datetime
    expires_at: datetime


class SessionList(View, frozen=True, kw_only=True):
    """The user's sessions, the latest used first."""

    sessions: tuple[SessionView, ...]
    as_of: str


# Queries


@query("auth.current_user", by=ANYONE, view=UserView, routes=("GET /auth/current-user/",))
class CurrentUser(Query, frozen=True, kw_only=True):
    """My account and active role."""


@query("auth.sessions", by=ANYONE, view=SessionList, routes=("GET /auth/sessions/",))
class Sessions(Query, frozen=True, kw_only=True):
    """My sessions."""
