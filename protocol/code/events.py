"""Events of codes: what happened, in the past tense."""

from datetime import datetime

from protocol.code.terms import Purpose
from protocol.delivery.channels import Channel
from protocol.events import Event, event
from protocol.notification.types import PUSH_AND_EMAIL, Importance, Party, tell

# Events


@event("code.issued")
class CodeIssued(Event, frozen=True, kw_only=True):
    """A code is on its way; the one before it is void. Goes to nobody's inbox."""

    purpose: Purpose
    #: Keyed: without the server's key the digits cannot be found from it.
    code_hash: bytes
    channel: Channel
    expires_at: datetime
    at: datetime


@event("code.missed")
class CodeMissed(Event, frozen=True, kw_only=True):
    """Somebody sent another code back. Goes to nobody's inbox."""

    purpose: Purpose


@event("phone.verified")
class PhoneVerified(Event, frozen=True, kw_only=True):
    """The user has shown that a number is theirs."""

    #: It is another one than before.
    changed: bool = False
    at: datetime


@event("email.verified")
class EmailVerified(Event, frozen=True, kw_only=True):
    """The user has shown that an address is theirs."""

    changed: bool = False
    at: datetime


@event("password.changed", tell=tell({Party.SELF}, PUSH_AND_EMAIL, importance=Importance.CRITICAL, even_by_self=True))
class PasswordChanged(Event, frozen=True, kw_only=True):
    """The user has another password."""

    #: Set by a code, not by who knew the old one.
    by_code: bool = False
    password_version: int
    at: datetime
