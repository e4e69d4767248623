"""Reaching people, put together: announcements become notifications, those deliveries, and those are sent.

announcements ── announcer ──▶ notifications ── planner ──▶ deliveries ── couriers ──▶ adapters
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from protocol.ids import DeliveryId
from protocol.notification.channels import Channel
from server.announcer import Announcer
from server.config import Config
from server.node import Node
from server.outbound.adapters import Adapter, Message, Needless
from server.outbound.briefing import Brief, brief
from server.outbound.courier import Courier
from server.outbound.email.compose import compose_email
from server.outbound.email.smtp import Smtp
from server.outbound.mailbox import Mailbox
from server.outbound.planner import Planner
from server.outbound.push import compose_push
from server.outbound.sms import compose_sms
from storage.announcements import tell
from storage.database import Pool
from storage.deliveries import Leased, reclaim

#: Leases that ran out are taken back this often.
RECLAIM_EVERY_S = 15.0

M = TypeVar("M", bound=Message)

#: How each channel makes its message.
COMPOSERS: Mapping[Channel, Callable[[Brief], Message | Needless]] = {
    Channel.EMAIL: compose_email,
    Channel.PUSH: compose_push,
    Channel.WEB_PUSH: compose_push,
    Channel.SMS: compose_sms,
}
#: Batches of one channel that are under way at once.
CONCURRENCY: Mapping[Channel, int] = {Channel.EMAIL: 4, Channel.PUSH: 4, Channel.WEB_PUSH: 8, Channel.SMS: 4}


class Reaching:
    """The planner and all couriers of this node."""

    def __init__(self, node: Node, adapters: Collection[Adapter[Message]]) -> None:
        self.couriers = {
            adapter.channel: Courier(
                adapter,
                partial(_compose, node.pool, COMPOSERS[adapter.channel]),
                node.pool,
                node.clock.now,
                concurrency=CONCURRENCY[adapter.channel],
            )
            for adapter in adapters
        }
        self._pool = node.pool
        self.planner = Planner(node.pool, frozenset(self.couriers), node.runtime.new_id, self.call)
        self.announcer = Announcer(partial(tell, node.pool), self.planner.plan_all)

    def start(self) -> None:
        """Go to work, with what was left from before."""
        for courier in self.couriers.values():
            courier.start()
        self.announcer.start()

    async def stop(self) -> None:
        """Stop; what is not sent yet stays where it is."""
        await self.announcer.stop()
        for courier in self.couriers.values():
            await courier.stop()

    def call(self, channels: Collection[Channel]) -> None:
        """These channels have something to send."""
        for channel in channels:
            self.couriers[channel].call()

    async def time_moved(self) -> None:
        """The domain's clock was moved: more may be due."""
        self.call(self.couriers.keys())

    async def reclaim(self) -> None:
        """Take up what a server that died had in its hands."""
        if await reclaim(self._pool):
            self.call(self.couriers.keys())


@asynccontextmanager
async def open_reaching(config: Config, node: Node) -> AsyncIterator[Reaching]:
    """Let people be reached for as long as this is open."""
    reaching = Reaching(node, adapters_of(config, node))
    node.listeners.append(reaching.announcer.on_event)
    node.time_moved.append(reaching.time_moved)
    reaching.start()
    node.agenda.every("reclaim deliveries", RECLAIM_EVERY_S, reaching.reclaim)
    try:
        yield reaching
    finally:
        await reaching.stop()


def adapters_of(config: Config, node: Node) -> list[Adapter[Message]]:
    """One adapter for each channel that this installation has; in development a mailbox stands in for a provider."""
    providers: dict[Channel, Adapter[Any]] = {}
    if config.email.host:
        providers[Channel.EMAIL] = Smtp(config.email, node.clock.now)
    if config.dev.enabled:
        return [providers.get(channel) or Mailbox(channel, node.pool) for channel in COMPOSERS]
    return list(providers.values())


async def _compose(
    pool: Pool, make: Callable[[Brief], Message | Needless], deliveries: Sequence[Leased]
) -> dict[DeliveryId, Message | Needless]:
    briefs = await brief(pool, deliveries)
    return {delivery_id: make(one) for delivery_id, one in briefs.items()}
