"""Views of deliveries, and the queries that return them."""

from datetime import datetime

from protocol.delivery.channels import Channel
from protocol.delivery.terms import DeliveryState, Reason
from protocol.ids import DeliveryId, UserId
from protocol.registry import PAGE_LIMIT_DEFAULT, PageLimit, Query, View, query
from protocol.roles import Role


class DeliveryView(View, frozen=True, kw_only=True):
    """One delivery, without its address and its words."""

    id: DeliveryId
    user_id: UserId
    #: Whose words it has: a type of notification, or a name of its own such as ``code.email``.
    template: str
    channel: Channel
    critical: bool
    state: DeliveryState
    #: Why the last attempt failed, or why it was skipped: a code.
    reason: str | None
    #: Attempts begun, over all replays.
    attempts: int
    #: Attempts that nobody knows the outcome of: it may have arrived so often already.
    unknown_outcomes: int
    at: datetime
    #: When the next attempt is due, or the last one was.
    due_at: datetime
    #: None until it is sent, skipped or dead.
    finished_at: datetime | None


class DeliveryPage(View, frozen=True, kw_only=True):
    """A page of deliveries, those that ended last, or are due last, first."""

    items: list[DeliveryView]
    #: None: this was the last page.
    next_cursor: str | None


class Replayed(View, frozen=True, kw_only=True):
    """How many dead deliveries go out again."""

    count: int
    #: There may be more of that kind.
    more: bool


@query("delivery.list", by={Role.ADMIN}, view=DeliveryPage, routes=("GET /admin/deliveries/",))
class ListDeliveries(Query, frozen=True, kw_only=True):
    """What became of messages by e-mail, push and SMS; unless asked otherwise, those that are dead."""

    state: DeliveryState = DeliveryState.DEAD
    channel: Channel | None = None
    reason: Reason | None = None
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None
