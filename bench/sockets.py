"""W3, W4 and W7: the cost of sockets, compared with a bare aiohttp server under the same load in the same run."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TypeVar
from uuid import uuid4

import msgspec
import psutil
from msgspec import Struct

from bench.client import CLOSED, OPENED, WindowResult
from bench.compared import Compared
from bench.crowd import MISSED, Crowd, make_crowd
from bench.fanout import NUMBER, FanoutPlan, FanoutResult
from bench.idle import IdlePlan
from bench.machine import ROOT, open_server
from bench.storm import StormPlan, StormResult
from bench.workloads import ClientFailed
from server.accounts.keys import load_keys
from server.accounts.tokens import TokenService
from server.app.config import Config
from server.app.node import open_node
from storage.database import Connection, connect
from storage.embedded import EmbeddedPostgres

#: Files that the server and the clients have open at once, with a margin.
FILES_MIN = 12_000
FANOUT_SOCKETS = 500
#: Events under way to all sockets at once.
FANOUT_AT_ONCE = 4
#: Alternating turns of the server and the yardstick.
TURNS = 2
WARMUP_S, SETTLE_S = 1.0, 2.0
#: Long enough for every session to have been pinged.
IDLE_S = 30.0
STORM_S = 15.0
#: Delay until a backend's statistics are visible.
STATISTICS_S = 1.5
MARGIN_S = 150.0
#: Longer than any run.
TOKEN_LIFETIME_S = 3_600

T = TypeVar("T")


class BenchSetup:
    """What the runs share. ``crowd`` is made at its first use."""

    def __init__(self, home: Path, postgres: EmbeddedPostgres, seconds: float) -> None:
        self.home = home
        self.postgres = postgres
        self.seconds = seconds
        self._crowd: Crowd | None = None

    async def crowd(self) -> Crowd:
        """The users with the sockets."""
        if self._crowd is None:
            tokens = TokenService(load_keys(self.home / "server" / "keys"), lifetime_s=TOKEN_LIFETIME_S)
            async with open_node(self.postgres.dsn(), Config()) as node:
                self._crowd = await make_crowd(node, tokens)
        return self._crowd


@dataclass(frozen=True, slots=True)
class Side:
    """The server, or the yardstick."""

    url: str
    pid: int

    @property
    def cpu_s(self) -> float:
        """CPU time so far, user and system."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    @property
    def memory_bytes(self) -> int:
        """Resident memory."""
        resident: int = psutil.Process(self.pid).memory_info().rss
        return resident


@asynccontextmanager
async def open_ours(setup: BenchSetup) -> AsyncIterator[Side]:
    """Start the server."""
    async with open_server(setup.home, setup.postgres.dsn(), {}) as server:
        yield Side(server.running.url, server.process.pid)


@asynccontextmanager
async def open_bare() -> AsyncIterator[Side]:
    """Start the yardstick."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.bare"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield Side(f"http://127.0.0.1:{port}", process.pid)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass(frozen=True, slots=True)
class ClientRun:
    """A client's output, and what its server used while the window was open."""

    output: bytes
    cpu_s: float
    memory_bytes: int


async def run_client(module: str, plan: Struct, side: Side, takes_s: float) -> ClientRun:
    """Run a client in a process of its own. Raises: ClientFailed."""
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        limit=2**20,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        async with asyncio.timeout(takes_s + MARGIN_S):
            client.stdin.write(msgspec.json.encode(plan))
            client.stdin.close()
            await _expect(client.stdout, OPENED)
            before = side.cpu_s
            await _expect(client.stdout, CLOSED)
            cpu_s, memory_bytes = side.cpu_s - before, side.memory_bytes
            output = await client.stdout.readline()
            await client.wait()
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
    return ClientRun(output, cpu_s, memory_bytes)


async def _expect(lines: asyncio.StreamReader, word: str) -> None:
    output = (await lines.readline()).decode().strip()
    if output != word:
        raise ClientFailed(output or "the client crashed; see above")


# W3


@dataclass(frozen=True, slots=True)
class _Spread:
    per_s: float
    cpu_us: float
    p99_ms: float


async def run_fanout(setup: BenchSetup, wrong: Callable[[dict[str, int]], None]) -> list[Compared]:
    """W3: each event goes to 500 sockets, ten for each of a thread's 50 members; the yardstick sends the same bytes."""
    ours: list[_Spread] = []
    theirs: list[_Spread] = []
    crowd = await setup.crowd()
    async with open_ours(setup) as server, open_bare() as bare:
        for _ in range(TURNS):
            data = f'{{"conversation_id":"{crowd.thread}","text":"I could be there at ten, if that suits you."}}'
            post = f'{{"frame":"command","id":"{uuid4().hex}-{NUMBER}","name":"conversation.post","data":{data}}}'
            plan = FanoutPlan(
                url=server.url,
                warmup_s=WARMUP_S,
                seconds=setup.seconds,
                sockets=FANOUT_SOCKETS,
                tokens=crowd.members,
                trigger=post,
                at_once=FANOUT_AT_ONCE,
            )
            sample = await _fan_out(server, plan, ours, wrong)
            plan = msgspec.structs.replace(plan, url=bare.url, tokens=[], trigger=sample)
            await _fan_out(bare, plan, theirs, wrong)

    def row(what: str, of: Callable[[_Spread], float], digits: int, wanted: str) -> Compared:
        our, their = mean(map(of, ours)), mean(map(of, theirs))
        return Compared(workload="W3 fan-out", what=what, ours=our, theirs=their, digits=digits, wanted=wanted)

    return [
        row("µs of server for each delivery", lambda spread: spread.cpu_us, 1, "≤ 1 ×"),
        row("deliveries a second", lambda spread: spread.per_s, 0, "≥ 1 ×"),
        row("ms until all have received, p99", lambda spread: spread.p99_ms, 0, ""),
    ]


async def _fan_out(side: Side, plan: FanoutPlan, into: list[_Spread], wrong: Callable[[dict[str, int]], None]) -> str:
    run = await run_client("bench.fanout", plan, side, plan.warmup_s + plan.seconds)
    result = msgspec.json.decode(run.output, type=FanoutResult)
    wrong(result.window.wrong)
    deliveries = max(1, result.window.done) * FANOUT_SOCKETS
    into.append(
        _Spread(deliveries / result.window.seconds, run.cpu_s / deliveries * 1e6, result.window.p99_s * 1e3),
    )
    return result.sample


# W4


async def run_idle(setup: BenchSetup, wrong: Callable[[dict[str, int]], None]) -> list[Compared]:
    """W4: 5,000 idle sessions of as many users; the yardstick has as many idle sockets."""
    people = (await setup.crowd()).idlers
    count = len(people)
    async with open_ours(setup) as server:
        ours = await _idle(server, count, people, wrong)
    async with open_bare() as bare:
        theirs = await _idle(bare, count, [], wrong)
    return [
        Compared(workload="W4 idle", what="bytes for each session", ours=ours[0], theirs=theirs[0], wanted="≤ 18 KB"),
        Compared(workload="W4 idle", what="µs of server for each session and minute", ours=ours[1]),
    ]


async def _idle(
    side: Side, count: int, tokens: list[str], wrong: Callable[[dict[str, int]], None]
) -> tuple[float, float]:
    before = side.memory_bytes
    plan = IdlePlan(url=side.url, sessions=count, tokens=tokens, settle_s=SETTLE_S, seconds=IDLE_S)
    run = await run_client("bench.idle", plan, side, SETTLE_S + IDLE_S)
    result = msgspec.json.decode(run.output, type=WindowResult)
    wrong(result.wrong)
    return (run.memory_bytes - before) / count, run.cpu_s / count / result.seconds * 60 * 1e6


# W7


async def run_storm(setup: BenchSetup, wrong: Callable[[dict[str, int]], None]) -> list[Compared]:
    """W7: 2,000 sessions reconnect at once, with five missed events each; the yardstick sends as many from memory."""
    people = (await setup.crowd()).returning
    observer = await connect(setup.postgres.dsn())
    try:
        async with open_ours(setup) as server:
            await asyncio.sleep(STATISTICS_S)
            before = await _statements(observer)
            ours, our_cpu_s = await _return(server, people, "", wrong)
            await asyncio.sleep(STATISTICS_S)
            statements = await _statements(observer) - before
    finally:
        await observer.close()
    async with open_bare() as bare:
        theirs, their_cpu_s = await _return(bare, [("", "")] * len(people), f"{MISSED} {ours.sample}", wrong)

    def row(what: str, our: float, their: float | None, digits: int, wanted: str = "") -> Compared:
        return Compared(workload="W7 storm", what=what, ours=our, theirs=their, digits=digits, wanted=wanted)

    return [
        row("seconds until the last has everything", ours.last_s, theirs.last_s, 2),
        row("seconds until half have everything", ours.half_s, theirs.half_s, 2),
        row("µs of server for each session", our_cpu_s / len(people) * 1e6, their_cpu_s / len(people) * 1e6, 0),
        row("statements for each session", statements / len(people), None, 2, "≤ 3"),
    ]


async def _return(
    side: Side, people: list[tuple[str, str]], ask: str, wrong: Callable[[dict[str, int]], None]
) -> tuple[StormResult, float]:
    plan = StormPlan(url=side.url, people=people, missed=MISSED, ask=ask, settle_s=STORM_S)
    run = await run_client("bench.storm", plan, side, STORM_S)
    result = msgspec.json.decode(run.output, type=StormResult)
    wrong(result.window.wrong)
    return result, run.cpu_s


async def _statements(observer: Connection) -> int:
    """Transactions of the database so far; each statement of the server is one, except those of a commit."""
    counted: int = await observer.fetchval(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    )
    return counted
