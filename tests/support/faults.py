"""What the fault tests share: people who never give up, what they heard, and how often each effect must be there.

``GUILDWIRE_ROUNDS`` sets how often each test repeats its trouble.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec import Struct

from actors.actor import ACTORS
from protocol.booking.commands import CreateBooking
from protocol.booking.views import BookingReply
from protocol.errors import Fault
from protocol.ids import ServiceId
from server.app.config import Config
from server.client import Client, Event, Rest
from server.client.rest import Answer, SignedIn
from server.edge.config import LimitsConfig
from server.ops.verify import verify
from storage.database import Pool
from tests.support.server import Site, make_config, open_site

ROUNDS = int(os.environ.get("GUILDWIRE_ROUNDS", "1"))
#: The longest wait for a reply. Tests that expect a failure set a shorter one.
PATIENCE_S = float(os.environ.get("GUILDWIRE_PATIENCE_S", "60"))
RETRY_S = 0.02
CHUNK_BYTES = 65_536
#: Sessions of this database that wait for a lock.
WAITING_FOR_LOCKS = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
NO_LIMITS = LimitsConfig(commands_per_s=1e6, requests_per_address_per_s=1e6, unpaid_holds_max=0)


def patient_config(data_dir: Path, **sections: Any) -> Config:
    """A configuration that lets people ask as often as they like."""
    return make_config(data_dir, limits=NO_LIMITS, **sections)


async def insist(rest: Rest, command: Struct, key: str | None = None) -> Answer:
    """Send a command over REST under one id until it is answered, as a person's app does."""
    key = key or str(uuid4())
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await rest.call(command, key=key)
            except Fault:
                await asyncio.sleep(RETRY_S)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Ask again until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not await true():
            await asyncio.sleep(RETRY_S)


async def until_blocked(pool: Pool) -> None:
    """Wait until a session of this database waits for a lock."""

    async def blocked() -> bool:
        return bool(await pool.fetchval(WAITING_FOR_LOCKS))

    await until(blocked)


@dataclass(frozen=True, slots=True)
class Scene:
    """A business that is always open and has much staff, and one of its customers."""

    service_id: ServiceId
    soon: datetime
    customer: SignedIn
    _hours: Any = field(default_factory=count)

    def next_booking(self) -> CreateBooking:
        """A booking at a time of its own."""
        return CreateBooking(service_id=self.service_id, start_at=self.soon + timedelta(hours=2 * next(self._hours)))


async def make_scene(site: Site) -> Scene:
    """Open the business and sign the customer up."""
    market = await site.market(staff=2)
    customer = await site.person("Cora Customer")
    assert customer.rest.signed_in is not None
    return Scene(market.service_id, market.soon, customer.rest.signed_in)


async def prepare_scene(dsn: str, data_dir: Path) -> Scene:
    """The same with a server that is gone afterwards."""
    async with open_site(dsn, patient_config(data_dir)) as site:
        return await make_scene(site)


@dataclass(slots=True)
class Witness:
    """The customer: books, listens on a line that comes back by itself, and notes all of it."""

    scene: Scene
    rest: Rest
    phone: Client
    since: int
    heard: list[Event] = field(default_factory=list)
    booked: list[BookingReply] = field(default_factory=list)

    async def book(self, rest: Rest | None = None) -> Answer:
        """Book until it is answered."""
        answer = await insist(rest or self.rest, self.scene.next_booking())
        self.booked.append(answer.reply)
        return answer

    async def prove(self, pool: Pool) -> None:
        """Every booking is there once, every event was heard once and in order, and the books hold."""
        rows = await pool.fetch("SELECT id FROM bookings")
        assert Counter(row["id"] for row in rows) == Counter(reply.booking_id for reply in self.booked)
        user_id = self.scene.customer.tokens.user.id
        kept = [
            (row["seq"], f"{row['kind']}/{row['id']}", row["version"])
            for row in await pool.fetch("SELECT * FROM inbox WHERE user_id = $1 ORDER BY seq", user_id)
        ]
        assert [seq for seq, _, _ in kept] == list(range(1, len(kept) + 1))

        async def heard_all() -> bool:
            return len(self.heard) >= len(kept) - self.since

        await until(heard_all)
        assert [(event.seq, event.entity, event.version) for event in self.heard] == kept[self.since :]
        await prove(pool)


async def prove(pool: Pool) -> None:
    """Run every check of ``server verify``; none may find anything."""
    broken = [finding async for finding in verify(pool, ACTORS) if finding.broken]
    assert not broken, broken


@asynccontextmanager
async def watching(url: str, scene: Scene) -> AsyncIterator[Witness]:
    """Let the customer listen at a server that runs, and that may fall and come back."""
    async with Rest(url, scene.customer) as rest, Client(rest) as phone:
        witness = Witness(scene, rest, phone, phone.seq)

        async def listen() -> None:
            async for event in phone.events():
                witness.heard.append(event)

        listening = asyncio.create_task(listen())
        try:
            yield witness
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


class Relay:
    """Stands between a client and the server, and can keep an answer back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._keeps = False
        self._kept = asyncio.Event()
        self.url = ""

    def keep_answers(self) -> None:
        """Let nothing more through to the client."""
        self._keeps = True
        self._kept.clear()

    async def kept(self) -> None:
        """Wait until an answer was kept back."""
        async with asyncio.timeout(PATIENCE_S):
            await self._kept.wait()

    def pass_answers(self) -> None:
        """Let new answers through again; what was kept back is lost."""
        self._keeps = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        with suppress(OSError):
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
            pumps = [
                asyncio.create_task(self._pump(reader, to_server, is_answer=False)),
                asyncio.create_task(self._pump(from_server, writer, is_answer=True)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                to_server.transport.abort()
        writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK_BYTES):
                if is_answer and self._keeps:
                    self._kept.set()
                    continue
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def relaying(port: int) -> AsyncIterator[Relay]:
    """Run a relay to the server on that port."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
