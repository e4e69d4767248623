"""Delivery by e-mail, push and SMS, as a part of the server."""

from dataclasses import dataclass
from functools import partial

from protocol.device.views import GetVapidKey
from server.delivery.channels.email.composer import EmailComposer
from server.delivery.channels.push.vapid import load_vapid
from server.delivery.channels.sms.webhooks import TwilioWebhooks
from server.delivery.config import DeliverySections
from server.delivery.dead_letters import DeadLetters
from server.delivery.pipeline import DeliveryPipeline, adapters_of
from server.edge.part import Context, Part
from server.links.tokens import Links

#: How often expired leases are reclaimed.
RECLAIM_EVERY_S = 15.0
#: How often the queue's depth is read for metrics.
METRICS_EVERY_S = 15.0


@dataclass(frozen=True, kw_only=True)
class DeliveryPart(Part):
    """The part, and the pipeline that other parts wake."""

    pipeline: DeliveryPipeline


def open_delivery(context: Context, config: DeliverySections, links: Links) -> DeliveryPart:
    """Open the pipeline with the configured channels. Raises: UnusableKey, AdapterError."""
    node = context.node
    vapid = load_vapid(config.server, config.push)
    emails = EmailComposer(node.pool, links, node.clock.now, config.email.from_name)
    pipeline = DeliveryPipeline(node, adapters_of(config, node), config.deliveries, emails)

    async def start() -> None:
        pipeline.start()
        node.agenda.every("reclaim deliveries", min(RECLAIM_EVERY_S, config.deliveries.lease_s / 4), pipeline.reclaim)
        node.agenda.every("delivery figures", METRICS_EVERY_S, pipeline.metrics.refresh)

    twilio = TwilioWebhooks(node.pool, config.sms.auth_token, config.server.url, node.clock.now)
    return DeliveryPart(
        pipeline=pipeline,
        routes=twilio.routes if config.sms.account_sid else {},
        procedures=DeadLetters(node.pool, node.clock.now, pipeline.wake).procedures,
        queries={GetVapidKey: vapid.show},
        listeners=[pipeline.outbox_relay.on_event],
        time_moved=[pipeline.time_moved],
        metrics=[pipeline.metrics],
        tasks=lambda: pipeline.tasks,
        start=start,
        stop=partial(pipeline.stop, config.server.drain_s),
    )
