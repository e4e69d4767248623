"""Commands to users."""

from protocol.confidential import Confidential
from protocol.errors import EmailTaken, Forbidden, NotFound, Unauthenticated
from protocol.ids import BusinessId, InvitationId, Kind, SessionId, UserId
from protocol.instants import Instant
from protocol.registry import Command, command
from protocol.roles import ANYONE, INTERNAL, Role
from protocol.user.terms import AccountDisabled, Device
from protocol.user.views import Rotated, SessionGrant

# Commands


@command("user.sign_up", actor=Kind.USER, by=INTERNAL, creates=True, errors=(EmailTaken,))
class SignUp(Confidential, Command, frozen=True, kw_only=True):
    """Create an account with the role customer. E-mail address and phone number are normalised."""

    email: str
    name: str
    phone_number: str | None = None
    profile_image_url: str | None = None
    language: str = "en"
    #: None: the account has no password.
    password_hash: str | None = None
    is_email_verified: bool = False
    is_phone_verified: bool = False


@command("user.rehash_password", actor=Kind.USER, by=INTERNAL)
class RehashPassword(Confidential, Command, frozen=True, kw_only=True):
    """Store a stronger hash of the same password. Does nothing if the password was changed meanwhile."""

    user_id: UserId
    password_hash: str
    password_version: int


@command("user.open_session", actor=Kind.USER, by=INTERNAL, reply=SessionGrant, errors=(AccountDisabled,))
class OpenSession(Confidential, Command, frozen=True, kw_only=True):
    """Sign the user in on a device; the sender has authenticated the user."""

    user_id: UserId
    session_id: SessionId
    device: Device
    #: SHA-256 of the refresh token, and of the bytes that all tokens of the session share.
    refresh_hash: bytes
    family_hash: bytes
    #: By which the device is known again: a hash of what the client says of itself.
    device_mark: bytes
    lifetime_s: int


@command("user.rotate_session", actor=Kind.USER, by=INTERNAL, reply=Rotated, errors=(Unauthenticated,))
class RotateSession(Confidential, Command, frozen=True, kw_only=True):
    """Replace the presented refresh token by the next one; one that was used before ends the session."""

    user_id: UserId
    session_id: SessionId
    #: SHA-256 of the tokens, and of the bytes that they share.
    presented_hash: bytes
    refresh_hash: bytes
    family_hash: bytes
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
    """Sign out another device; its connections close within seconds."""

    session_id: SessionId


@command("auth.revoke_sessions", actor=Kind.USER, by=ANYONE, routes=("DELETE /auth/sessions/",))
class RevokeSessions(Command, frozen=True, kw_only=True):
    """Sign out every device but this one."""


@command(
    "user.disable",
    actor=Kind.USER,
    by={Role.ADMIN},
    routes=("POST /admin/users/{user_id}/disable/",),
    errors=(NotFound, Forbidden),
)
class DisableUser(Command, frozen=True, kw_only=True):
    """Disable a user's account: all devices are signed out, and signing in is refused until it is enabled again."""

    user_id: UserId


@command(
    "user.enable",
    actor=Kind.USER,
    by={Role.ADMIN},
    routes=("POST /admin/users/{user_id}/enable/",),
    errors=(NotFound,),
)
class EnableUser(Command, frozen=True, kw_only=True):
    """Enable a user's account again."""

    user_id: UserId


@command("user.grant_role", actor=Kind.USER, by=INTERNAL, errors=(NotFound,))
class GrantRole(Command, frozen=True, kw_only=True):
    """Grant a role; repeating it changes only the manager right."""

    user_id: UserId
    role: Role
    #: None for admins.
    business_id: BusinessId | None = None
    manager: bool = False


@command("user.inform_of_invitation", actor=Kind.USER, by=INTERNAL, errors=(NotFound,))
class InformOfInvitation(Command, frozen=True, kw_only=True):
    """A business invites the user."""

    user_id: UserId
    invitation_id: InvitationId
    business_id: BusinessId
    role: Role
    manager: bool
    expires_at: Instant


@command("user.end_joining", actor=Kind.USER, by=INTERNAL, errors=(NotFound,))
class EndJoining(Command, frozen=True, kw_only=True):
    """The invitation that the user accepted no longer stood."""

    user_id: UserId
    invitation_id: InvitationId
    business_id: BusinessId


@command("user.revoke_role", actor=Kind.USER, by=INTERNAL, errors=(NotFound, Forbidden))
class RevokeRole(Command, frozen=True, kw_only=True):
    """Revoke a role; does nothing if the user does not have it."""

    user_id: UserId
    role: Role
    #: None for admins.
    business_id: BusinessId | None = None


@command("user.switch_role", actor=Kind.USER, by=INTERNAL, reply=SessionGrant, errors=(Forbidden,))
class SwitchRole(Command, frozen=True, kw_only=True):
    """Switch the active role on one device, which is also the default at the next sign-in."""

    user_id: UserId
    session_id: SessionId
    role: Role
    #: May be left out when the role is held for one business only.
    business_id: BusinessId | None = None
