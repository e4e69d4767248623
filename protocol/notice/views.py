"""Views of notices, and the queries that return them."""

from uuid import UUID

from protocol.registry import View


class NoticeSent(View, frozen=True, kw_only=True):
    """What was sent, and to how many."""

    notice_id: UUID
    recipients: int
