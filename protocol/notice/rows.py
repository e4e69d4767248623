"""Read rows of notices, written in the commit of the decision that they follow from."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from protocol.confidential import Confidential
from protocol.events import Row
from protocol.ids import UserId


class Notice(Confidential, Row, frozen=True, kw_only=True):
    """What was written. Whoever it was sent to sees it as long as it is there."""

    table: ClassVar[str] = "notices"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: UUID
    title: str
    body: str
    sent_by: UserId
    at: datetime
