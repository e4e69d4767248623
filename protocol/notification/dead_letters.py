"""What admins see of deliveries, and how they have dead ones sent again.

A delivery is no actor's state but a row of a queue whose state says whether there is anything to do, so replaying is a
procedure of the server and no command: done twice, it finds nothing dead the second time.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from protocol.catalogue import PAGE_LIMIT_DEFAULT, PageLimit, Procedure, Query, View, procedure, query
from protocol.errors import NotFound
from protocol.ids import DeliveryId, UserId
from protocol.instants import Instant
from protocol.notification.channels import Channel
from protocol.notification.deliveries import DeliveryState
from protocol.roles import Role

#: Dead deliveries that one call has sent again.
REPLAY_MAX = 1_000
REASON_MAX = 64

#: A code such as ``http_503``.
Reason = Annotated[str, Meta(min_length=1, max_length=REASON_MAX, pattern=r"^[ -~]+$(?!\n)")]


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


@procedure(
    "delivery.replay",
    by={Role.ADMIN},
    reply=DeliveryView,
    routes=("POST /admin/deliveries/{delivery_id}/replay",),
    errors=(NotFound,),
)
class ReplayDelivery(Procedure, frozen=True, kw_only=True):
    """Have a dead delivery sent again, with as many attempts as a new one; one that is not dead is left as it is."""

    delivery_id: DeliveryId


@procedure("delivery.replay_all", by={Role.ADMIN}, reply=Replayed, routes=("POST /admin/deliveries/replay",))
class ReplayDeliveries(Procedure, frozen=True, kw_only=True):
    """Have all dead deliveries of a channel sent again, the longest dead first, 1,000 at most."""

    channel: Channel
    #: Only those that died of this.
    reason: Reason | None = None
    #: Only those that were dead by then; now, unless given. With it, a retry finds none that died again since.
    until: Instant | None = None
