"""The checks after each round: every accepted command once, no refused one, and every replica current."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import psutil

from actors.actor import ACTORS
from protocol.errors import Fault
from protocol.ids import ConversationId
from protocol.snapshot import GetSnapshot, Snapshot
from server.ops.pid_file import read_pid_file
from server.ops.verify import verify
from storage.database import Pool, connect_pool
from tests.soak.simulated_users import PATIENCE_S, Device, Heard, Person, SimulatedUsers, Violation, seq_of
from tests.soak.work import Ledger
from tests.support.process import ServerProcess

#: The server's memory, and its growth in one life of the process after the first round.
RSS_MAX_MB = 700
RSS_GROWTH_MAX_MB = 300
#: Bytes queued for all clients together once the load has stopped.
QUEUE_BYTES_MAX = 1024 * 1024
LOOK_EVERY_S = 0.05
#: Problems that are shown.
SHOWN_MAX = 10


@dataclass
class Memory:
    """The server's memory over the lives of its process."""

    pid: int = 0
    first_mb: float = 0.0
    now_mb: float = 0.0
    peak_mb: float = 0.0

    def look(self, pid: int) -> None:
        """Measure. Raises: Violation."""
        self.now_mb = psutil.Process(pid).memory_info().rss / 1e6
        self.peak_mb = max(self.peak_mb, self.now_mb)
        if pid != self.pid:
            self.pid, self.first_mb = pid, self.now_mb
        if self.now_mb > RSS_MAX_MB or self.now_mb - self.first_mb > RSS_GROWTH_MAX_MB:
            raise Violation(f"the server takes {self.now_mb:.0f} MB, and took {self.first_mb:.0f} MB at first")


class Checks:
    """Compares the ledger, the devices and the server with the database."""

    def __init__(self, server: ServerProcess, crowd: SimulatedUsers, ledger: Ledger) -> None:
        self._server = server
        self._crowd = crowd
        self._ledger = ledger
        self.memory = Memory()
        #: The last ack of each device.
        self._acked: dict[tuple[Any, str], int] = {}
        #: The last findings in the database.
        self.bookings = 0
        self.messages = 0

    async def run(self) -> None:
        """Run all checks. Raises: Violation."""
        running = read_pid_file(self._server.data_dir)
        if running is None:
            raise Violation("the server is gone")
        pool = await _connect(running.dsn)
        try:
            await self._at_rest(pool)
            await self._ledger_holds(pool)
            await self._bookings_hold(pool)
            await self._payments_hold(pool)
            for person in self._crowd.people:
                await self._converges(person)
            for device in self._crowd.devices:
                await self._heard_all(pool, device)
            await self._acks_hold(pool)
            broken = [finding async for finding in verify(pool, ACTORS) if finding.broken]
            if broken:
                raise Violation(f"`server verify` finds: {broken}")
        finally:
            await pool.close()
        await self._queues_are_empty()
        self.memory.look(self._server.pid)

    async def _at_rest(self, pool: Pool) -> None:
        """Wait until every message between actors is handled, and none was dropped."""
        due = "SELECT count(*) FROM agenda WHERE due_at <= now()"
        try:
            async with asyncio.timeout(PATIENCE_S):
                while await pool.fetchval(due):
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            rows = await pool.fetch("SELECT kind, actor_id, command FROM agenda WHERE due_at <= now() LIMIT 5")
            raise Violation(f"the agenda does not come to rest: {[dict(row) for row in rows]}") from None
        rows = await pool.fetch("SELECT kind, actor_id, command, error FROM agenda_quarantine")
        if rows:
            raise Violation(f"in quarantine: {[dict(row) for row in rows]}")

    # The ledger

    async def _ledger_holds(self, pool: Pool) -> None:
        told = self._ledger
        logged = await pool.fetch(
            "SELECT key, refused, count(*) AS times FROM command_log WHERE key = ANY($1::text[]) GROUP BY key, refused",
            [*told.acked, *told.refused],
        )
        log = {row["key"]: (row["refused"], row["times"]) for row in logged}
        wrong = [f"{key} was answered, the log has {log.get(key)}" for key in told.acked if log.get(key) != (False, 1)]
        wrong += [f"{key} was refused, the log has {log.get(key)}" for key in told.refused if log.get(key) != (True, 1)]
        rows = await pool.fetch("SELECT cause, type, count(*) AS times FROM journal GROUP BY cause, type")
        made = {(row["cause"], row["type"]): row["times"] for row in rows}
        causes = {row["cause"] for row in rows}
        for key, type_ in told.acked.items():
            if type_ is not None and made.get((key, type_), 0) != 1:
                wrong.append(f"{key} made {type_} {made.get((key, type_), 0)} times")
        wrong += [f"{key} was refused, and yet did something" for key in told.refused if key in causes]
        _none(wrong, "commands")

    async def _bookings_hold(self, pool: Pool) -> None:
        rows = await pool.fetch("SELECT id FROM bookings WHERE service_id = $1", self._crowd.plan.service_id)
        kept = {row["id"] for row in rows}
        wrong = [f"booking {id_} was answered, and is not there" for id_ in self._ledger.bookings - kept]
        wrong += [f"booking {id_} is there, and nobody was told" for id_ in kept - self._ledger.bookings]
        self.bookings = len(kept)
        rows = await pool.fetch("SELECT id, conversation_id FROM messages")
        self.messages = len(rows)
        threads: dict[ConversationId, Counter[Any]] = {}
        for row in rows:
            threads.setdefault(row["conversation_id"], Counter())[row["id"]] += 1
        for thread, posted in self._ledger.messages.items():
            there = threads.pop(thread, Counter())
            wrong += [f"message {id_} of {thread}: {there[id_]} times" for id_ in posted if there[id_] != 1]
            wrong += [f"message {id_} of {thread}: nobody was told" for id_ in there - Counter(posted)]
        wrong += [f"thread {thread} has messages, and nobody posted any" for thread in threads]
        _none(wrong, "bookings and messages")

    async def _payments_hold(self, pool: Pool) -> None:
        rows = await pool.fetch(
            "SELECT subject_id, count(*) AS times FROM transfers WHERE reason = 'payment_placed' GROUP BY subject_id"
        )
        taken = {row["subject_id"]: row["times"] for row in rows}
        wrong = [f"booking {id_} was paid {times} times" for id_, times in taken.items() if times != 1]
        wrong += [f"booking {id_} was paid, and the ledger has nothing" for id_ in self._ledger.paid - taken.keys()]
        wrong += [f"booking {id_}: nobody paid it" for id_ in taken.keys() - self._ledger.asked_to_pay]
        _none(wrong, "payments")

    # The devices

    async def _converges(self, person: Person) -> None:
        """Check that all devices of a user equal a fresh snapshot. Raises: Violation."""
        devices = person.devices
        for device in devices:
            if device.listening.done():
                raise Violation(f"{device.name} has ended for good: {device.listening.exception()!r}")
            if device.stale:
                await device.begin_anew()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await self._agree(devices):
                    pass
        except TimeoutError:
            said = ", ".join(f"{device.name} at {device.replica.as_of}" for device in devices)
            fresh = (await devices[0].ask(GetSnapshot())).as_of
            raise Violation(f"{person.name} does not catch up with {fresh}: {said}") from None

    async def _agree(self, devices: list[Device]) -> bool:
        """Compare with a fresh snapshot; returns False if there was a new event meanwhile."""
        fresh: Snapshot = await devices[0].ask(GetSnapshot())
        if fresh.truncated:
            raise Violation(f"{devices[0].name}: more is open than a snapshot holds; the soak's plan is wrong")
        for device in devices:
            while device.seq < seq_of(fresh.as_of):
                device.moved.clear()
                await device.moved.wait()
        for device in devices:
            await device.fill()
            if device.replica.as_of != fresh.as_of:
                return False
        for device in devices:
            bookings = {booking.id: booking for booking in fresh.bookings}
            threads = {thread.id: thread for thread in fresh.conversations}
            wrong = _differences(device, "booking", device.replica.bookings, bookings)
            wrong += _differences(device, "thread", device.replica.conversations, threads)
            if device.replica.as_of != fresh.as_of:
                return False
            _none(wrong, f"the copy of {device.name} at {fresh.as_of}")
        return True

    async def _heard_all(self, pool: Pool, device: Device) -> None:
        """Check that a device got every event of its user's log since the last checks, once and in order."""
        _none(device.wrong, device.name)
        heard, device.heard = device.heard, []
        rows = await pool.fetch(
            "SELECT i.seq, j.type, i.kind || '/' || i.id AS entity, i.version FROM inbox i"
            " JOIN journal j USING (kind, id, version) WHERE i.user_id = $1 AND i.seq > $2 ORDER BY i.seq",
            device.me.id,
            device.proven,
        )
        log: list[Heard] = [(row["seq"], row["type"], row["entity"], row["version"]) for row in rows]
        log = log[: len(heard)]  # the newest events are in transit
        if heard != log:
            at = next((n for n, pair in enumerate(zip(heard, log, strict=False)) if pair[0] != pair[1]), len(log))
            raise Violation(
                f"{device.name} behind {device.proven}: event {at + 1} of {len(heard)} is not the log's:"
                f" heard {heard[at : at + 3]}, the log has {log[at : at + 3]}"
            )
        if heard:
            device.proven = heard[-1][0]

    async def _acks_hold(self, pool: Pool) -> None:
        rows = await pool.fetch("SELECT user_id, device, delivered FROM inbox_acks")
        wrong = []
        for row in rows:
            whose = row["user_id"], row["device"]
            before, self._acked[whose] = self._acked.get(whose, 0), row["delivered"]
            if row["delivered"] < before:
                wrong.append(f"{whose}: {row['delivered']}, was {before}")
        _none(wrong, "acks that moved back")

    async def _queues_are_empty(self) -> None:
        """Check that no queues grow in the server."""
        queued = await read_metric(self._server.url, "guildwire_socket_queue_bytes")
        if queued > QUEUE_BYTES_MAX:
            raise Violation(f"{queued:.0f} bytes wait for clients although all of them read")


async def read_metric(url: str, name: str) -> float:
    """Read one metric."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


async def _connect(dsn: str) -> Pool:
    """Connect to the database, which may be restarting."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(OSError, Fault, Exception):
                return await connect_pool(dsn, size_max=2)
            await asyncio.sleep(LOOK_EVERY_S)


def _differences(device: Device, what: str, shown: dict[Any, Any], fresh: dict[Any, Any]) -> list[str]:
    ids = [id_ for id_ in {**shown, **fresh} if shown.get(id_) != fresh.get(id_)]
    return [f"{device.name}: {what} {id_}\n  shows {shown.get(id_)}\n  is    {fresh.get(id_)}" for id_ in ids]


def _none(wrong: list[str], what: str) -> None:
    """Raises: Violation, if there are problems."""
    if wrong:
        more = f"\n… and {len(wrong) - SHOWN_MAX} more" if len(wrong) > SHOWN_MAX else ""
        raise Violation(f"{what}:\n" + "\n".join(wrong[:SHOWN_MAX]) + more)
