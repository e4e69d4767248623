"""Views of deliveries, and the queries that return them."""

from datetime import datetime

from protocol.delivery.channels import Channel
from protocol.delivery.terms import DeliveryState, Reason
from protocol.ids import DeliveryId, UserId
from protocol.registry import PAGE_LIMIT_DEFAULT, PageLimit, Query, View, query
from protocol.roles import Role


class DeliveryView(View, frozen=True, kw_only=True):
    """One delivery, without its address and text."""

    id: DeliveryId
    user_id: UserId
    #: A notification type, or a template such as ``code.email``.
    template: str
    channel: Channel
    critical: bool
    state: DeliveryState
    #: Why the last attempt failed, or why it was skipped: a code.
    reason: str | None
    #: Attempts, over all replays.
    attempts: int
    #: Attempts with an unknown outcome: the message may have arrived this many times already.
    unknown_outcomes: int
    at: datetime
    #: When the next attempt is due, or the last one was.
    due_at: datetime
    #: None until it is sent, skipped or dead.
    finished_at: datetime | None


class DeliveryPage(View, frozen=True, kw_only=True):
    """A page of deliveries, the last finished or last due first."""

    items: list[DeliveryView]
    #: None: this was the last page.
    next_cursor: str | None


class Replayed(View, frozen=True, kw_only=True):
    """How many dead deliveries are sent again."""

    count: int
    #: Whether there may be more of them.
    more: bool


@query("delivery.list", by={Role.ADMIN}, view=DeliveryPage, routes=("GET /admin/deliveries/",))
class ListDeliveries(Query, frozen=True, kw_only=True):
    """Messages by e-mail, push and SMS with their states; by default the dead ones."""

    state: DeliveryState = DeliveryState.DEAD
    channel: Channel | None = None
    reason: Reason | None = None
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None
