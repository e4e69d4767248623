"""Read rows of codes, written in the commit of their decision."""

from datetime import datetime
from typing import ClassVar

from protocol.code.terms import Purpose
from protocol.confidential import Confidential
from protocol.events import Row
from protocol.ids import UserId


class CodeTarget(Confidential, Row, frozen=True, kw_only=True):
    """The address or number that a user's code was sent to, and that the code verifies."""

    table: ClassVar[str] = "code_targets"
    key: ClassVar[tuple[str, ...]] = ("user_id", "purpose")

    user_id: UserId
    purpose: Purpose
    #: A normalised address, or E.164.
    target: str
    expires_at: datetime
