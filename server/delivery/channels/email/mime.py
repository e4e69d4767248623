"""A letter, and its form on the wire: a MIME message whose headers nobody but us can write."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from server.delivery.adapters import Message

#: More of a name, or of a subject, does not help anybody.
NAME_CHARS_MAX = 80
SUBJECT_CHARS_MAX = 200

#: What would be misread in a header: controls, halves of pairs, what turns the writing direction, line separators.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
#: What means something in the header of an address.
_SPECIAL = re.compile(r'[<>()\[\]:;@\\,"]+')


class _Headers(EmailPolicy):
    """Headers as mail servers want them, but that an address of the web stays what it is, however long.

    The library would put an encoded word in its place, which no mail program takes for an address (RFC 2047 §5).
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        """One header, with its line's end."""
        if name.lower() == "list-unsubscribe":
            return f"{name}: {value}{self.linesep}".encode()
        return super().fold_binary(name, value)


_HEADERS = _Headers(linesep="\r\n")


class BadAddress(Exception):
    """There is no such address."""


class Email(Message, frozen=True, kw_only=True):
    """One letter."""

    to: str
    to_name: str = ""
    subject: str
    text: str
    #: The same, with its looks; empty: there is only text.
    html: str = ""
    #: Where one click ends letters of this kind (RFC 8058); None: there is no end to these.
    unsubscribe_url: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom letters come from."""

    address: str
    name: str

    @property
    def domain(self) -> str:
        """The domain, as the wire has it."""
        return _parts(self.address).ascii_domain


@dataclass(frozen=True, slots=True)
class Wire:
    """A letter as a mail server takes it."""

    #: The envelope's addresses.
    sender: str
    recipient: str
    #: Whether the server must understand addresses beyond ASCII.
    utf8: bool
    data: bytes


def to_wire(email: Email, sender: Sender, now: datetime) -> Wire:
    """Write the message down. Raises: BadAddress.

    The same delivery always has the same Message-ID, by which mail servers and readers recognise a second copy.
    """
    to, by = _parts(email.to), _parts(sender.address)
    utf8 = to.ascii_local_part is None or by.ascii_local_part is None
    message = EmailMessage(policy=_HEADERS.clone(utf8=utf8))
    message["From"] = _address(sender.name, by)
    message["To"] = _address(email.to_name, to)
    message["Subject"] = _line(email.subject)[:SUBJECT_CHARS_MAX]
    message["Date"] = now
    message["Message-ID"] = f"<{email.id}@{by.ascii_domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if email.unsubscribe_url is not None:
        message["List-Unsubscribe"] = f"<{email.unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(email.text, cte="quoted-printable")
    if email.html:
        message.add_alternative(email.html, subtype="html", cte="quoted-printable")
    return Wire(_plain(by), _plain(to), utf8, message.as_bytes())


def _parts(address: str) -> ValidatedEmail:
    try:
        return validate_email(address, check_deliverability=False, globally_deliverable=False, test_environment=True)
    except EmailNotValidError as error:
        raise BadAddress from error


def _plain(parts: ValidatedEmail) -> str:
    """The address with its domain in ASCII, which every server understands."""
    return f"{parts.local_part}@{parts.ascii_domain}"


def _address(name: str, parts: ValidatedEmail) -> Address:
    said = _SPECIAL.sub(" ", _line(name))
    return Address(" ".join(said.split())[:NAME_CHARS_MAX], parts.local_part, parts.ascii_domain)


def _line(text: str) -> str:
    """One line of text that says what it seems to say, and holds no word that a reader would decode (RFC 2047)."""
    return " ".join(_UNFIT.sub(" ", text).replace("=?", "= ?").split())
