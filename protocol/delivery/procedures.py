"""Procedures of deliveries: REST calls that are not commands."""

from protocol.delivery.channels import Channel
from protocol.delivery.terms import Reason
from protocol.delivery.views import DeliveryView, Replayed
from protocol.errors import NotFound
from protocol.ids import DeliveryId
from protocol.instants import Instant
from protocol.registry import Procedure, procedure
from protocol.roles import Role


@procedure(
    "delivery.replay",
    by={Role.ADMIN},
    reply=DeliveryView,
    routes=("POST /admin/deliveries/{delivery_id}/replay",),
    errors=(NotFound,),
)
class ReplayDelivery(Procedure, frozen=True, kw_only=True):
    """Replay a dead delivery, with as many attempts as a new one; a delivery in another state is unchanged."""

    delivery_id: DeliveryId


@procedure("delivery.replay_all", by={Role.ADMIN}, reply=Replayed, routes=("POST /admin/deliveries/replay",))
class ReplayDeliveries(Procedure, frozen=True, kw_only=True):
    """Replay a channel's dead deliveries, the longest dead first, 1,000 at most."""

    channel: Channel
    #: Only those with this reason.
    reason: Reason | None = None
    #: Only those that were dead at this instant; default: now. With it, a retry skips those that died again since.
    until: Instant | None = None
