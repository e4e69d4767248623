"""Events of users: what happened, in the past tense."""

from datetime import datetime

from protocol.events import Event
from protocol.ids import BusinessId, SessionId
from protocol.roles import Role
from protocol.user.terms import RevokeReason

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
