"""A server that stops: what comes in meanwhile, and what does not end by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from structlog.testing import capture_logs

from protocol.frames import Hello
from server.live.connection.codec import JSON
from server.live.connection.receive_only import ReceiveOnlyConnection
from server.live.limits import Limits
from storage.database import Pool
from tests.support.faults import until_blocked
from tests.support.gateway import TIMEOUT_S, Gateway, make_gateway
from tests.support.listening import PATH
from tests.support.runtime import Node
from tests.support.thread import ada, bob, open_thread


@pytest.fixture
async def node(database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    async with open_thread(database_dsn, pool) as node:
        yield node


@asynccontextmanager
async def slow_log(pool: Pool) -> AsyncIterator[None]:
    """Let nobody read where an inbox ends for as long as this lasts."""
    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE inbox_counters IN ACCESS EXCLUSIVE MODE")
        yield


async def read_stream(gateway: Gateway) -> bytes:
    """Ask for the event stream, and read it to its end."""
    headers = {"Authorization": f"Bearer {gateway.token(bob)}", "Accept": "text/event-stream"}
    async with aiohttp.ClientSession() as http, http.get(gateway.url + PATH, headers=headers) as answer:
        assert answer.status == 200
        return await answer.read()


async def test_a_stream_that_comes_while_the_server_stops_is_told_so_at_once(node: Node, pool: Pool) -> None:
    async with make_gateway(node, limits=Limits(close_s=TIMEOUT_S)) as gateway, gateway.client(ada) as far:
        far.line.transport.pause_reading()  # so far away that its answer to the close takes long
        async with slow_log(pool):
            stream = asyncio.create_task(read_stream(gateway))
            await until_blocked(pool)
            drain = asyncio.create_task(gateway.hub.drain())
            await asyncio.sleep(0)
            assert gateway.hub.draining
        async with asyncio.timeout(TIMEOUT_S):
            said = await stream

        assert b"event: bye" in said
        assert b'"reason":"shutdown"' in said
        assert not drain.done()
        far.line.transport.abort()
        async with asyncio.timeout(TIMEOUT_S):
            await drain


async def test_a_stream_that_comes_when_all_others_have_gone_is_told_so_too(node: Node, pool: Pool) -> None:
    async with make_gateway(node) as gateway:
        async with slow_log(pool):
            stream = asyncio.create_task(read_stream(gateway))
            await until_blocked(pool)
            await gateway.hub.drain()
        async with asyncio.timeout(TIMEOUT_S):
            said = await stream

    assert b'"reason":"shutdown"' in said


class Stuck(ReceiveOnlyConnection):
    """A connection with a bug: it does not end when it is told to."""

    async def run(self) -> None:
        await self._ended.wait()

    def drain(self, after_s: float) -> None:
        """Stay."""


class Broken(Stuck):
    """One that crashes then."""

    def drain(self, after_s: float) -> None:
        raise RuntimeError("a bug")


def serve(gateway: Gateway, kind: type[Stuck]) -> "asyncio.Task[None]":
    """Run such a connection in a gateway's hub."""
    hub = gateway.hub
    line = kind(
        session=hub.new_session(JSON, hub.limits),
        codec=JSON,
        traffic=hub.traffic["poll"],
        hello=Hello(token="none"),
        ports=hub.ports,
        hub=hub,
        limits=hub.limits,
        wall=hub.wall,
    )
    return asyncio.create_task(hub.serve(line))


async def test_a_drain_has_a_bound_and_says_what_it_cuts(node: Node) -> None:
    async with make_gateway(node, limits=Limits(drain_s=0.01, close_s=0.01)) as gateway:
        stuck = serve(gateway, Stuck)
        await asyncio.sleep(0)

        with capture_logs() as logs:
            async with asyncio.timeout(TIMEOUT_S):
                await gateway.hub.drain()
                await stuck

    assert [(line["event"], line["connections"]) for line in logs] == [("gateway.drain_cut", 1)]
    assert gateway.hub.sockets == 0


async def test_a_connection_that_crashes_at_the_drain_is_cut_and_the_others_are_told(node: Node) -> None:
    async with make_gateway(node) as gateway:
        broken = [serve(gateway, Broken) for _ in range(3)]
        async with gateway.client(ada) as client:
            async with asyncio.timeout(TIMEOUT_S):
                await gateway.hub.drain()
            bye = await client.until("bye")
        await asyncio.gather(*broken)

    assert bye["reason"] == "shutdown"
