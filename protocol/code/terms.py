"""Terms of codes: bounds, enums, small structs and refusals."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from protocol.effects import UniqueKey
from protocol.errors import Conflict, Rejected

CODE_DIGITS = 6


#: How long a code holds, by the domain's clock.
CODE_VALID_S = 600


#: Wrong guesses that void a code.
CODE_MISSES_MAX = 5


#: Between two codes of one user for one purpose.
CODE_PAUSE_S = 30


#: Codes of one user for one purpose within a window.
CODES_PER_WINDOW_MAX = 10


CODES_WINDOW_S = 24 * 3600


Code = Annotated[str, Meta(pattern=rf"^[0-9]{{{CODE_DIGITS}}}$(?!\n)", description=f"{CODE_DIGITS} digits")]


class CodeInvalid(Rejected):
    """The code is not the one, or holds no longer: it was used, replaced, guessed at too often, or is too old."""

    status = 422


class PhoneTaken(Conflict):
    """Somebody else has shown that the number is theirs."""


#: A verified number belongs to one account.
UNIQUE_PHONE = UniqueKey("phone", taken=PhoneTaken)


class ChannelUnavailable(Conflict):
    """This installation cannot send that. Fields: ``channel``."""


class Purpose(StrEnum):
    """What a code is good for."""

    PHONE = "phone"
    EMAIL = "email"
    PASSWORD = "password"


#: Whose words a code is sent in.
TEMPLATES: Mapping[Purpose, str] = {
    Purpose.PHONE: "code.sms",
    Purpose.EMAIL: "code.email",
    Purpose.PASSWORD: "reset.email",
}


#: What the address before is told.
EMAIL_CHANGED = "email.changed"
