"""Read rows of users, written in the commit of their decision."""

from datetime import datetime
from typing import ClassVar

from protocol.confidential import Confidential
from protocol.events import Row
from protocol.ids import UserId
from protocol.user.terms import Membership, UserSession

# Rows


class Person(Confidential, Row, frozen=True, kw_only=True):
    """A user's name and contact data, which can be erased."""

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
    #: Counts the user's passwords, so that a rehash never replaces a password that was changed meanwhile.
    password_version: int


class UserRow(Row, frozen=True, kw_only=True):
    """A user's roles and sessions, without contact data."""

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
