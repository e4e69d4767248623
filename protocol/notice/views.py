"""Views of notices, and the queries that return them."""

from uuid import UUID

from protocol.registry import View


class NoticeSent(View, frozen=True, kw_only=True):
    """The notice, and its number of recipients."""

    notice_id: UUID
    recipients: int
