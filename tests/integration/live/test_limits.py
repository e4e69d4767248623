"""Connections are bounded by address and by node before authentication, and ended ones are not counted."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.typing import Subprotocol

from protocol.frames import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from protocol.ids import SessionId, UserId
from server.edge.config import LimitsConfig, ServerConfig
from server.live.limits import Limits
from storage.database import Pool
from storage.offers import OfferCache
from storage.registry import Sources, bound_loaders
from tests.support.event_stream import PATH
from tests.support.live_server import TIMEOUT_S, LiveServer, acting, open_live
from tests.support.runtime import Node, make_runtime
from tests.support.server import Site, make_config, open_site

ADA = UserId(UUID(int=1))
ada = acting(ADA)
HERE = "203.0.113.9"
CAP = 3
LIMITS = Limits(connections_per_address_max=CAP, close_s=0.2, hello_s=0.5, pong_s=0.2, heartbeat_s=0.2)


@pytest.fixture
async def node(database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    async with make_runtime(database_dsn, pool, {}, bound_loaders(Sources(pool=pool, offers=OfferCache(pool)))) as node:
        yield node


def via(address: str) -> dict[str, str]:
    """The header of a trusted proxy for that address."""
    return {"X-Forwarded-For": address}


async def try_connect(live: LiveServer, address: str = HERE) -> Response | None:
    """Try to connect; returns the refusal."""
    try:
        async with live.connect(additional_headers=via(address)):
            return None
    except InvalidStatus as refused:
        return refused.response


async def ask(live: LiveServer, accept: str, address: str = HERE) -> tuple[int, dict[str, Any], str | None]:
    """Request events over plain HTTP; returns status, problem and Retry-After."""
    headers = {"Accept": accept, "Authorization": f"Bearer {live.token(ada)}", **via(address)}
    async with aiohttp.ClientSession() as http, http.get(live.url + PATH, headers=headers) as answer:
        problem = {} if answer.status == 200 else await answer.json(content_type=None)
        return answer.status, problem, answer.headers.get("Retry-After")


def connect_site(site: Site) -> connect:
    """Connect to a whole server."""
    url = f"ws{site.url.removeprefix('http')}/v1/socket"
    return connect(url, subprotocols=[Subprotocol(SUBPROTOCOL_JSON)], additional_headers=via(HERE), close_timeout=1)


async def wait_for(live: LiveServer, count: int) -> None:
    """Wait until this many are connected."""
    async with asyncio.timeout(TIMEOUT_S):
        while live.hub.connection_count != count:
            await asyncio.sleep(0)


# Bounds


async def test_connections_of_an_address_are_bounded_and_an_ipv6_64_counts_as_one(node: Node) -> None:
    async with (
        open_live(node, limits=Limits(connections_per_address_max=2)) as live,
        AsyncExitStack() as open_,
    ):
        for address in ("2001:db8::1", "2001:db8::2"):
            await open_.enter_async_context(live.connect(additional_headers=via(address)))
        refused = await try_connect(live, "2001:db8::3")
        others = [await try_connect(live, address) for address in ("2001:db8:0:1::1", "198.51.100.7")]

    assert refused is not None
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert b'"limit":"connections_per_address"' in (refused.body or b"")
    assert others == [None, None]
    assert live.hub.limiter.refused_total == {"address": 1, "node": 0}


async def test_connections_of_the_node_are_bounded(node: Node) -> None:
    async with open_live(node, limits=Limits(connections_max=2)) as live, AsyncExitStack() as open_:
        await open_.enter_async_context(live.connect(additional_headers=via(HERE)))
        await open_.enter_async_context(live.connect())
        refused = await try_connect(live, "198.51.100.7")
        status, problem, retry_after = await ask(live, "application/json", "198.51.100.8")

    assert refused is not None
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert b'"limit":"connections"' in (refused.body or b"")
    assert (status, problem["code"], problem["fields"]["limit"], retry_after) == (503, "busy", "connections", "5")


async def test_loopback_counts_towards_the_nodes_limit_only(node: Node) -> None:
    limits = Limits(connections_per_address_max=1)
    async with (
        open_live(node, limits=limits) as live,
        live.connect(),
        live.connect(),
        live.connect(),
    ):
        assert live.hub.connection_count == 3


async def test_event_streams_and_polls_count_like_websockets(node: Node) -> None:
    async with open_live(node, limits=Limits(connections_per_address_max=CAP)) as live:
        since = (await position(live))["as_of"]
        async with (
            live.connect(additional_headers=via(HERE)),
            aiohttp.ClientSession(headers=via(HERE)) as http,
            http.get(live.url + PATH, headers=stream_headers(live)) as stream,
        ):
            waiting = asyncio.create_task(get(http, live, since))
            await wait_for(live, 3)
            refused = await try_connect(live)
            answers = [await ask(live, accept) for accept in ("text/event-stream", "application/json")]
            waiting.cancel()

    assert stream.status == 200
    assert refused is not None
    assert refused.status_code == 429
    for status, problem, retry_after in answers:
        assert (status, problem["code"], retry_after) == (429, "limit_reached", "5")
        assert problem["fields"]["limit"] == "connections_per_address"


async def test_the_configuration_sets_the_limits_and_the_trusted_proxies(database_dsn: str, tmp_path: Path) -> None:
    limits = LimitsConfig(connections_per_address=1, connections=2)
    statuses = []
    async with open_site(database_dsn, make_config(tmp_path, limits=limits)) as site, connect_site(site):
        with pytest.raises(InvalidStatus) as refused:
            await connect_site(site)
        statuses.append(refused.value.response.status_code)
    server = ServerConfig(port=0, data_dir=str(tmp_path), drain_s=1, trusted_proxies=())
    config = make_config(tmp_path, limits=limits, server=server)
    async with open_site(database_dsn, config) as site, connect_site(site), connect_site(site):
        with pytest.raises(InvalidStatus) as refused:
            await connect_site(site)
        statuses.append(refused.value.response.status_code)

    assert statuses == [429, 503]


# Ended connections


async def position(live: LiveServer) -> dict[str, Any]:
    """The last position of the log, requested from another address."""
    async with aiohttp.ClientSession() as http:
        return await get(http, live, None)


async def get(http: aiohttp.ClientSession, live: LiveServer, since: str | None) -> dict[str, Any]:
    """One long poll."""
    headers = {"Authorization": f"Bearer {live.token(ada)}", "Accept": "application/json"}
    async with http.get(live.url + PATH, headers=headers, params={} if since is None else {"since": since}) as page:
        return dict(await page.json(content_type=None))


def stream_headers(live: LiveServer) -> dict[str, str]:
    """The headers of an event stream's request."""
    return {"Authorization": f"Bearer {live.token(ada)}", "Accept": "text/event-stream"}


def reset(connection: ClientConnection) -> None:
    """Break the connection with an RST."""
    handle = connection.transport.get_extra_info("socket")
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()


async def hello(live: LiveServer, connection: ClientConnection, token: str) -> None:
    await connection.send(f'{{"frame":"hello","token":"{token}"}}', text=True)


async def ended(connection: ClientConnection) -> None:
    """Receive until the server has closed."""
    with suppress(ConnectionClosed):
        while True:
            await connection.recv(decode=False)


async def _closes(live: LiveServer, connection: ClientConnection) -> None:
    await connection.close()


async def _is_reset(live: LiveServer, connection: ClientConnection) -> None:
    reset(connection)


async def _opens_and_is_reset(live: LiveServer, connection: ClientConnection) -> None:
    await hello(live, connection, live.token(ada))
    await connection.recv()
    reset(connection)


async def _sends_no_hello(live: LiveServer, connection: ClientConnection) -> None:
    await ended(connection)


async def _has_a_wrong_token(live: LiveServer, connection: ClientConnection) -> None:
    await hello(live, connection, "wrong")
    await ended(connection)


async def _sends_nonsense(live: LiveServer, connection: ClientConnection) -> None:
    await connection.send("{", text=True)
    await ended(connection)


async def _sends_too_much(live: LiveServer, connection: ClientConnection) -> None:
    await connection.send("x" * 70_000, text=True)
    await ended(connection)


async def _sends_invalid_bytes(live: LiveServer, connection: ClientConnection) -> None:
    connection.transport.write(b"\x81\x02{}")
    await ended(connection)


async def _is_revoked(live: LiveServer, connection: ClientConnection) -> None:
    await hello(live, connection, live.token(ada))
    await connection.recv()
    live.hub.revoke(ADA, SessionId(ADA))
    await ended(connection)


async def _answers_no_ping(live: LiveServer, connection: ClientConnection) -> None:
    await hello(live, connection, live.token(ada))
    connection.transport.pause_reading()  # else the library answers


async def _does_not_read_its_close(live: LiveServer, connection: ClientConnection) -> None:
    await hello(live, connection, "wrong")
    connection.transport.pause_reading()


@pytest.mark.parametrize(
    "end",
    [
        _closes,
        _is_reset,
        _opens_and_is_reset,
        _sends_no_hello,
        _has_a_wrong_token,
        _sends_nonsense,
        _sends_too_much,
        _sends_invalid_bytes,
        _is_revoked,
        _answers_no_ping,
        _does_not_read_its_close,
    ],
)
async def test_an_ended_websocket_is_not_counted_any_more(
    node: Node, end: Callable[[LiveServer, ClientConnection], Awaitable[None]]
) -> None:
    async with open_live(node, limits=LIMITS) as live:
        for _ in range(2):
            async with AsyncExitStack() as open_:
                connections = [
                    await open_.enter_async_context(live.connect(additional_headers=via(HERE))) for _ in range(CAP)
                ]
                full = await try_connect(live)
                await asyncio.gather(*(end(live, connection) for connection in connections))
                await wait_for(live, 0)
                for connection in connections:
                    connection.transport.abort()
            assert full is not None
            assert full.status_code == 429


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
@pytest.mark.parametrize("how", ["cut", "revoked"])
async def test_an_ended_stream_or_poll_is_not_counted_any_more(node: Node, accept: str, how: str) -> None:
    async with open_live(node, limits=LIMITS) as live:
        since = (await position(live))["as_of"]
        head = f"GET {PATH}?since={since} HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nX-Forwarded-For: {HERE}\r\n"
        for _ in range(2):
            writers = []
            for _ in range(CAP):
                _, writer = await asyncio.open_connection(*live.url.removeprefix("http://").split(":"))
                writer.write(f"{head}Authorization: Bearer {live.token(ada)}\r\n\r\n".encode())
                writers.append(writer)
            await wait_for(live, CAP)
            full = await try_connect(live)
            if how == "revoked":
                live.hub.revoke(ADA, SessionId(ADA))
            else:
                for writer in writers:
                    writer.transport.abort()
            await wait_for(live, 0)
            for writer in writers:
                writer.close()
            assert full is not None
            assert full.status_code == 429
        assert await try_connect(live) is None


async def test_a_refused_request_is_not_counted(node: Node) -> None:
    async with open_live(node, limits=LIMITS) as live:
        for _ in range(2 * CAP):
            with pytest.raises(InvalidStatus) as refused:
                async with live.connect(additional_headers=via(HERE), origin="https://elsewhere.test"):
                    pass
            assert refused.value.response.status_code == 403
            headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {live.token(ada)}", **via(HERE)}
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"{live.url}{PATH}?since=nonsense", headers=headers) as answer,
            ):
                assert answer.status == 422
        assert await try_connect(live) is None


# Metrics


async def test_connections_and_frames_are_counted_by_transport(node: Node) -> None:
    packed = {"subprotocols": [Subprotocol(SUBPROTOCOL_MSGPACK)]}
    async with open_live(node) as live, live.client(ada) as client, live.connect(**packed):
        since = (await position(live))["as_of"]
        async with (
            aiohttp.ClientSession() as http,
            http.get(live.url + PATH, headers=stream_headers(live)) as stream,
        ):
            waiting = asyncio.create_task(get(http, live, since))
            await stream.content.readline()
            await wait_for(live, 4)
            for _ in range(5):
                await client.send(frame="ping")
                await client.until("pong")
            traffic = {name: (some.open, some.frames_in, some.frames_out) for name, some in live.hub.traffic.items()}
            waiting.cancel()
        await wait_for(live, 2)

    assert traffic == {"json": (1, 6, 6), "msgpack": (1, 0, 0), "sse": (1, 0, 1), "poll": (1, 0, 0)}
    assert {some.open for some in live.hub.traffic.values()} == {0}
