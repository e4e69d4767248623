"""The simulated users of a soak, each with three devices; a device has a bad network, a live client and a replica."""

import asyncio
import random
from collections import Counter, deque
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from protocol.errors import Fault, NotFound
from protocol.frames import OpenOutcome
from protocol.ids import ServiceId, UserId
from protocol.registry import Query
from protocol.snapshot import GetSnapshot, Snapshot
from server.client import Client, Event, Replica, Rest
from server.client.rest import SignedIn
from server.edge.config import LimitsConfig
from server.ops.database import open_database
from tests.support.bad_network import NetworkProxy, Sockets, open_bad_network
from tests.support.server import Site, make_config, open_site

DEVICES = ("phone", "tablet", "laptop")
#: The device behind a proxy without WebSockets, which gets its events by event streams.
WALLED = "laptop"
#: Events after which a device sends an ack.
ACK_EVERY = 20
#: Notes on connections that a device keeps for the report of a failure.
NOTES_MAX = 60
#: The pause before a retry after a fault.
RETRY_S = 0.05
#: The longest wait before a check fails.
PATIENCE_S = 90.0


class Violation(Exception):
    """A check failed. Its text helps to find the cause."""


class SignIns(Struct, frozen=True):
    """One user's sign-ins, made before the soak starts."""

    name: str
    sign_ins: tuple[SignedIn, ...]


class Plan(Struct, frozen=True):
    """The users of the soak, and the service that they book."""

    service_id: ServiceId
    first_at: datetime
    customers: tuple[SignIns, ...]
    staff: tuple[SignIns, ...]
    owner: SignIns


async def prepare(data_dir: Path, customers: int, staff: int) -> Plan:
    """Create a business and its users with a separate server, which stops before the soak starts."""
    limits = LimitsConfig(commands_per_s=1e6, command_rates=False, unpaid_holds_max=0, requests_per_address_per_s=1e6)
    config = make_config(data_dir, limits=limits)
    async with open_database(config.server, config.database) as database, open_site(database.dsn, config) as site:
        market = await site.market(staff=staff)
        people = await site.people(*[f"Customer {nth}" for nth in range(1, customers + 1)])
        return Plan(
            market.service_id,
            market.soon,
            tuple([await _sign_ins(site, f"customer-{nth}", one.me.email) for nth, one in enumerate(people, 1)]),
            tuple([await _sign_ins(site, f"staff-{nth}", one.me.email) for nth, one in enumerate(market.staff, 1)]),
            await _sign_ins(site, "owner", market.owner.me.email),
        )


async def _sign_ins(site: Site, name: str, email: str) -> SignIns:
    sign_ins = []
    for _ in DEVICES:
        signed_in = (await site.sign_in(email)).rest.signed_in
        assert signed_in is not None
        sign_ins.append(signed_in)
    return SignIns(name, tuple(sign_ins))


class WatchfulClient(Client):
    """The product's client, which also reports duplicate and unordered events, which the product drops."""

    def __init__(self, of: "Device", **options: Any) -> None:
        super().__init__(of.rest, **options)
        self._of = of

    async def _event(self, event: Event) -> None:
        if event.seq is not None and event.seq != self.seq + 1:
            self._of.wrong.append(f"event {event.seq} ({event.type} {event.entity}) came behind {self.seq}")
        await super()._event(event)

    async def _welcome(self, connection: Any, frame: dict[str, Any]) -> None:
        before = self.since
        self._of.note(f"welcome: {frame['outcome']} at {frame['epoch']}:{frame['seq']}, had {before}")
        if OpenOutcome(frame["outcome"]) is OpenOutcome.RESET:
            self._of.resets += 1
            self._of.stale = True
        await super()._welcome(connection, frame)

    async def _handle(self, connection: Any, frame: dict[str, Any]) -> None:
        if frame["frame"] == "bye":
            self._of.byes[frame["reason"]] += 1
            self._of.note(f"bye: {frame['code']} {frame['reason']}")
        await super()._handle(connection, frame)


#: What a device records of an event, to compare with the log: seq, type, entity, version.
Heard = tuple[int, str, str, int | None]


@dataclass(eq=False)
class Device:
    """One device of one user."""

    name: str
    line: NetworkProxy
    rest: Rest
    client: Client = field(init=False)
    replica: Replica = field(init=False)
    #: Events since the last checks.
    heard: list[Heard] = field(default_factory=list)
    #: The seq up to which its events were compared with the log.
    proven: int = 0
    events: int = 0
    typing: int = 0
    resets: int = 0
    #: Whether it got a reset and has not fetched a snapshot yet.
    stale: bool = False
    byes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=NOTES_MAX))
    listening: asyncio.Task[None] = field(init=False)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, text: str) -> None:
        """Keep a note on its connections."""
        self.notes.append(f"{datetime.now():%H:%M:%S.%f} {text}")

    async def begin(self, stack: AsyncExitStack) -> None:
        """Fetch a snapshot and receive events from there."""
        snapshot: Snapshot = await self.ask(GetSnapshot())
        me = self.me
        self.replica = Replica(snapshot, me)
        self.proven = seq_of(snapshot.as_of)
        options = {"device": self.name.rpartition("/")[2], "since": snapshot.as_of}
        self.client = await stack.enter_async_context(WatchfulClient(self, **options))
        self.listening = asyncio.create_task(self._listen(), name=f"listen {self.name}")
        stack.callback(self.listening.cancel)

    async def begin_anew(self) -> None:
        """After a reset: drop the replica and fetch a snapshot."""
        snapshot: Snapshot = await self.ask(GetSnapshot())
        self.replica, self.stale = Replica(snapshot, self.me), False
        self.proven = max(seq_of(snapshot.as_of), self.client.seq)
        self.heard.clear()

    @property
    def me(self) -> Any:
        """Its user."""
        assert self.rest.signed_in is not None
        return self.rest.signed_in.tokens.user

    @property
    def seq(self) -> int:
        """The seq of the last event that it handled."""
        return seq_of(self.replica.as_of)

    async def ask(self, query: Query) -> Any:
        """Send over REST until there is a reply. Raises: Rejected."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return (await self.rest.call(query)).reply
                except Fault:
                    await asyncio.sleep(RETRY_S)

    async def fill(self) -> None:
        """Fetch what events do not contain."""
        for query in list(self.replica.to_fetch):
            try:
                self.replica.put(await self.ask(query))
            except NotFound:
                self.replica.lost(query)

    async def _listen(self) -> None:
        async for event in self.client.events():
            if event.seq is None:
                self.typing += 1
                continue
            if self.stale:
                continue
            self.events += 1
            self.heard.append((event.seq, event.type, event.entity, event.version))
            try:
                self.replica.apply(event)
            except Exception as error:
                self.wrong.append(f"event {event.seq} ({event.type} {event.entity}): {error!r}")
            self.moved.set()
            if event.seq % ACK_EVERY == 0:
                await self.client.ack(event.seq)


@dataclass(eq=False)
class Person:
    """A user with all their devices."""

    name: str
    devices: list[Device]

    @property
    def id(self) -> UserId:
        """Their user id."""
        user_id: UserId = self.devices[0].me.id
        return user_id

    def any_device(self, chance: random.Random) -> Device:
        """The device to use now."""
        return chance.choice(self.devices)


@dataclass(eq=False)
class SimulatedUsers:
    """All users of the soak."""

    plan: Plan
    customers: list[Person]
    staff: list[Person]
    owner: Person

    @property
    def people(self) -> list[Person]:
        """All users."""
        return [*self.customers, *self.staff, self.owner]

    @property
    def devices(self) -> list[Device]:
        """All devices."""
        return [device for person in self.people for device in person.devices]


async def connect_users(stack: AsyncExitStack, url: str, plan: Plan) -> SimulatedUsers:
    """Connect all devices, each over a network of its own; the stack disconnects them."""

    async def seat(seat: SignIns) -> Person:
        devices = []
        for name, signed_in in zip(DEVICES, seat.sign_ins, strict=True):
            line = await stack.enter_async_context(open_bad_network(url))
            line.sockets = Sockets.REFUSED if name == WALLED else Sockets.PASSED
            rest = await stack.enter_async_context(Rest(line.url, signed_in))
            device = Device(f"{seat.name}/{name}", line, rest)
            await device.begin(stack)
            devices.append(device)
        return Person(seat.name, devices)

    customers = [await seat(one) for one in plan.customers]
    staff = [await seat(one) for one in plan.staff]
    return SimulatedUsers(plan, customers, staff, await seat(plan.owner))


def seq_of(as_of: str) -> int:
    """The seq of an ``epoch:seq``."""
    return int(as_of.rpartition(":")[2])
