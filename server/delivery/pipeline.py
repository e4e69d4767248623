"""Reaching people, put together: outbox entries become notifications, those deliveries, and those are sent.

outbox ── announcer ──▶ notifications ── planner ──▶ deliveries ── couriers ──▶ adapters
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from protocol.delivery.channels import Channel
from protocol.device.commands import ForgetDevice
from protocol.device.terms import ForgetReason
from protocol.ids import DeliveryId, Kind, Ref
from protocol.rates import Rate
from server.delivery.adapters import Adapter, Message, Outcome, Suppressed, TryLater
from server.delivery.channels.email.composer import EmailComposer
from server.delivery.channels.email.smtp import Smtp
from server.delivery.channels.push.composer import compose_push
from server.delivery.channels.push.devices import FindDevices, nowhere
from server.delivery.channels.push.vapid import load_vapid
from server.delivery.channels.push.web_push import WebPush
from server.delivery.channels.sms.composer import compose_sms
from server.delivery.channels.sms.twilio import Twilio, nobody_stops
from server.delivery.config import DeliveriesConfig, DeliverySections
from server.delivery.context import DeliveryContext, brief
from server.delivery.development_mailbox import Mailbox
from server.delivery.metrics import DeliveryMetrics
from server.delivery.outbox_relay import OutboxRelay
from server.delivery.router import DeliveryRouter
from server.delivery.worker import DeliveryWorker, NotAttempted, Terms
from server.edge.node import Node
from storage.database import UNWRITABLE, Pool
from storage.deliveries import Leased, reclaim
from storage.outbox import tell
from storage.queries.device import load_addresses
from storage.short_messages import note_stop
from storage.supervision import Supervised

log = structlog.get_logger(__name__)

Make = Callable[[DeliveryContext], Message | Suppressed]
#: Gives what makes messages of briefs, having read what it needs besides.
Prepare = Callable[[Sequence[DeliveryContext]], Awaitable[Make]]

#: How each channel makes its message of a brief; letters are made by ``EmailComposer``, which read more.
COMPOSERS: Mapping[Channel, Make] = {
    Channel.PUSH: compose_push,
    Channel.WEB_PUSH: compose_push,
    Channel.SMS: compose_sms,
    Channel.WHATSAPP: compose_sms,
}
#: All that there are, in the order in which they are shown.
CHANNELS = (Channel.EMAIL, *COMPOSERS)
#: So many seconds' worth of a channel's pace may go at once after a pause.
BURST_S = 2.0
_TO_DEVICES = (Channel.PUSH, Channel.WEB_PUSH)


class DeliveryPipeline:
    """The planner and all couriers of this node."""

    def __init__(
        self, node: Node, adapters: Collection[Adapter[Message]], config: DeliveriesConfig, letters: EmailComposer
    ) -> None:
        prepare: dict[Channel, Prepare] = {channel: partial(_prepared, make) for channel, make in COMPOSERS.items()}
        prepare[Channel.EMAIL] = letters.prepare
        self.couriers = {
            adapter.channel: DeliveryWorker(
                adapter,
                partial(_compose, node.pool, node.clock.now, prepare[adapter.channel]),
                node.pool,
                node.clock.now,
                terms_of(config, adapter.channel),
                gone=partial(_forget_device, node) if adapter.channel in _TO_DEVICES else None,
                observe=self._observe,
            )
            for adapter in adapters
        }
        breakers = {channel: courier.breaker for channel, courier in self.couriers.items()}
        self.metrics = DeliveryMetrics(node.pool, breakers, node.clock.now)
        self._pool = node.pool
        self._attempts_max = config.attempts_max
        self.planner = DeliveryRouter(
            node.pool, frozenset(self.couriers), node.clock.now, node.runtime.new_id, self.call
        )
        self.announcer = OutboxRelay(partial(tell, node.pool), self.planner.plan_all)

    @property
    def tasks(self) -> list[Supervised]:
        """The loops of the workers and the outbox relay."""
        return [self.announcer.task, *[courier.task for courier in self.couriers.values()]]

    def start(self) -> None:
        """Go to work, with what was left from before."""
        for courier in self.couriers.values():
            courier.start()
        self.announcer.start()

    async def stop(self, grace_s: float) -> None:
        """Stop; what is being sent may finish within the grace, and what is not sent yet stays where it is."""
        couriers = [courier.stop(grace_s) for courier in self.couriers.values()]
        await asyncio.gather(self.announcer.stop(), *couriers)

    def call(self, channels: Collection[Channel]) -> None:
        """These channels have something to send."""
        for channel in channels:
            if channel in self.couriers:
                self.couriers[channel].call()

    async def time_moved(self) -> None:
        """The domain's clock was moved: more may be due."""
        self.call(self.couriers.keys())

    async def reclaim(self) -> None:
        """Take up what a server that died had in its hands."""
        lost = await reclaim(self._pool, self._attempts_max)
        self.metrics.reclaimed(lost)
        self.call(set(lost))

    def _observe(self, delivery: Leased, outcome: Outcome) -> None:
        self.metrics.finished(delivery, outcome)


def adapters_of(config: DeliverySections, node: Node) -> list[Adapter[Message]]:
    """One adapter for each channel that this installation has; in development a mailbox stands in for a provider."""
    providers = providers_of(
        config, node.clock.now, partial(load_addresses, node.pool), partial(_stop, node.pool, node.clock.now)
    )
    if config.dev.enabled:
        return [providers.get(channel) or Mailbox(channel, node.pool) for channel in CHANNELS]
    return list(providers.values())


def providers_of(
    config: DeliverySections,
    now: Callable[[], datetime],
    find: FindDevices = nowhere,
    stopped: Callable[[str], Awaitable[None]] = nobody_stops,
) -> dict[Channel, Adapter[Any]]:
    """The configured providers. They need no database and no node: ``server doctor`` asks each of them by ``check``.

    Args:
        find: where devices' messages go.
        stopped: hears of numbers that want no messages any more.

    Raises: AdapterError, if one is not configured in full.
    """
    providers: dict[Channel, Adapter[Any]] = {}
    if config.email.host:
        providers[Channel.EMAIL] = Smtp(config.email, now)
    if config.push.fcm_credentials:
        providers[Channel.PUSH] = _fcm(Path(config.push.fcm_credentials), find, now)
    load_key = partial(load_vapid, config.server, config.push, make=find is not nowhere)
    providers[Channel.WEB_PUSH] = WebPush(load_key, find, now, private=config.push.private_endpoints)
    if config.sms.account_sid:
        url = config.server.public_url
        channels = (Channel.SMS, Channel.WHATSAPP) if config.sms.whatsapp_from else (Channel.SMS,)
        for channel in channels:
            providers[channel] = Twilio(config.sms, channel, now, public_url=url, stopped=stopped)
    return providers


def _fcm(credentials: Path, find: FindDevices, now: Callable[[], datetime]) -> Adapter[Any]:
    """Google's library takes its time to load, and 15 MB, which only those need who use it."""
    from server.delivery.channels.push.fcm import Fcm  # noqa: PLC0415

    return Fcm(credentials, find, now)


async def _stop(pool: Pool, now: Callable[[], datetime], number: str) -> None:
    """Note that a number wants no messages any more; if that fails, its provider will say so again."""
    try:
        await note_stop(pool, number, now())
    except UNWRITABLE as error:
        log.warning("sms.stop_not_noted", action="at_the_next_message", error=type(error).__name__)


def terms_of(config: DeliveriesConfig, channel: Channel) -> Terms:
    """How a channel is served, as configured."""
    per_s: float = getattr(config, f"{channel}_per_s")
    return Terms(
        concurrency=config.at_once,
        rate=Rate(per_s, max(1, round(per_s * BURST_S))) if per_s else None,
        attempts_max=config.attempts_max,
        lease_s=config.lease_s,
    )


async def _forget_device(node: Node, one: Leased) -> None:
    """Let the user's actor forget a device that its push service knows no longer."""
    if one.device_id is None:
        return
    forget = ForgetDevice(user_id=one.user_id, device_id=one.device_id, reason=ForgetReason.GONE)
    to = Ref(Kind.USER, one.user_id)
    outcome = await node.runtime.call(forget, to, key=f"gone/{one.id}")
    if outcome.error is not None:
        log.warning("push.not_forgotten", action="at_the_next_message", error=outcome.error.code)


async def _prepared(make: Make, briefs: Sequence[DeliveryContext]) -> Make:
    """Nothing more is to be read."""
    return make


async def _compose(
    pool: Pool,
    now: Callable[[], datetime],
    prepare: Prepare,
    deliveries: Sequence[Leased],
) -> dict[DeliveryId, Message | Suppressed | NotAttempted | TryLater]:
    """Make the messages; one that cannot be made holds up no other."""
    made: dict[DeliveryId, Message | Suppressed | NotAttempted | TryLater] = {}
    briefs = await brief(pool, deliveries, now())
    make = await prepare([one for one in briefs.values() if isinstance(one, DeliveryContext)])
    for delivery_id, one in briefs.items():
        if not isinstance(one, DeliveryContext):
            made[delivery_id] = one
            continue
        try:
            made[delivery_id] = make(one)
        except Exception as error:
            log.exception("compose.crashed", action="try_later", template=one.delivery.template, error=repr(error))
            made[delivery_id] = TryLater("internal")
    return made
