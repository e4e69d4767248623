"""Read rows of codes, written in the commit of the decision that they follow from."""

from datetime import datetime
from typing import ClassVar

from protocol.code.terms import Purpose
from protocol.confidential import Confidential
from protocol.events import Row
from protocol.ids import UserId


class CodeTarget(Confidential, Row, frozen=True, kw_only=True):
    """Where a user's code was sent: what is theirs once they send it back."""

    table: ClassVar[str] = "code_targets"
    key: ClassVar[tuple[str, ...]] = ("user_id", "purpose")

    user_id: UserId
    purpose: Purpose
    #: A normalised address, or E.164.
    target: str
    expires_at: datetime
