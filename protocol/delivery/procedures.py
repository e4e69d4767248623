"""Procedures of deliveries: REST calls that the server carries out around commands."""

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
