"""Draining: connections that arrive meanwhile, and connections that do not end by themselves."""

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
from tests.support.event_stream import PATH
from tests.support.faults import until_blocked
from tests.support.live_server import TIMEOUT_S, LiveServer, open_live
from tests.support.runtime import Node
from tests.support.sample_conversation import ada, bob, open_sample_conversation


@pytest.fixture
async def node(database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    async with open_sample_conversation(database_dsn, pool) as node:
        yield node


@asynccontextmanager
async def slow_log(pool: Pool) -> AsyncIterator[None]:
    """Block reads of the last positions of inboxes."""
    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE inbox_counters IN ACCESS EXCLUSIVE MODE")
        yield


async def read_stream(live: LiveServer) -> bytes:
    """Open an event stream, and read it to its end."""
    headers = {"Authorization": f"Bearer {live.token(bob)}", "Accept": "text/event-stream"}
    async with aiohttp.ClientSession() as http, http.get(live.url + PATH, headers=headers) as answer:
        assert answer.status == 200
        return await answer.read()


async def test_a_stream_that_arrives_during_the_drain_is_drained_at_once(node: Node, pool: Pool) -> None:
    async with open_live(node, limits=Limits(close_s=TIMEOUT_S)) as live, live.client(ada) as far:
        far.connection.transport.pause_reading()  # its answer to the close frame takes long
        async with slow_log(pool):
            stream = asyncio.create_task(read_stream(live))
            await until_blocked(pool)
            drain = asyncio.create_task(live.hub.drain())
            await asyncio.sleep(0)
            assert live.hub.draining
        async with asyncio.timeout(TIMEOUT_S):
            received = await stream

        assert b"event: bye" in received
        assert b'"reason":"shutdown"' in received
        assert not drain.done()
        far.connection.transport.abort()
        async with asyncio.timeout(TIMEOUT_S):
            await drain


async def test_a_stream_that_arrives_after_the_drain_is_drained(node: Node, pool: Pool) -> None:
    async with open_live(node) as live:
        async with slow_log(pool):
            stream = asyncio.create_task(read_stream(live))
            await until_blocked(pool)
            await live.hub.drain()
        async with asyncio.timeout(TIMEOUT_S):
            received = await stream

    assert b'"reason":"shutdown"' in received


class Stuck(ReceiveOnlyConnection):
    """A connection with a bug: it does not end when it is drained."""

    async def run(self) -> None:
        await self._ended.wait()

    def drain(self, after_s: float) -> None:
        """Do nothing."""


class Broken(Stuck):
    """A connection whose drain fails."""

    def drain(self, after_s: float) -> None:
        raise RuntimeError("a bug")


def serve(live: LiveServer, kind: type[Stuck]) -> "asyncio.Task[None]":
    """Run such a connection in the hub."""
    hub = live.hub
    connection = kind(hub=hub, codec=JSON, limits=hub.limits, traffic=hub.traffic["poll"], hello=Hello(token="none"))
    return asyncio.create_task(hub.serve(connection))


async def test_a_drain_is_bounded_and_logs_the_cut_connections(node: Node) -> None:
    async with open_live(node, limits=Limits(drain_s=0.01, close_s=0.01)) as live:
        stuck = serve(live, Stuck)
        await asyncio.sleep(0)

        with capture_logs() as logs:
            async with asyncio.timeout(TIMEOUT_S):
                await live.hub.drain()
                await stuck

    assert [(line["event"], line["connections"]) for line in logs] == [("live.drain_cut", 1)]
    assert live.hub.connection_count == 0


async def test_a_connection_whose_drain_fails_is_cut_and_the_others_are_drained(node: Node) -> None:
    async with open_live(node) as live:
        broken = [serve(live, Broken) for _ in range(3)]
        async with live.client(ada) as client:
            async with asyncio.timeout(TIMEOUT_S):
                await live.hub.drain()
            bye = await client.until("bye")
        await asyncio.gather(*broken)

    assert bye["reason"] == "shutdown"
