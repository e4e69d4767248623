"""Terms of users: bounds, enums, small structs and refusals."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.effects import UniqueKey
from protocol.errors import EmailTaken
from protocol.ids import BusinessId, SessionId
from protocol.roles import Role

#: Sessions of one user; with one more, the one refreshed longest ago is revoked.
SESSIONS_MAX = 10


#: Businesses of others in which a user works, accepted invitations included.
EMPLOYMENTS_MAX = 14


NAME_MAX = 100


EMAIL_MAX = 254


#: How long the previous refresh token stays valid, since the reply with its successor may have been lost.
REFRESH_GRACE_S = 10.0


DEVICE_MAX = 32


#: The client's code for its device, such as ``web`` or ``android``; not a name given by the user.
Device = Annotated[
    str, Meta(pattern=rf"^[a-z0-9_.-]{{1,{DEVICE_MAX}}}$(?!\n)", description="A code, like web or android")
]


Language = Annotated[str, Meta(pattern=r"^[a-z]{2}(-[A-Z]{2})?$(?!\n)", description="Like en, de or it")]


PersonName = Annotated[str, Meta(min_length=1, max_length=NAME_MAX)]


#: An address belongs to one account.
UNIQUE_EMAIL = UniqueKey("email", taken=EmailTaken)


def email_key(email: str) -> str:
    """The unique key of a normalised e-mail address."""
    return email.casefold()


class RevokeReason(StrEnum):
    """Why a session was revoked."""

    BY_USER = "by_user"
    #: A refresh token was presented a second time: it may have been stolen.
    REUSE = "reuse"
    #: The user signed in on more than ``SESSIONS_MAX`` devices.
    DISPLACED = "displaced"
    #: The password was changed.
    NEW_PASSWORD = "new_password"


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
