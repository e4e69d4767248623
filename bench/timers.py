"""W6: how late timers fire, and their memory, with 100,000 pending timers compared with 1,000."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.compared import Compared
from bench.machine import open_server
from bench.market import STEP, Market, make_market
from bench.sockets import TOKEN_LIFETIME_S, BenchSetup, Side
from protocol.booking.commands import CreateBooking
from protocol.ids import Kind, Ref, ServiceId
from server.accounts.keys import load_keys
from server.accounts.tokens import TokenService
from server.app.config import Config
from server.app.node import open_node
from server.edge.node import Node
from storage.database import Connection, connect

FEW, MANY = 1_000, 100_000
DUE, DUE_PER_S = 4_000, 250
#: Time from setting the timers until the first is due; the server starts meanwhile.
LEAD_S = 15.0
LATE_MAX_S = 60.0
POLL_S = 0.5
_AT_ONCE = 200

_FILL = (
    "INSERT INTO agenda (id, kind, actor_id, name, due_at, command, payload, cause)"
    " SELECT gen_random_uuid(), kind, gen_random_uuid(), name, now() + interval '1 year', command, payload, cause"
    " FROM (SELECT * FROM agenda WHERE name = 'expire' LIMIT 1) one, generate_series(1, $1)"
)
_SET = "UPDATE agenda a SET due_at = d.due_at FROM bench_due d WHERE a.id = d.id"
_CHOOSE = (
    "INSERT INTO bench_due SELECT id, now() + make_interval(secs => $1 + row_number() OVER (ORDER BY id) / $2::float)"
    " FROM (SELECT id FROM agenda WHERE name = 'expire' AND actor_id IN (SELECT id FROM actors) LIMIT $3) a"
)
_LATE = (
    "SELECT count(*) AS fired, percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP"
    " (ORDER BY extract(epoch FROM l.at - d.due_at)) AS late FROM bench_due d"
    " JOIN command_log l ON l.key = d.id::text AND NOT l.refused"
)


@dataclass(frozen=True, slots=True)
class _Fired:
    p50_ms: float
    p99_ms: float
    most_ms: float
    memory_mb: float


async def run_timers(setup: BenchSetup, wrong: Callable[[dict[str, int]], None]) -> list[Compared]:
    """W6: the payment windows of 4,000 bookings expire, 250 a second, among many other timers and among few."""
    observer = await connect(setup.postgres.dsn())
    bookings = _Bookings(setup)
    try:
        await observer.execute("CREATE TABLE bench_due (id uuid PRIMARY KEY, due_at timestamptz NOT NULL)")
        await bookings.make(DUE)
        few = await _fire(setup, observer, FEW, wrong)
        await bookings.make(DUE)
        many = await _fire(setup, observer, MANY, wrong)
    finally:
        await observer.close()

    def row(what: str, of: Callable[[_Fired], float], wanted: str = "") -> Compared:
        return Compared(workload="W6 timers", what=what, ours=of(many), theirs=of(few), digits=1, wanted=wanted)

    return [
        row("ms late, p50, of 250 a second", lambda fired: fired.p50_ms),
        row("ms late, p99", lambda fired: fired.p99_ms, "< 100"),
        row("ms late, the latest", lambda fired: fired.most_ms),
        row("MB of server", lambda fired: fired.memory_mb, "≤ 20 more"),
    ]


async def _fire(
    setup: BenchSetup, observer: Connection, pending: int, wrong: Callable[[dict[str, int]], None]
) -> _Fired:
    there: int = await observer.fetchval("SELECT count(*) FROM agenda")
    await observer.execute("DELETE FROM bench_due")
    await observer.execute(_FILL, max(0, pending + DUE - there))
    await observer.execute("VACUUM ANALYZE agenda")
    await observer.execute(_CHOOSE, LEAD_S, DUE_PER_S, DUE)
    await observer.execute(_SET)
    async with open_server(setup.home, setup.postgres.dsn(), {}) as server:
        await _until_fired(observer)
        memory_bytes = Side(server.running.url, server.process.pid).memory_bytes
    late = await observer.fetchrow(_LATE)
    assert late is not None
    if late["fired"] != DUE:
        wrong({"timers that did not fire": DUE - late["fired"]})
    p50_s, p99_s, most_s = late["late"]
    return _Fired(p50_s * 1e3, p99_s * 1e3, most_s * 1e3, memory_bytes / 1e6)


async def _until_fired(observer: Connection) -> None:
    left = "SELECT count(*) FROM agenda JOIN bench_due USING (id)"
    async with asyncio.timeout(LEAD_S + DUE / DUE_PER_S + LATE_MAX_S):
        while await observer.fetchval(left):  # noqa: ASYNC110  # another process fires them
            await asyncio.sleep(POLL_S)


class _Bookings:
    """Creates bookings that are not paid."""

    def __init__(self, setup: BenchSetup) -> None:
        self._place = setup
        self._tokens = TokenService(load_keys(setup.home / "server" / "keys"), lifetime_s=TOKEN_LIFETIME_S)
        self._market: Market | None = None
        self._first = (datetime.now(UTC) + timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
        self._made = 0

    async def make(self, count: int) -> None:
        """Create this number of further bookings."""
        async with open_node(self._place.postgres.dsn(), Config()) as node:
            if self._market is None:
                self._market = await make_market(node, self._tokens)
            for at in range(0, count, _AT_ONCE):
                some = min(_AT_ONCE, count - at)
                await asyncio.gather(*(self._book(node, self._market, self._made + n) for n in range(some)))
                self._made += some

    async def _book(self, node: Node, market: Market, nth: int) -> None:
        turn, which = divmod(nth, len(market.offers))
        offer = market.offers[which]
        customer = self._tokens.verify(market.customers[nth % len(market.customers)])
        command = CreateBooking(
            service_id=ServiceId(offer.service_id), staff_id=offer.staff_id, start_at=self._first + STEP * turn
        )
        to = Ref(Kind.BOOKING, node.runtime.new_id())
        outcome = await node.runtime.call(command, to, customer)
        if outcome.error is not None:
            raise outcome.error
