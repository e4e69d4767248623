"""The delivery pipeline: outbox entries become notifications, notifications become deliveries, deliveries are sent.

outbox ── OutboxRelay ──▶ notifications ── DeliveryRouter ──▶ deliveries ── DeliveryWorker ──▶ adapters
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
from server.delivery.channels.push.devices import FindDevices, no_devices
from server.delivery.channels.push.vapid import load_vapid
from server.delivery.channels.push.web_push import WebPush
from server.delivery.channels.sms.composer import compose_sms
from server.delivery.channels.sms.twilio import Twilio, ignore_opt_out
from server.delivery.config import DeliveriesConfig, DeliverySections
from server.delivery.context import DeliveryContext, load_contexts
from server.delivery.development_mailbox import MailboxAdapter
from server.delivery.metrics import DeliveryMetrics
from server.delivery.outbox_relay import OutboxRelay
from server.delivery.router import DeliveryRouter
from server.delivery.worker import DeliveryWorker, NotAttempted, WorkerOptions
from server.edge.node import Node
from storage.database import UNWRITABLE, Pool
from storage.deliveries import Leased, reclaim
from storage.outbox import fan_out
from storage.queries.device import load_addresses
from storage.short_messages import record_opt_out
from storage.supervision import Supervised

log = structlog.get_logger(__name__)

Compose = Callable[[DeliveryContext], Message | Suppressed]
#: Loads what composing these contexts needs, and returns the function that makes their messages.
Prepare = Callable[[Sequence[DeliveryContext]], Awaitable[Compose]]

#: channel → how it makes a message from a context. ``EmailComposer`` makes e-mails, since they need more data.
COMPOSERS: Mapping[Channel, Compose] = {
    Channel.PUSH: compose_push,
    Channel.WEB_PUSH: compose_push,
    Channel.SMS: compose_sms,
    Channel.WHATSAPP: compose_sms,
}
#: All channels, in the order in which they are shown.
CHANNELS = (Channel.EMAIL, *COMPOSERS)
#: Seconds' worth of a channel's rate that may be sent at once after a pause.
BURST_S = 2.0
_TO_DEVICES = (Channel.PUSH, Channel.WEB_PUSH)


class DeliveryPipeline:
    """The outbox relay, the router and the workers of this node."""

    def __init__(
        self, node: Node, adapters: Collection[Adapter[Message]], config: DeliveriesConfig, emails: EmailComposer
    ) -> None:
        prepare: dict[Channel, Prepare] = {
            channel: partial(_prepared, compose) for channel, compose in COMPOSERS.items()
        }
        prepare[Channel.EMAIL] = emails.prepare
        self.workers = {
            adapter.channel: DeliveryWorker(
                adapter,
                partial(_compose, node.pool, node.clock.now, prepare[adapter.channel]),
                node.pool,
                node.clock.now,
                worker_options(config, adapter.channel),
                gone=partial(_forget_device, node) if adapter.channel in _TO_DEVICES else None,
                observe=self._observe,
            )
            for adapter in adapters
        }
        breakers = {channel: worker.breaker for channel, worker in self.workers.items()}
        self.metrics = DeliveryMetrics(node.pool, breakers, node.clock.now)
        self._pool = node.pool
        self._attempts_max = config.attempts_max
        self.router = DeliveryRouter(node.pool, frozenset(self.workers), node.clock.now, node.runtime.new_id, self.wake)
        self.outbox_relay = OutboxRelay(partial(fan_out, node.pool), self.router.route_all)

    @property
    def tasks(self) -> list[Supervised]:
        """The loops of the workers and the outbox relay."""
        return [self.outbox_relay.task, *[worker.task for worker in self.workers.values()]]

    def start(self) -> None:
        """Start all, beginning with what was left from before."""
        for worker in self.workers.values():
            worker.start()
        self.outbox_relay.start()

    async def stop(self, grace_s: float) -> None:
        """Stop; batches being sent may finish within the grace period, and other deliveries stay queued."""
        workers = [worker.stop(grace_s) for worker in self.workers.values()]
        await asyncio.gather(self.outbox_relay.stop(), *workers)

    def wake(self, channels: Collection[Channel]) -> None:
        """Wake the workers of these channels."""
        for channel in channels:
            if channel in self.workers:
                self.workers[channel].wake()

    async def time_moved(self) -> None:
        """Wake all workers: the domain's clock was moved, so more may be due."""
        self.wake(self.workers.keys())

    async def reclaim(self) -> None:
        """Reclaim leases of workers that died."""
        lost = await reclaim(self._pool, self._attempts_max)
        self.metrics.reclaimed(lost)
        self.wake(set(lost))

    def _observe(self, delivery: Leased, outcome: Outcome) -> None:
        self.metrics.finished(delivery, outcome)


def adapters_of(config: DeliverySections, node: Node) -> list[Adapter[Message]]:
    """One adapter for each available channel; in development the mailbox replaces missing providers."""
    providers = providers_of(
        config, node.clock.now, partial(load_addresses, node.pool), partial(_opt_out, node.pool, node.clock.now)
    )
    if config.dev.enabled:
        return [providers.get(channel) or MailboxAdapter(channel, node.pool, node.clock.now) for channel in CHANNELS]
    return list(providers.values())


def providers_of(
    config: DeliverySections,
    now: Callable[[], datetime],
    find: FindDevices = no_devices,
    opted_out: Callable[[str], Awaitable[None]] = ignore_opt_out,
) -> dict[Channel, Adapter[Any]]:
    """The configured providers. They need neither database nor node: ``server doctor`` calls ``check`` on each.

    Args:
        find: finds the push addresses of devices.
        opted_out: receives numbers that have opted out.

    Raises: AdapterError for an incomplete configuration.
    """
    providers: dict[Channel, Adapter[Any]] = {}
    if config.email.host:
        providers[Channel.EMAIL] = Smtp(config.email, now)
    if config.push.fcm_credentials:
        providers[Channel.PUSH] = _fcm(Path(config.push.fcm_credentials), find, now)
    load_key = partial(load_vapid, config.server, config.push, make=find is not no_devices)
    providers[Channel.WEB_PUSH] = WebPush(load_key, find, now, private=config.push.private_endpoints)
    if config.sms.account_sid:
        url = config.server.public_url
        channels = (Channel.SMS, Channel.WHATSAPP) if config.sms.whatsapp_from else (Channel.SMS,)
        for channel in channels:
            providers[channel] = Twilio(config.sms, channel, now, public_url=url, opted_out=opted_out)
    return providers


def _fcm(credentials: Path, find: FindDevices, now: Callable[[], datetime]) -> Adapter[Any]:
    """Import Google's library only if it is used: it takes time to load, and 15 MB."""
    from server.delivery.channels.push.fcm import Fcm  # noqa: PLC0415

    return Fcm(credentials, find, now)


async def _opt_out(pool: Pool, now: Callable[[], datetime], number: str) -> None:
    """Store that a number has opted out; if that fails, its provider reports it again."""
    try:
        await record_opt_out(pool, number, now())
    except UNWRITABLE as error:
        log.warning("sms.opt_out_not_stored", action="at_the_next_message", error=type(error).__name__)


def worker_options(config: DeliveriesConfig, channel: Channel) -> WorkerOptions:
    """The options of a channel's worker, as configured."""
    per_s: float = getattr(config, f"{channel}_per_s")
    return WorkerOptions(
        concurrency=config.at_once,
        rate=Rate(per_s, max(1, round(per_s * BURST_S))) if per_s else None,
        attempts_max=config.attempts_max,
        lease_s=config.lease_s,
    )


async def _forget_device(node: Node, one: Leased) -> None:
    """Have the user's actor forget a device that its push service does not know any more."""
    if one.device_id is None:
        return
    forget = ForgetDevice(user_id=one.user_id, device_id=one.device_id, reason=ForgetReason.GONE)
    to = Ref(Kind.USER, one.user_id)
    outcome = await node.runtime.call(forget, to, key=f"gone/{one.id}")
    if outcome.error is not None:
        log.warning("push.not_forgotten", action="at_the_next_message", error=outcome.error.code)


async def _prepared(compose: Compose, contexts: Sequence[DeliveryContext]) -> Compose:
    """Nothing more is to be loaded."""
    return compose


async def _compose(
    pool: Pool,
    now: Callable[[], datetime],
    prepare: Prepare,
    deliveries: Sequence[Leased],
) -> dict[DeliveryId, Message | Suppressed | NotAttempted | TryLater]:
    """Make the messages; a crash affects its own message only."""
    made: dict[DeliveryId, Message | Suppressed | NotAttempted | TryLater] = {}
    contexts = await load_contexts(pool, deliveries, now())
    compose = await prepare([one for one in contexts.values() if isinstance(one, DeliveryContext)])
    for delivery_id, one in contexts.items():
        if not isinstance(one, DeliveryContext):
            made[delivery_id] = one
            continue
        try:
            made[delivery_id] = compose(one)
        except Exception as error:
            log.exception("compose.crashed", action="try_later", template=one.delivery.template, error=repr(error))
            made[delivery_id] = TryLater("internal")
    return made
