"""The kinds of text in requests. A transport brings a text to the normal form of its kind before anything checks it."""

from enum import StrEnum
from typing import Any


class TextKind(StrEnum):
    """What a text is. A field has the kind that its type declares with ``kind``; without one it is ``TEXT``."""

    #: Free text. NFC; line ends are LF; no white space around it.
    TEXT = "text"
    #: A name or title: free text of one line, with something to see in it, and without control of its direction.
    NAME = "name"
    #: A password. Left as it is: it is hashed in NFKC, and outer spaces count.
    SECRET = "secret"
    #: Digits that a person types. Spaces and hyphens do not count.
    CODE = "code"
    #: An e-mail address. Its domain in IDNA's normal form.
    EMAIL = "email"
    #: An international phone number, in E.164.
    PHONE = "phone"
    #: A BCP 47 language tag, in canonical case.
    LANGUAGE = "language"
    #: The address of a picture: https, or a path of this server.
    IMAGE = "image"


def kind(of: TextKind) -> dict[str, Any]:
    """The ``extra`` of a type's ``Meta``."""
    return {"kind": of}
