"""W8: how fast people are told by e-mail and push, and what it does to whoever decides when every provider hangs."""

import asyncio
import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import urandom
from time import perf_counter
from uuid import UUID, uuid4

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.compared import Compared
from bench.machine import ROOT, open_server
from bench.market import STEP, Market, make_market
from bench.sockets import TOKEN_LIFETIME_S, Place
from protocol.booking.commands import CreateBooking
from protocol.ids import Kind, Ref, ServiceId, SessionId, UserId
from protocol.notification.rows import OutboxEntry
from protocol.roles import Role
from protocol.user.events import SessionOpened, SessionRevoked
from protocol.user.terms import RevokeReason
from server.accounts.keys import load_keys
from server.accounts.tokens import TokenService
from server.app.config import Config
from server.app.node import open_node
from server.edge.node import Node
from storage.database import Connection, connect

#: Half of them go by e-mail alone, half by e-mail and push.
NOTIFICATIONS = 10_000
#: A provider that hangs answers after this.
HANG_S = 30.0
#: Bookings that are cancelled in a turn, each of which tells two people.
CANCELLED = 1_000
CONNECTIONS = 8
#: Turns with providers that answer and with those that hang, one after the other.
TURNS = 2
REACHED_MAX_S = 600.0
POLL_S = 0.05
_AT_ONCE = 200
_ANNOUNCE_PAGE = 1_000

_QUEUED = (
    "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM routing_queue) AS unplanned,"
    " (SELECT count(*) FROM deliveries) AS planned,"
    " (SELECT count(*) FROM deliveries WHERE state NOT IN ('waiting', 'sending')) AS finished"
)
_EMPTY = "TRUNCATE outbox, routing_queue, deliveries"
_DEVICES = (
    "INSERT INTO devices (address_hash, device_id, user_id, platform, address, p256dh, auth, registered_at, used_at)"
    " SELECT user_id::text, gen_random_uuid(), user_id, 'web', $1 || user_id, $2, $3, now(), now() FROM people"
    " ON CONFLICT (address_hash) DO UPDATE SET address = excluded.address"
)


@dataclass(frozen=True, slots=True)
class _Rates:
    planned: float
    sent: float


async def run_reach(place: Place, wrong: Callable[[dict[str, int]], None]) -> list[Compared]:
    """W8: 10,000 notifications from announced to sent; cancellations while providers answer, and while they hang."""
    observer = await connect(place.postgres.dsn())
    work = _Work(place, observer)
    try:
        await work.prepare()
        rates = await work.reach_all(wrong)
        answering: list[float] = []
        hanging: list[float] = []
        for _ in range(TURNS):
            answering += await work.cancel_some(0.0, wrong)
            hanging += await work.cancel_some(HANG_S, wrong)
    finally:
        await observer.close()

    def late(what: str, share: float, wanted: str = "") -> Compared:
        ours, theirs = _quantile(hanging, share) * 1e3, _quantile(answering, share) * 1e3
        return Compared(workload="W8 reach", what=what, ours=ours, theirs=theirs, digits=1, wanted=wanted)

    return [
        Compared(workload="W8 reach", what="notifications planned a second", ours=rates.planned),
        Compared(workload="W8 reach", what="e-mails and pushes sent a second", ours=rates.sent),
        late("ms to cancel, p50, all providers hanging, against answering", 0.5),
        late("ms to cancel, p99", 0.99, "≤ 1.2 ×"),
    ]


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class _Work:
    def __init__(self, place: Place, observer: Connection) -> None:
        self._place = place
        self._observer = observer
        self._tokens = TokenService(load_keys(place.home / "server" / "keys"), lifetime_s=TOKEN_LIFETIME_S)
        self._bookings: list[tuple[UUID, str]] = []
        self._people: list[UserId] = []

    async def prepare(self) -> None:
        """Make the marketplace, and the bookings that are cancelled later."""
        async with open_node(self._place.postgres.dsn(), Config()) as node:
            market = await make_market(node, self._tokens)
            count = CANCELLED * TURNS * 2
            for at in range(0, count, _AT_ONCE):
                some = range(at, min(at + _AT_ONCE, count))
                self._bookings += await asyncio.gather(*(self._book(node, market, nth) for nth in some))
        rows = await self._observer.fetch("SELECT user_id FROM people ORDER BY user_id")
        self._people = [row["user_id"] for row in rows]

    async def reach_all(self, wrong: Callable[[dict[str, int]], None]) -> _Rates:
        """Tell everybody of everything, with providers that answer; gives the rates."""
        async with self._site(0.0, NOTIFICATIONS):
            began_at = perf_counter()
            planned_at = began_at
            async with asyncio.timeout(REACHED_MAX_S):
                while (row := await self._queued())["unplanned"] or row["finished"] < row["planned"]:
                    planned_at = perf_counter() if row["unplanned"] else planned_at
                    await asyncio.sleep(POLL_S)
            took_s = perf_counter() - began_at
        missing = await self._observer.fetchval("SELECT count(*) FROM deliveries WHERE state <> 'sent'")
        if missing or row["planned"] != NOTIFICATIONS * 3 // 2:
            wrong({"messages that were not sent": max(missing, abs(NOTIFICATIONS * 3 // 2 - row["planned"]))})
        return _Rates(NOTIFICATIONS / max(POLL_S, planned_at - began_at), row["planned"] / took_s)

    async def cancel_some(self, hang_s: float, wrong: Callable[[dict[str, int]], None]) -> list[float]:
        """Cancel bookings one after the other on some connections, with messages waiting; gives how long each took."""
        mine = [self._bookings.pop() for _ in range(CANCELLED)]
        took: list[float] = []
        failed = 0

        async def cancel(http: aiohttp.ClientSession) -> None:
            nonlocal failed
            while mine:
                booking_id, token = mine.pop()
                began_at = perf_counter()
                headers = {"Authorization": f"Bearer {token}"}
                async with http.post(f"/bookings/{booking_id}/cancel", json={}, headers=headers) as answer:
                    await answer.read()
                took.append(perf_counter() - began_at)
                failed += answer.status != 200

        async with self._site(hang_s, CANCELLED) as url, aiohttp.ClientSession(url) as http:
            await asyncio.gather(*(cancel(http) for _ in range(CONNECTIONS)))
        if failed:
            wrong({"bookings that could not be cancelled": failed})
        return took

    @asynccontextmanager
    async def _site(self, hang_s: float, notifications: int) -> AsyncIterator[str]:
        """A server with providers that hang so long, and so many notifications to be told of."""
        sink = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.sink", str(hang_s)), stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        assert sink.stdout is not None
        try:
            mail, push = (await sink.stdout.readline()).decode().split()
            await self._observer.execute(_EMPTY)
            await self._observer.execute(_DEVICES, f"http://127.0.0.1:{push}/", *_subscription())
            await self._announce(notifications)
            settings = {
                "GUILDWIRE_SERVER__DRAIN_S": "1",
                "GUILDWIRE_EMAIL__HOST": "127.0.0.1",
                "GUILDWIRE_EMAIL__PORT": mail,
                "GUILDWIRE_EMAIL__SECURITY": "none",
                "GUILDWIRE_EMAIL__FROM_ADDRESS": "no-reply@bench.test",
                "GUILDWIRE_PUSH__PRIVATE_ENDPOINTS": "true",
                "GUILDWIRE_PUSH__VAPID_SUBJECT": "mailto:operator@bench.test",
                "GUILDWIRE_DELIVERIES__EMAIL_PER_S": "0",
                "GUILDWIRE_DELIVERIES__WEB_PUSH_PER_S": "0",
            }
            async with open_server(self._place.home, self._place.postgres.dsn(), settings) as server:
                yield server.running.url
        finally:
            sink.kill()
            await sink.wait()

    async def _queued(self) -> dict[str, int]:
        row = await self._observer.fetchrow(_QUEUED)
        assert row is not None
        return dict(row)

    async def _announce(self, count: int) -> None:
        """Announce so much, half of it critical, as the deciding commits do."""
        for at in range(0, count, _ANNOUNCE_PAGE):
            some = [self._announcement(nth) for nth in range(at, min(at + _ANNOUNCE_PAGE, count))]
            await self._observer.execute("SELECT put_outbox($1::text::json)", msgspec.json.encode(some).decode())

    def _announcement(self, nth: int) -> OutboxEntry:
        user_id, session_id = self._people[nth % len(self._people)], SessionId(uuid4())
        # So long ago that push does not wait for a live device.
        at = datetime.now(UTC) - timedelta(seconds=60)
        opened = SessionOpened(session_id=session_id, device="web", role=Role.CUSTOMER, expires_at=at, at=at)
        revoked = SessionRevoked(session_id=session_id, reason=RevokeReason.REUSE, at=at)
        event = opened if nth % 2 else revoked
        return OutboxEntry(
            id=uuid4(),
            type=event.type,
            kind=Kind.USER,
            entity_id=user_id,
            version=1_000_000 + nth,
            event=event,
            recipients=(user_id,),
            at=at,
        )

    async def _book(self, node: Node, market: Market, nth: int) -> tuple[UUID, str]:
        turn, which = divmod(nth, len(market.offers))
        offer, token = market.offers[which], market.customers[nth % len(market.customers)]
        first = (datetime.now(UTC) + timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
        command = CreateBooking(
            service_id=ServiceId(offer.service_id), staff_id=offer.staff_id, start_at=first + STEP * turn
        )
        to, customer = Ref(Kind.BOOKING, node.runtime.new_id()), self._tokens.verify(token)
        outcome = await node.runtime.call(command, to, customer)
        if outcome.error is not None:
            raise outcome.error
        return outcome.to.id, token


def _subscription() -> tuple[str, str]:
    """The keys of a browser that all have here."""
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    raw = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(raw).rstrip(b"=").decode(), urlsafe_b64encode(urandom(16)).rstrip(b"=").decode()
