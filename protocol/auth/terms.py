"""Terms of signing in: bounds, enums, small structs and refusals."""

from typing import Annotated

from msgspec import Meta

from protocol.user.terms import EMAIL_MAX

#: Characters of a password; the lower bound is checked with the other rules, so that the refusal names its reason.
PASSWORD_MIN = 8


PASSWORD_MAX = 128


#: Characters of a phone number as written, with spaces and brackets.
PHONE_MAX = 32


REFRESH_TOKEN_MAX = 256


Email = Annotated[str, Meta(max_length=EMAIL_MAX, examples=["ada@example.com"], extra_json_schema={"format": "email"})]


Password = Annotated[str, Meta(max_length=PASSWORD_MAX, description=f"{PASSWORD_MIN} to {PASSWORD_MAX} characters")]


#: A password that is set. The schema has the lower bound.
NewPassword = Annotated[Password, Meta(extra_json_schema={"minLength": PASSWORD_MIN})]


Phone = Annotated[str, Meta(max_length=PHONE_MAX, description="International, with +", examples=["+49 30 901820"])]
