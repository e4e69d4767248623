"""Terms of users: bounds, enums, small structs and refusals."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.effects import UniqueKey
from protocol.errors import EmailTaken
from protocol.ids import BusinessId, SessionId
from protocol.roles import Role

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


class UserSession(Struct, frozen=True, kw_only=True):
    """One device that somebody is signed in on."""

    session_id: SessionId
    device: str
    opened_at: datetime
    refreshed_at: datetime
    expires_at: datetime
