"""Codes that show whose an address or a number is, and that let somebody set a new password (SPEC §8).

A code is six digits that only its receiver knows. What is kept of it is a keyed hash, in the state of its user; the
digits stand in the delivery until they are sent. Where it was sent is a row, since it may not be theirs yet.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from protocol.catalogue import Command, View, command
from protocol.effects import UniqueKey
from protocol.errors import Conflict, EmailTaken, Forbidden, LimitReached, Rejected
from protocol.events import Event, Row
from protocol.ids import Kind, SessionId, UserId
from protocol.notification.channels import Channel
from protocol.roles import INTERNAL
from protocol.user import Confidential, Person

CODE_DIGITS = 6
#: How long a code holds, by the domain's clock.
CODE_VALID_S = 600
#: Wrong guesses that void a code.
CODE_MISSES_MAX = 5
#: Between two codes of one user for one purpose.
CODE_PAUSE_S = 30
#: Codes of one user for one purpose within a window.
CODES_PER_WINDOW_MAX = 10
CODES_WINDOW_S = 24 * 3600

Code = Annotated[str, Meta(pattern=rf"^[0-9]{{{CODE_DIGITS}}}$(?!\n)", description=f"{CODE_DIGITS} digits")]


class CodeInvalid(Rejected):
    """The code is not the one, or holds no longer: it was used, replaced, guessed at too often, or is too old."""

    status = 422


class PhoneTaken(Conflict):
    """Somebody else has shown that the number is theirs."""


#: A verified number belongs to one account.
UNIQUE_PHONE = UniqueKey("phone", taken=PhoneTaken)


class ChannelUnavailable(Conflict):
    """This installation cannot send that. Fields: ``channel``."""


class Purpose(StrEnum):
    """What a code is good for."""

    PHONE = "phone"
    EMAIL = "email"
    PASSWORD = "password"


#: Whose words a code is sent in.
TEMPLATES: Mapping[Purpose, str] = {
    Purpose.PHONE: "code.sms",
    Purpose.EMAIL: "code.email",
    Purpose.PASSWORD: "reset.email",
}
#: What the address before is told.
EMAIL_CHANGED = "email.changed"


class CodeTarget(Confidential, Row, frozen=True, kw_only=True):
    """Where a user's code was sent: what is theirs once they send it back."""

    table: ClassVar[str] = "code_targets"
    key: ClassVar[tuple[str, ...]] = ("user_id", "purpose")

    user_id: UserId
    purpose: Purpose
    #: A normalised address, or E.164.
    target: str
    expires_at: datetime


class ContactFacts(Confidential, Struct, frozen=True, kw_only=True):
    """How a user is reached now, and where their code was sent."""

    person: Person
    #: None: there is no code for that purpose.
    target: str | None
    #: It is another account's.
    taken: bool = False


# Events


class CodeIssued(Event, frozen=True, kw_only=True):
    """A code is on its way; the one before it is void. Goes to nobody's inbox."""

    purpose: Purpose
    #: Keyed: without the server's key the digits cannot be found from it.
    code_hash: bytes
    channel: Channel
    expires_at: datetime
    at: datetime


class CodeMissed(Event, frozen=True, kw_only=True):
    """Somebody sent another code back. Goes to nobody's inbox."""

    purpose: Purpose


class PhoneVerified(Event, frozen=True, kw_only=True):
    """The user has shown that a number is theirs."""

    #: It is another one than before.
    changed: bool = False
    at: datetime


class EmailVerified(Event, frozen=True, kw_only=True):
    """The user has shown that an address is theirs."""

    changed: bool = False
    at: datetime


class PasswordChanged(Event, frozen=True, kw_only=True):
    """The user has another password."""

    #: Set by a code, not by who knew the old one.
    by_code: bool = False
    password_version: int
    at: datetime


# Commands: the server's own, around which it hashes


class CodeChecked(View, frozen=True, kw_only=True):
    """What came of sending a code back."""

    right: bool


@command("user.send_code", actor=Kind.USER, by=INTERNAL, errors=(LimitReached,))
class SendCode(Confidential, Command, frozen=True, kw_only=True):
    """Send the user a code. Only the newest one of a purpose holds."""

    user_id: UserId
    purpose: Purpose
    code: str
    code_hash: bytes
    #: Random: whoever reads the hash of this command cannot find the code by trying all of them.
    nonce: bytes
    channel: Channel
    #: None: the user's own, whatever it is at the moment of sending.
    target: str | None = None


@command("user.verify_contact", actor=Kind.USER, by=INTERNAL, reply=CodeChecked, errors=(EmailTaken, PhoneTaken))
class VerifyContact(Confidential, Command, frozen=True, kw_only=True):
    """Take the number or address for the user's own, if the code is right."""

    user_id: UserId
    purpose: Purpose
    code_hash: bytes
    #: Where the user believes the code went; None: they do not say.
    target: str | None = None


@command("user.reset_password", actor=Kind.USER, by=INTERNAL, reply=CodeChecked)
class ResetByCode(Confidential, Command, frozen=True, kw_only=True):
    """Set a new password if the code is right, and sign out every device."""

    user_id: UserId
    code_hash: bytes
    password_hash: str


@command("user.change_password", actor=Kind.USER, by=INTERNAL, errors=(Forbidden,))
class SetPassword(Confidential, Command, frozen=True, kw_only=True):
    """Set a new password for somebody who knew the old one, and sign out every other device."""

    user_id: UserId
    password_hash: str
    #: Which password they knew.
    password_version: int
    #: The device that stays.
    session_id: SessionId
