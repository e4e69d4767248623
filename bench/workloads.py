"""W1 and W2: makes the client's plan, runs its process, and measures CPU time meanwhile."""

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import aiohttp
import msgspec

from bench.book import BookPlan
from bench.chat import ChatPlan
from bench.client import CLOSED, OPENED, WindowResult
from bench.machine import ROOT, Spent, spent
from bench.market import Market, starts
from bench.measured import Measured

WARMUP_S = 2.0
CONNECTIONS = 64
#: Time for a client to connect, drain and report, beside its warm-up and window.
MARGIN_S = 60.0

_BATCH = re.compile(rb"^guildwire_commit_batch_size_(sum|count) (\S+)", re.MULTILINE)


class ClientFailed(Exception):
    """A client ended without a result."""


@dataclass(frozen=True, slots=True)
class Target:
    """The server and database to measure."""

    url: str
    server_pid: int
    postmaster_pid: int
    #: Called with the workload's name when its window opens, and with None when it closes.
    watch: Callable[[str | None], None] = lambda name: None


async def run_book(target: Target, market: Market, seconds: float) -> Measured:
    """W1: one durable booking a request, 64 connections, closed loop."""
    plan = BookPlan(
        url=target.url,
        warmup_s=WARMUP_S,
        seconds=seconds,
        connections=CONNECTIONS,
        tokens=market.customers,
        offers=[(str(offer.service_id), str(offer.staff_id)) for offer in market.offers],
        starts=starts(datetime.now(UTC)),
        run=uuid4().hex,
    )
    return await _run("W1 book", "bench.book", target, msgspec.json.encode(plan), WARMUP_S + seconds)


async def run_chat(target: Target, market: Market, seconds: float) -> Measured:
    """W2: 200 sockets, 100 conversations, each message durable before its ack and pushed to both members."""
    pairs = [(str(conversation), one, other) for conversation, one, other in market.pairs]
    plan = ChatPlan(url=target.url, warmup_s=WARMUP_S, seconds=seconds, pairs=pairs, run=uuid4().hex)
    return await _run("W2 chat", "bench.chat", target, msgspec.json.encode(plan), WARMUP_S + seconds)


async def _run(name: str, module: str, target: Target, plan: bytes, takes_s: float) -> Measured:
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
            client.stdin.write(plan)
            client.stdin.close()
            await _expect(client.stdout, OPENED)
            before, batches_before = _spent(target), await _batches(target.url)
            target.watch(name)
            await _expect(client.stdout, CLOSED)
            target.watch(None)
            used, batches = _spent(target).since(before), await _batches(target.url)
            result = msgspec.json.decode(await client.stdout.readline(), type=WindowResult)
            await client.wait()
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
    return _measured(name, result, used, (batches[0] - batches_before[0], batches[1] - batches_before[1]))


def _measured(name: str, result: WindowResult, used: Spent, batches: tuple[float, float]) -> Measured:
    done = max(1, result.done)
    return Measured(
        name=name,
        rate=result.done / result.seconds,
        p50_s=result.p50_s,
        p99_s=result.p99_s,
        server_s=used.server_s / done,
        postgres_s=used.postgres_s / done,
        client_s=result.cpu_s / done,
        batch=batches[0] / max(1.0, batches[1]),
        others_cores=max(0.0, used.all_s - used.postgres_s - used.server_s - result.cpu_s) / result.seconds,
        wrong=result.wrong,
    )


def _spent(target: Target) -> Spent:
    return spent(target.postmaster_pid, target.server_pid)


async def _expect(lines: asyncio.StreamReader, word: str) -> None:
    output = (await lines.readline()).decode().strip()
    if output != word:
        raise ClientFailed(output or "the client crashed; see above")


async def _batches(url: str) -> tuple[float, float]:
    """Decisions and commits so far, from /metrics."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
        found = dict(_BATCH.findall(await answer.read()))
    return float(found.get(b"sum", 0)), float(found.get(b"count", 0))
