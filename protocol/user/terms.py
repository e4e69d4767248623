"""Terms of users: bounds, enums, small structs and refusals."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.effects import UniqueKey
from protocol.errors import EmailTaken, Rejected
from protocol.ids import BusinessId, SessionId
from protocol.roles import Role
from protocol.texts import TextKind, kind

#: Sessions of one user; with one more, the one refreshed longest ago is revoked.
SESSIONS_MAX = 10


#: Businesses of others in which a user works, accepted invitations included.
EMPLOYMENTS_MAX = 14


NAME_MAX = 100


EMAIL_MAX = 254
#: Characters of a language tag; RFC 5646 §4.4.1 has no usual one that is longer.
LANGUAGE_MAX = 35


#: How long a used refresh token can be exchanged again: the reply may have been lost, and tabs renew at the same time.
REFRESH_GRACE_S = 10.0


#: Refresh tokens of one session that are in force at once; with one more, the oldest one is passed over.
REFRESH_SIBLINGS_MAX = 16


#: Passed-over refresh tokens that a session remembers; an older one counts as used.
REFRESH_PASSED_OVER_MAX = 32


DEVICE_MAX = 32


#: Devices of one user that are known again; the one signed in on longest ago is forgotten first.
DEVICE_MARKS_MAX = 20


INSTALLATION_MAX = 64


#: An app's name for its installation, made at random once and kept there.
Installation = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Za-z0-9_.-]{{8,{INSTALLATION_MAX}}}$(?!\n)",
        description="Random, made once by the app and kept; by it a device is known again at the next sign-in",
    ),
]


#: The client's code for its device, such as ``web`` or ``android``; not a name given by the user.
Device = Annotated[
    str, Meta(pattern=rf"^[a-z0-9_.-]{{1,{DEVICE_MAX}}}$(?!\n)", description="A code, like web or android")
]


#: A language tag by BCP 47 with the usual subtags. A language without texts reads as English.
Language = Annotated[
    str,
    Meta(
        max_length=LANGUAGE_MAX,
        pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{1,8})*$(?!\n)",
        description="A BCP 47 tag, like en, de-AT or zh-Hant-TW",
        extra=kind(TextKind.LANGUAGE),
    ),
]


PersonName = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, extra=kind(TextKind.NAME))]


#: An address belongs to one account.
UNIQUE_EMAIL = UniqueKey("email", taken=EmailTaken)


def email_key(email: str) -> str:
    """The unique key of a normalised e-mail address: in lower case, letter by letter.

    Not its case folding: ``fuß.test`` and ``fuss.test`` are two domains, with two owners.
    """
    return "".join(map(str.lower, email))


class AccountDisabled(Rejected):
    """An admin has disabled the account: nobody can sign in to it."""

    status = 403


class RevokeReason(StrEnum):
    """Why a session was revoked."""

    BY_USER = "by_user"
    #: A refresh token was presented a second time: it may have been stolen.
    REUSE = "reuse"
    #: The user signed in on more than ``SESSIONS_MAX`` devices.
    DISPLACED = "displaced"
    #: The password was changed.
    NEW_PASSWORD = "new_password"
    #: An admin has disabled the account.
    DISABLED = "disabled"


class Acting(Struct, frozen=True, omit_defaults=True):
    """An active role, and the business that it is for."""

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


class UserSession(Struct, frozen=True, kw_only=True):
    """One session of a user."""

    session_id: SessionId
    device: str
    opened_at: datetime
    refreshed_at: datetime
    expires_at: datetime
