"""Events of users: what happened, in the past tense."""

from datetime import datetime

from protocol.events import Event, event
from protocol.ids import BusinessId, InvitationId, SessionId, UserId
from protocol.notification.types import EMAIL_ONLY, PUSH_AND_EMAIL, PUSH_ONLY, Importance, Party, tell
from protocol.roles import Role
from protocol.user.terms import RevokeReason

# Events


@event("user.signed_up")
class UserSignedUp(Event, frozen=True, kw_only=True):
    """An account was created."""

    is_email_verified: bool = False
    is_phone_verified: bool = False
    at: datetime


@event("user.disabled")
class UserDisabled(Event, frozen=True, kw_only=True):
    """An admin disabled the account."""

    by: UserId
    at: datetime


@event("user.enabled")
class UserEnabled(Event, frozen=True, kw_only=True):
    """An admin enabled the account again."""

    by: UserId
    at: datetime


@event("session.opened", tell=tell({Party.SELF}, EMAIL_ONLY, even_by_self=True, when=lambda event: event.new_device))
class SessionOpened(Event, frozen=True, kw_only=True):
    """The user signed in on a device."""

    session_id: SessionId
    device: str
    role: Role
    business_id: BusinessId | None = None
    #: Whether the user had signed in before, and on other devices only.
    new_device: bool = False
    expires_at: datetime
    at: datetime


@event("session.refreshed")
class SessionRefreshed(Event, frozen=True, kw_only=True):
    """A session got its next refresh token. Has no recipients."""

    session_id: SessionId
    #: SHA-256 of the token that was exchanged; None: the first one was made, or an earlier version wrote the event.
    presented_hash: bytes | None = None
    #: SHA-256 of the token.
    refresh_hash: bytes
    #: SHA-256 of the bytes that all tokens of the session share; None: as before.
    family_hash: bytes | None = None
    #: By which the device is known again; set with the first token of a session.
    device_mark: bytes | None = None
    #: The exchanged token was in its grace: the new one is in force beside those made before it.
    reply_lost: bool = False
    expires_at: datetime
    at: datetime


@event("session.ended")
class SessionEnded(Event, frozen=True, kw_only=True):
    """The user signed out."""

    session_id: SessionId
    at: datetime


@event(
    "session.revoked",
    tell=tell(
        {Party.SELF},
        PUSH_AND_EMAIL,
        importance=Importance.CRITICAL,
        even_by_self=True,
        when=lambda event: event.reason is RevokeReason.REUSE,
    ),
)
class SessionRevoked(Event, frozen=True, kw_only=True):
    """A session was revoked: its tokens are invalid."""

    session_id: SessionId
    reason: RevokeReason
    at: datetime


@event("role.granted")
class RoleGranted(Event, frozen=True, kw_only=True):
    """The user got a role, with or without the manager right."""

    role: Role
    business_id: BusinessId | None = None
    manager: bool = False
    #: Set if the manager right was revoked: access tokens of an earlier version are invalid.
    roles_version: int | None = None
    #: The role came by an invitation: it does not become the default active role.
    by_invitation: bool = False


@event(
    "user.invited",
    tell=tell(
        {Party.SELF},
        PUSH_AND_EMAIL,
        routing=lambda event: (PUSH_AND_EMAIL if event.by_email else PUSH_ONLY, Importance.TIMELY),
    ),
)
class UserInvited(Event, frozen=True, kw_only=True):
    """A business invited the user to become a member."""

    invitation_id: InvitationId
    business_id: BusinessId
    role: Role
    manager: bool
    #: Whether the user's e-mail address is verified; to others nothing is sent.
    by_email: bool
    expires_at: datetime


@event("user.joining")
class UserJoining(Event, frozen=True, kw_only=True):
    """The user accepted an invitation; the role follows."""

    invitation_id: InvitationId
    business_id: BusinessId


@event("user.not_joined", tell=tell({Party.SELF}))
class UserNotJoined(Event, frozen=True, kw_only=True):
    """The invitation was withdrawn or over before the acceptance arrived: the user gets no role."""

    invitation_id: InvitationId
    business_id: BusinessId


@event("role.revoked")
class RoleRevoked(Event, frozen=True, kw_only=True):
    """A role was revoked: access tokens of an earlier ``roles_version`` are invalid."""

    role: Role
    business_id: BusinessId | None = None
    roles_version: int


@event("role.switched")
class RoleSwitched(Event, frozen=True, kw_only=True):
    """The user switched the active role on one device."""

    session_id: SessionId
    role: Role
    business_id: BusinessId | None = None
