"""Procedures of signing in: REST calls that the server carries out by commands of its own."""

from typing import Annotated

from msgspec import Meta

from protocol.auth.terms import REFRESH_TOKEN_MAX, Email, NewPassword, Password, Phone
from protocol.auth.views import CodeStep, Tokens
from protocol.code.terms import ChannelUnavailable, Code, CodeInvalid, PhoneTaken
from protocol.confidential import Confidential
from protocol.errors import EmailTaken, Forbidden, LimitReached, Unauthenticated
from protocol.ids import BusinessId
from protocol.registry import Done, Procedure, procedure
from protocol.roles import ANYONE, PUBLIC, Role
from protocol.user.terms import Device, Language, PersonName


@procedure(
    "auth.sign_up",
    by=PUBLIC,
    reply=Tokens,
    routes=("POST /auth/signup/",),
    status=201,
    errors=(EmailTaken, LimitReached),
)
class Register(Confidential, Procedure, frozen=True, kw_only=True):
    """Create an account and sign in. A new user is a customer; businesses grant other roles."""

    email: Email
    password: NewPassword
    name: PersonName
    phone_number: Phone | None = None
    language: Language = "en"
    device: Device = "other"


@procedure(
    "auth.sign_in", by=PUBLIC, reply=Tokens, routes=("POST /auth/signin/",), errors=(Unauthenticated, LimitReached)
)
class SignIn(Confidential, Procedure, frozen=True, kw_only=True):
    """Sign in by e-mail and password. The active role is the one used last, else the one with the most rights."""

    email: Email
    password: Password
    device: Device = "other"


@procedure("auth.refresh", by=PUBLIC, reply=Tokens, routes=("POST /auth/refresh/",), errors=(Unauthenticated,))
class Refresh(Confidential, Procedure, frozen=True, kw_only=True):
    """Get new tokens for a refresh token, which is valid once: a second use ends the session."""

    refresh_token: Annotated[str, Meta(max_length=REFRESH_TOKEN_MAX)]


@procedure("auth.switch_role", by=ANYONE, reply=Tokens, routes=("POST /auth/switch-role/",), errors=(Forbidden,))
class ActAs(Procedure, frozen=True, kw_only=True):
    """Switch to another of my roles or businesses on this device."""

    role: Role
    #: May be left out when the role is held for one business only.
    business_id: BusinessId | None = None


_CODE_ERRORS = (CodeInvalid, ChannelUnavailable, LimitReached)


@procedure(
    "auth.verify_phone",
    by=ANYONE,
    reply=CodeStep,
    routes=("POST /auth/verify-phone/",),
    errors=(*_CODE_ERRORS, PhoneTaken),
)
class VerifyPhone(Confidential, Procedure, frozen=True, kw_only=True):
    """Verify my phone number: without ``code``, a code is sent by SMS; with it, the number is verified."""

    #: A new number, which replaces the present one once it is verified.
    phone_number: Phone | None = None
    code: Code | None = None


@procedure(
    "auth.verify_email",
    by=ANYONE,
    reply=CodeStep,
    routes=("POST /auth/verify-email/",),
    errors=(*_CODE_ERRORS, EmailTaken),
)
class VerifyEmail(Confidential, Procedure, frozen=True, kw_only=True):
    """Verify my e-mail address: without ``code``, a code is sent there; with it, the address is verified."""

    #: A new address, which replaces the present one once it is verified.
    email: Email | None = None
    code: Code | None = None


@procedure(
    "auth.reset_password",
    by=PUBLIC,
    reply=CodeStep,
    routes=("POST /auth/reset-password/",),
    errors=_CODE_ERRORS,
)
class ResetPassword(Confidential, Procedure, frozen=True, kw_only=True):
    """Reset a password: with ``email`` alone, a code is sent there if an account has that address.

    With ``code`` and ``new_password`` as well, the password is set and all devices are signed out.
    """

    email: Email
    code: Code | None = None
    new_password: NewPassword | None = None


@procedure(
    "auth.change_password",
    by=ANYONE,
    reply=Done,
    routes=("POST /auth/change-password/",),
    errors=(Forbidden, LimitReached),
)
class ChangePassword(Confidential, Procedure, frozen=True, kw_only=True):
    """Change the password, given the old one; all other devices are signed out."""

    password: Password
    new_password: NewPassword
