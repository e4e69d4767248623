"""Terms of signing in: bounds, enums, small structs and refusals."""

from typing import Annotated

from msgspec import Meta

from protocol.texts import TextKind, kind
from protocol.user.terms import EMAIL_MAX

#: Characters of a password.
PASSWORD_MIN = 8


PASSWORD_MAX = 128


#: Characters of a phone number as written, with spaces and brackets.
PHONE_MAX = 32


REFRESH_TOKEN_MAX = 256


Email = Annotated[
    str,
    Meta(
        max_length=EMAIL_MAX,
        examples=["ada@example.com"],
        extra=kind(TextKind.EMAIL),
        extra_json_schema={"format": "email"},
    ),
]


Password = Annotated[
    str,
    Meta(
        max_length=PASSWORD_MAX,
        description=f"{PASSWORD_MIN} to {PASSWORD_MAX} characters",
        extra=kind(TextKind.SECRET),
    ),
]
NewPassword = Annotated[Password, Meta(min_length=PASSWORD_MIN)]


Phone = Annotated[
    str,
    Meta(
        max_length=PHONE_MAX,
        description="International, with +",
        examples=["+49 30 901820"],
        extra=kind(TextKind.PHONE),
    ),
]
