"""The normal form of each kind of text (``protocol.texts``), which every check follows.

A request is decoded straight into its struct if its texts are in normal form already, as nearly all are
(``server.edge.guards`` looks). Otherwise ``server.edge.reading`` brings them there, field by field.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping

from actors.rules.texts import text_problem
from protocol.texts import TextKind
from server.edge.contact import NotAContact, email_address, phone_number

#: Spaces, hyphens and invisible formatting inside a code.
_IN_CODE = re.compile(r"[\s\-\u00ad\u200b-\u200f\u2010-\u2015\u202a-\u202e\u2060-\u2069\ufeff]")
_REGION = re.compile(r"[a-z]{2}")
_SCRIPT = re.compile(r"[a-z]{4}")
_IMAGE = re.compile(r"https://[^\s/?#@\\:]+(:[0-9]+)?([/?#][^\s\\]*)?|/([^\s/\\][^\s\\]*)?", re.IGNORECASE)


class NotNormal(ValueError):
    """A text has no normal form of its kind. ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def normal_text(text: str) -> str:
    """NFC, line ends as LF, no white space around it."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.strip()


def is_normal(text: str) -> bool:
    """Whether ``normal_text`` would leave a text alone; quick for ASCII."""
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        return False
    return "\r" not in text and text.strip() == text


def _name(text: str) -> str:
    name = normal_text(text)
    if name and (problem := text_problem(name, lines=False)):
        raise NotNormal(problem)
    return name


def _email(text: str) -> str:
    try:
        return email_address(normal_text(text))
    except NotAContact as error:
        raise NotNormal(error.code) from None


def _phone(text: str) -> str:
    written = normal_text(text)
    try:
        return phone_number(written) if written else ""
    except NotAContact as error:
        raise NotNormal(error.code) from None


def _image(text: str) -> str:
    address = normal_text(text)
    if address and not _IMAGE.fullmatch(address):
        raise NotNormal("not_https")
    return address


def language_tag(text: str) -> str:
    """A BCP 47 tag in canonical case (RFC 5646 §2.1.1), also with underscores: ``en_us`` is ``en-US``."""
    subtags = normal_text(text).lower().replace("_", "-").split("-")
    for at, subtag in enumerate(subtags[1:], 1):
        if len(subtag) == 1:  # an extension follows, in lower case
            break
        if _REGION.fullmatch(subtag):
            subtags[at] = subtag.upper()
        elif _SCRIPT.fullmatch(subtag):
            subtags[at] = subtag.title()
    return "-".join(subtags)


#: Kind → the function that returns its normal form, or raises NotNormal. A second application changes nothing.
NORMAL: Mapping[TextKind, Callable[[str], str]] = {
    TextKind.TEXT: normal_text,
    TextKind.NAME: _name,
    TextKind.SECRET: str,
    TextKind.CODE: lambda text: _IN_CODE.sub("", text),
    TextKind.EMAIL: _email,
    TextKind.PHONE: _phone,
    TextKind.LANGUAGE: language_tag,
    TextKind.IMAGE: _image,
}
