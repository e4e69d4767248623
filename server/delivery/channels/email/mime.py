"""An e-mail and its MIME form. User data cannot inject headers."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from server.delivery.adapters import Message

#: Longer names and subjects are cut.
NAME_CHARS_MAX = 80
SUBJECT_CHARS_MAX = 200

#: Not allowed in a header: controls, lone surrogates, changes of direction, line separators.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
#: Characters with a meaning in address headers.
_SPECIAL = re.compile(r'[<>()\[\]:;@\\,"]+')


class _Headers(EmailPolicy):
    """The standard policy, but a long List-Unsubscribe URL stays on one line.

    The library would make it an encoded word, which no mail program accepts as a URL (RFC 2047 §5).
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        """One header with its line end."""
        if name.lower() == "list-unsubscribe":
            return f"{name}: {value}{self.linesep}".encode()
        return super().fold_binary(name, value)


_HEADERS = _Headers(linesep="\r\n")


class BadAddress(Exception):
    """The address is malformed."""


class Email(Message, frozen=True, kw_only=True):
    """One e-mail."""

    to: str
    to_name: str = ""
    subject: str
    text: str
    #: The same as HTML; empty: text only.
    html: str = ""
    #: One-click unsubscribe URL (RFC 8058); None: this kind cannot be unsubscribed.
    unsubscribe_url: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of all e-mails."""

    address: str
    name: str

    @property
    def domain(self) -> str:
        """The sender's domain in ASCII."""
        return _parts(self.address).ascii_domain


@dataclass(frozen=True, slots=True)
class Wire:
    """An e-mail in SMTP's form."""

    #: The envelope's addresses.
    sender: str
    recipient: str
    #: Whether the server must support SMTPUTF8.
    utf8: bool
    data: bytes


def to_wire(email: Email, sender: Sender, now: datetime) -> Wire:
    """Encode an e-mail. Raises: BadAddress.

    A delivery always has the same Message-ID, by which mail servers and programs recognise a duplicate.
    """
    recipient, origin = _parts(email.to), _parts(sender.address)
    utf8 = recipient.ascii_local_part is None or origin.ascii_local_part is None
    message = EmailMessage(policy=_HEADERS.clone(utf8=utf8))
    message["From"] = _address(sender.name, origin)
    message["To"] = _address(email.to_name, recipient)
    message["Subject"] = _line(email.subject)[:SUBJECT_CHARS_MAX]
    message["Date"] = now
    message["Message-ID"] = f"<{email.id}@{origin.ascii_domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if email.unsubscribe_url is not None:
        message["List-Unsubscribe"] = f"<{email.unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(email.text, cte="quoted-printable")
    if email.html:
        message.add_alternative(email.html, subtype="html", cte="quoted-printable")
    return Wire(_plain(origin), _plain(recipient), utf8, message.as_bytes())


def _parts(address: str) -> ValidatedEmail:
    try:
        return validate_email(address, check_deliverability=False, globally_deliverable=False, test_environment=True)
    except EmailNotValidError as error:
        raise BadAddress from error


def _plain(parts: ValidatedEmail) -> str:
    """The address with its domain in ASCII."""
    return f"{parts.local_part}@{parts.ascii_domain}"


def _address(name: str, parts: ValidatedEmail) -> Address:
    clean = _SPECIAL.sub(" ", _line(name))
    return Address(" ".join(clean.split())[:NAME_CHARS_MAX], parts.local_part, parts.ascii_domain)


def _line(text: str) -> str:
    """The text as one line without forbidden characters and encoded words (RFC 2047)."""
    return " ".join(_FORBIDDEN.sub(" ", text).replace("=?", "= ?").split())
