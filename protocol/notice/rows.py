"""Rows of notices, written in the commit of the decision that causes them."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from protocol.confidential import Confidential
from protocol.events import Row
from protocol.ids import UserId


class Notice(Confidential, Row, frozen=True, kw_only=True):
    """The text of a notice. Its recipients see it until it is erased."""

    table: ClassVar[str] = "notices"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: UUID
    title: str
    body: str
    sent_by: UserId
    at: datetime
