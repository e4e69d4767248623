"""Events of notices: what happened, in the past tense."""

from typing import ClassVar
from uuid import UUID

from protocol.delivery.channels import Channel
from protocol.events import Event, Row
from protocol.ids import UserId
from protocol.notice.rows import Notice


class NotificationSent(Event, frozen=True, kw_only=True):
    """An admin sent the user a notice, which holds the text."""

    content: ClassVar[type[Row] | None] = Notice
    content_id: ClassVar[str] = "notice_id"

    notice_id: UUID
    by: UserId
    channels: tuple[Channel, ...]
    critical: bool = False
