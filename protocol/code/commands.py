"""Commands to codes."""

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
