"""Users: who somebody is, what they may act as, and where they are signed in.

Contact data and password hashes are rows; events, states and replies hold ids, codes and the SHA-256 of refresh tokens.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from protocol.catalogue import Command, Query, View, command, query
from protocol.effects import UniqueKey
from protocol.errors import EmailTaken, Forbidden, LimitReached, NotFound, Unauthenticated
from protocol.events import Event, Row
from protocol.ids import BusinessId, Kind, SessionId, UserId
from protocol.roles import ANYONE, INTERNAL, Role

#: Sessions of one user; with one more, the one that was quiet for longest goes.
SESSIONS_MAX = 10
#: Roles of one user, each business counted by itself.
MEMBERSHIPS_MAX = 32
NAME_MAX = 100
EMAIL_MAX = 254
#: How long the refresh token before the current one is still taken: the reply with its successor may have been lost.
REFRESH_GRACE_S = 10.0
DEVICE_MAX = 32

#: What a client calls the device that it runs on: a code such as ``web`` or ``android``, never a person's name for it.
Device = Annotated[
    str, Meta(pattern=rf"^[a-z0-9_.-]{{1,{DEVICE_MAX}}}$(?!\n)", description="A code, like web or android")
]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2}(-[A-Z]{2})?$(?!\n)", description="Like en, de or it")]
PersonName = Annotated[str, Meta(min_length=1, max_length=NAME_MAX)]


class Confidential:
    """Keeps a struct's content out of logs and error messages."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


#: An address belongs to one account.
UNIQUE_EMAIL = UniqueKey("email", taken=EmailTaken)


def email_key(email: str) -> str:
    """The form of a normalised address in which only one account may have it."""
    return email.casefold()


class RevokeReason(StrEnum):
    """Why a session was taken away."""

    BY_USER = "by_user"
    #: Somebody presented a refresh token that had been used before: it may have been stolen.
    REUSE = "reuse"
    #: The user signed in on more devices than are kept.
    DISPLACED = "displaced"
    #: The password was changed: whoever knew the old one is out.
    NEW_PASSWORD = "new_password"


class Acting(Struct, frozen=True, omit_defaults=True):
    """What somebody acts as, and for which business."""

    role: Role = Role.CUSTOMER
    #: None for customers and admins.
    business_id: BusinessId | None = None


class Membership(Struct, frozen=True):
    """A role that a user has."""

    role: Role
    #: None for customers and admins.
    business_id: BusinessId | None = None
    #: The owner, or an employee with the manager right.
    manager: bool = False

    @property
    def acting(self) -> Acting:
        return Acting(self.role, self.business_id)


# Rows


class Person(Confidential, Row, frozen=True, kw_only=True):
    """Who a user is: what is erased when the user asks for it."""

    table: ClassVar[str] = "people"
    key: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: UserId
    email: str
    name: str
    #: E.164.
    phone_number: str | None
    profile_image_url: str | None
    language: str


class Credentials(Confidential, Row, frozen=True, kw_only=True):
    """The Argon2 hash of a user's password."""

    table: ClassVar[str] = "credentials"
    key: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: UserId
    password_hash: str
    #: Counts the user's passwords, so that a hash made anew is never of a password that was changed meanwhile.
    password_version: int


class UserSession(Struct, frozen=True, kw_only=True):
    """One device that somebody is signed in on."""

    session_id: SessionId
    device: str
    opened_at: datetime
    refreshed_at: datetime
    expires_at: datetime


class UserRow(Row, frozen=True, kw_only=True):
    """What queries know of a user beside the contact data."""

    table: ClassVar[str] = "users"
    key: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: UserId
    is_email_verified: bool
    is_phone_verified: bool
    memberships: tuple[Membership, ...]
    sessions: tuple[UserSession, ...]
    created_at: datetime
    #: None until the first sign-in.
    last_login_at: datetime | None


# Events


class UserSignedUp(Event, frozen=True, kw_only=True):
    """An account was made."""

    is_email_verified: bool = False
    is_phone_verified: bool = False
    at: datetime


class SessionOpened(Event, frozen=True, kw_only=True):
    """Somebody signed in on a device."""

    session_id: SessionId
    device: str
    role: Role
    business_id: BusinessId | None = None
    expires_at: datetime
    at: datetime


class SessionRefreshed(Event, frozen=True, kw_only=True):
    """A session got its next refresh token. Goes to nobody's inbox."""

    session_id: SessionId
    #: SHA-256 of the token.
    refresh_hash: bytes
    #: The token in force was never received: it is void, and the one before it stays in its grace.
    reply_lost: bool = False
    expires_at: datetime
    at: datetime


class SessionEnded(Event, frozen=True, kw_only=True):
    """Somebody signed out."""

    session_id: SessionId
    at: datetime


class SessionRevoked(Event, frozen=True, kw_only=True):
    """A session was taken away: its tokens hold no longer."""

    session_id: SessionId
    reason: RevokeReason
    at: datetime


class RoleGranted(Event, frozen=True, kw_only=True):
    """The user may act as something, as a manager or not."""

    role: Role
    business_id: BusinessId | None = None
    manager: bool = False
    #: Set when the manager right was taken: access tokens of an earlier one hold no longer.
    roles_version: int | None = None


class RoleRevoked(Event, frozen=True, kw_only=True):
    """The user may act as something less: access tokens of earlier ``roles_version`` hold no longer."""

    role: Role
    business_id: BusinessId | None = None
    roles_version: int


class RoleSwitched(Event, frozen=True, kw_only=True):
    """The user acts as something else on one device."""

    session_id: SessionId
    role: Role
    business_id: BusinessId | None = None


# Views


class SessionGrant(View, frozen=True, kw_only=True):
    """What an access token says of its session. Holds no secret."""

    session_id: SessionId
    role: Role
    roles: tuple[Role, ...]
    business_id: BusinessId | None
    manager: bool
    #: Counts what was taken from the user's roles: tokens made before the last time are refused.
    roles_version: int


class Rotated(View, frozen=True, kw_only=True):
    """What came of presenting a refresh token."""

    #: None: the token had been used before, and its session was revoked.
    grant: SessionGrant | None


class UserView(View, frozen=True, kw_only=True):
    """A user as they see themselves (seed 002 phase 1), and what they act as at present."""

    id: UserId
    email: str
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
    #: ``epoch:seq`` of the user's inbox at the moment of reading.
    as_of: str


class SessionView(View, frozen=True, kw_only=True):
    """One device that the user is signed in on."""

    id: SessionId
    device: str
    #: Whether the question came from this very session.
    current: bool
    opened_at: datetime
    refreshed_at: datetime
    expires_at: datetime


class SessionList(View, frozen=True, kw_only=True):
    """Where the user is signed in, the latest used first."""

    sessions: tuple[SessionView, ...]
    as_of: str


# Queries


@query("auth.current_user", by=ANYONE, view=UserView, routes=("GET /auth/current-user/",))
class CurrentUser(Query, frozen=True, kw_only=True):
    """Who I am, and what I act as."""


@query("auth.sessions", by=ANYONE, view=SessionList, routes=("GET /auth/sessions/",))
class Sessions(Query, frozen=True, kw_only=True):
    """Where I am signed in."""


# Commands


@command("user.sign_up", actor=Kind.USER, by=INTERNAL, creates=True, errors=(EmailTaken,))
class SignUp(Confidential, Command, frozen=True, kw_only=True):
    """Make an account, with the role customer. Address and number come normalised."""

    email: str
    name: str
    phone_number: str | None = None
    profile_image_url: str | None = None
    language: str = "en"
    #: None: the user signs in by other means.
    password_hash: str | None = None
    is_email_verified: bool = False
    is_phone_verified: bool = False


@command("user.rehash_password", actor=Kind.USER, by=INTERNAL)
class RehashPassword(Confidential, Command, frozen=True, kw_only=True):
    """Keep a stronger hash of the same password. Changes nothing if the password is another one by now."""

    user_id: UserId
    password_hash: str
    password_version: int


@command("user.open_session", actor=Kind.USER, by=INTERNAL, reply=SessionGrant)
class OpenSession(Confidential, Command, frozen=True, kw_only=True):
    """Sign the user in on a device; whoever sends this has verified who it is."""

    user_id: UserId
    session_id: SessionId
    device: Device
    #: SHA-256 of the refresh token.
    refresh_hash: bytes
    lifetime_s: int


@command("user.rotate_session", actor=Kind.USER, by=INTERNAL, reply=Rotated, errors=(Unauthenticated,))
class RotateSession(Confidential, Command, frozen=True, kw_only=True):
    """Take the next refresh token for the presented one; one that was used before ends the session."""

    user_id: UserId
    session_id: SessionId
    #: SHA-256 of the tokens.
    presented_hash: bytes
    refresh_hash: bytes
    lifetime_s: int


@command("auth.sign_out", actor=Kind.USER, by=ANYONE, routes=("POST /auth/signout/",))
class EndSession(Command, frozen=True, kw_only=True):
    """Sign out on this device."""


@command(
    "auth.revoke_session",
    actor=Kind.USER,
    by=ANYONE,
    routes=("DELETE /auth/sessions/{session_id}/",),
    errors=(NotFound,),
)
class RevokeSession(Command, frozen=True, kw_only=True):
    """Sign out another device; its sockets close within seconds."""

    session_id: SessionId


@command("auth.revoke_sessions", actor=Kind.USER, by=ANYONE, routes=("DELETE /auth/sessions/",))
class RevokeSessions(Command, frozen=True, kw_only=True):
    """Sign out every device but this one."""


@command("user.grant_role", actor=Kind.USER, by=INTERNAL, errors=(NotFound, LimitReached))
class GrantRole(Command, frozen=True, kw_only=True):
    """Let the user act as something; again is harmless, and sets the manager right as it says."""

    user_id: UserId
    role: Role
    #: None for admins.
    business_id: BusinessId | None = None
    manager: bool = False


@command("user.revoke_role", actor=Kind.USER, by=INTERNAL, errors=(NotFound, Forbidden))
class RevokeRole(Command, frozen=True, kw_only=True):
    """Take a role back; harmless if the user does not have it."""

    user_id: UserId
    role: Role
    #: None for admins.
    business_id: BusinessId | None = None


@command("user.switch_role", actor=Kind.USER, by=INTERNAL, reply=SessionGrant, errors=(Forbidden,))
class SwitchRole(Command, frozen=True, kw_only=True):
    """Act as something else on one device, and by default at the next sign-in."""

    user_id: UserId
    session_id: SessionId
    role: Role
    #: May be left out when the role is held for one business only.
    business_id: BusinessId | None = None
