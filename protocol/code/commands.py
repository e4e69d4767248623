"""Commands about codes, to users."""

from protocol.code.terms import PhoneTaken, Purpose
from protocol.code.views import CodeChecked
from protocol.confidential import Confidential
from protocol.delivery.channels import Channel
from protocol.errors import EmailTaken, Forbidden, LimitReached
from protocol.ids import Kind, SessionId, UserId
from protocol.registry import Command, command
from protocol.roles import INTERNAL


@command("user.send_code", actor=Kind.USER, by=INTERNAL, errors=(LimitReached,))
class SendCode(Confidential, Command, frozen=True, kw_only=True):
    """Send the user a code. Only the newest one of a purpose is valid; for a new password, the one of each request."""

    user_id: UserId
    purpose: Purpose
    code: str
    code_hash: bytes
    #: Random, so that the code cannot be found from the hash of this command by trying all codes.
    nonce: bytes
    channel: Channel
    #: None: the user's own address or number at the time of sending.
    target: str | None = None
    #: SHA-256 of the request's id; None: purposes other than a new password.
    request_hash: bytes | None = None
    #: Whether the user is signed in where the code is asked for.
    own: bool = False


@command("user.verify_contact", actor=Kind.USER, by=INTERNAL, reply=CodeChecked, errors=(EmailTaken, PhoneTaken))
class VerifyContact(Confidential, Command, frozen=True, kw_only=True):
    """Mark the number or address as verified, if the code is right."""

    user_id: UserId
    purpose: Purpose
    code_hash: bytes
    #: The address or number that the user expects the code to be for; None: not given.
    target: str | None = None


@command("user.reset_password", actor=Kind.USER, by=INTERNAL, reply=CodeChecked)
class ResetByCode(Confidential, Command, frozen=True, kw_only=True):
    """Set a new password if the code is right, and sign out every device."""

    user_id: UserId
    code_hash: bytes
    #: SHA-256 of the id of the request that the code was sent for.
    request_hash: bytes
    password_hash: str


@command("user.change_password", actor=Kind.USER, by=INTERNAL, errors=(Forbidden,))
class SetPassword(Confidential, Command, frozen=True, kw_only=True):
    """Set a new password for a user who gave the old one, and sign out all other devices."""

    user_id: UserId
    password_hash: str
    #: The version of the old password.
    password_version: int
    #: The session that stays.
    session_id: SessionId
