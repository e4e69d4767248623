"""Terms of codes: bounds, enums, small structs and refusals."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from protocol.effects import UniqueKey
from protocol.errors import Conflict, Rejected
from protocol.texts import TextKind, kind

CODE_DIGITS = 6


#: How long a code is valid.
CODE_VALID_S = 600


#: Wrong entries that void a code.
CODE_MISSES_MAX = 5


#: The shortest time between two codes of one user for one purpose.
CODE_PAUSE_S = 30


#: Codes of one user for one purpose within a window.
CODES_PER_WINDOW_MAX = 10


CODES_WINDOW_S = 24 * 3600


Code = Annotated[
    str,
    Meta(
        pattern=rf"^[0-9]{{{CODE_DIGITS}}}$(?!\n)",
        description=f"{CODE_DIGITS} digits; spaces and hyphens between them do not count",
        extra=kind(TextKind.CODE),
    ),
]


#: The id of a request for a new password: 128 random bits.
RequestId = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{22}$(?!\n)", description="The request_id of the reply to the first step")
]


class CodeInvalid(Rejected):
    """The code is wrong, or invalid: used, replaced, entered wrongly too often, or expired."""

    status = 422


class PhoneTaken(Conflict):
    """Another user has verified the number."""


#: A verified number belongs to one account.
UNIQUE_PHONE = UniqueKey("phone", taken=PhoneTaken)


class ChannelUnavailable(Conflict):
    """This installation cannot send by that channel. Fields: ``channel``."""


class Purpose(StrEnum):
    """The purpose of a code."""

    PHONE = "phone"
    EMAIL = "email"
    PASSWORD = "password"


#: The template of a code's message.
TEMPLATES: Mapping[Purpose, str] = {
    Purpose.PHONE: "code.sms",
    Purpose.EMAIL: "code.email",
    Purpose.PASSWORD: "reset.email",
}


#: The template of the message to the former address.
EMAIL_CHANGED = "email.changed"
