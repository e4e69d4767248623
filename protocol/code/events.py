"""Events of codes: what happened, in the past tense."""

from datetime import datetime

from protocol.code.terms import Purpose
from protocol.delivery.channels import Channel
from protocol.events import Event, event
from protocol.notification.types import PUSH_AND_EMAIL, Importance, Party, tell

# Events


@event("code.issued")
class CodeIssued(Event, frozen=True, kw_only=True):
    """A code was issued; the one before it is void, unless it is for a new password. Has no recipients."""

    purpose: Purpose
    #: A keyed hash: the digits cannot be found from it without the server's key.
    code_hash: bytes
    channel: Channel
    expires_at: datetime
    #: SHA-256 of the id of the request, without which a code for a new password is not valid; None: other purposes.
    request_hash: bytes | None = None
    #: Whether the user is signed in where it was asked for.
    own: bool = False
    at: datetime


@event("code.missed")
class CodeMissed(Event, frozen=True, kw_only=True):
    """A wrong code was entered. Has no recipients."""

    purpose: Purpose
    #: The request that it was entered for; None: purposes other than a new password.
    request_hash: bytes | None = None


@event("phone.verified")
class PhoneVerified(Event, frozen=True, kw_only=True):
    """The user has verified a phone number."""

    #: Whether it is another one than before.
    changed: bool = False
    at: datetime


@event("email.verified")
class EmailVerified(Event, frozen=True, kw_only=True):
    """The user has verified an e-mail address."""

    changed: bool = False
    at: datetime


@event("password.changed", tell=tell({Party.SELF}, PUSH_AND_EMAIL, importance=Importance.CRITICAL, even_by_self=True))
class PasswordChanged(Event, frozen=True, kw_only=True):
    """The user has a new password."""

    #: Whether it was set by a code, without the old password.
    by_code: bool = False
    password_version: int
    at: datetime
