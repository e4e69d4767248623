"""Connections are bounded by address and by node, whoever somebody says to be, and every end gives its place back."""

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
from server.app.config import LimitsConfig, ServerConfig
from server.live.limits import Limits
from storage.database import Pool
from storage.offers import OfferCache
from storage.registry import Sources, bound_loaders
from tests.support.gateway import TIMEOUT_S, Gateway, acting, make_gateway
from tests.support.listening import PATH
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
    """As a trusted proxy passes it on for that address."""
    return {"X-Forwarded-For": address}


async def knock(gateway: Gateway, address: str = HERE) -> Response | None:
    """Try to open a socket, and let it go; answers the refusal."""
    try:
        async with gateway.line(additional_headers=via(address)):
            return None
    except InvalidStatus as refused:
        return refused.response


async def ask(gateway: Gateway, accept: str, address: str = HERE) -> tuple[int, dict[str, Any], str | None]:
    """Ask for events over plain HTTP; answers status, problem and Retry-After."""
    headers = {"Accept": accept, "Authorization": f"Bearer {gateway.token(ada)}", **via(address)}
    async with aiohttp.ClientSession() as http, http.get(gateway.url + PATH, headers=headers) as answer:
        problem = {} if answer.status == 200 else await answer.json(content_type=None)
        return answer.status, problem, answer.headers.get("Retry-After")


def site_line(site: Site) -> connect:
    """A socket to a whole server."""
    url = f"ws{site.url.removeprefix('http')}/v1/socket"
    return connect(url, subprotocols=[Subprotocol(SUBPROTOCOL_JSON)], additional_headers=via(HERE), close_timeout=1)


async def wait_for(gateway: Gateway, count: int) -> None:
    """Wait until so many are connected."""
    async with asyncio.timeout(TIMEOUT_S):
        while gateway.hub.sockets != count:
            await asyncio.sleep(0)


# How many there may be


async def test_an_address_has_so_many_and_an_ipv6_network_of_64_bits_is_one(node: Node) -> None:
    async with make_gateway(node, limits=Limits(connections_per_address_max=2)) as gateway, AsyncExitStack() as open_:
        for address in ("2001:db8::1", "2001:db8::2"):
            await open_.enter_async_context(gateway.line(additional_headers=via(address)))
        refused = await knock(gateway, "2001:db8::3")
        others = [await knock(gateway, address) for address in ("2001:db8:0:1::1", "198.51.100.7")]

    assert refused is not None
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert b'"limit":"connections_per_address"' in (refused.body or b"")
    assert others == [None, None]
    assert gateway.hub.crowd.refused_total == {"address": 1, "node": 0}


async def test_a_node_has_so_many_from_wherever_they_come(node: Node) -> None:
    async with make_gateway(node, limits=Limits(connections_max=2)) as gateway, AsyncExitStack() as open_:
        await open_.enter_async_context(gateway.line(additional_headers=via(HERE)))
        await open_.enter_async_context(gateway.line())
        refused = await knock(gateway, "198.51.100.7")
        status, problem, retry_after = await ask(gateway, "application/json", "198.51.100.8")

    assert refused is not None
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert b'"limit":"connections"' in (refused.body or b"")
    assert (status, problem["code"], problem["fields"]["limit"], retry_after) == (503, "busy", "connections", "5")


async def test_this_machine_itself_is_bounded_by_the_node_alone(node: Node) -> None:
    limits = Limits(connections_per_address_max=1)
    async with make_gateway(node, limits=limits) as gateway, gateway.line(), gateway.line(), gateway.line():
        assert gateway.hub.sockets == 3


async def test_an_event_stream_and_a_poll_take_a_place_like_a_socket(node: Node) -> None:
    async with make_gateway(node, limits=Limits(connections_per_address_max=CAP)) as gateway:
        since = (await position(gateway))["as_of"]
        async with (
            gateway.line(additional_headers=via(HERE)),
            aiohttp.ClientSession(headers=via(HERE)) as http,
            http.get(gateway.url + PATH, headers=hearing(gateway)) as stream,
        ):
            waiting = asyncio.create_task(get(http, gateway, since))
            await wait_for(gateway, 3)
            refused = await knock(gateway)
            answers = [await ask(gateway, accept) for accept in ("text/event-stream", "application/json")]
            waiting.cancel()

    assert stream.status == 200
    assert refused is not None
    assert refused.status_code == 429
    for status, problem, retry_after in answers:
        assert (status, problem["code"], retry_after) == (429, "limit_reached", "5")
        assert problem["fields"]["limit"] == "connections_per_address"


async def test_the_configuration_bounds_them_and_says_whose_word_is_taken_for_an_address(
    database_dsn: str, tmp_path: Path
) -> None:
    limits = LimitsConfig(connections_per_address=1, connections=2)
    statuses = []
    async with open_site(database_dsn, make_config(tmp_path, limits=limits)) as site, site_line(site):
        with pytest.raises(InvalidStatus) as refused:
            await site_line(site)
        statuses.append(refused.value.response.status_code)
    server = ServerConfig(port=0, data_dir=str(tmp_path), drain_s=1, trusted_proxies=())
    config = make_config(tmp_path, limits=limits, server=server)
    async with open_site(database_dsn, config) as site, site_line(site), site_line(site):
        with pytest.raises(InvalidStatus) as refused:
            await site_line(site)
        statuses.append(refused.value.response.status_code)

    assert statuses == [429, 503]


# How places are given back


async def position(gateway: Gateway) -> dict[str, Any]:
    """Where the log ends; asked for from elsewhere."""
    async with aiohttp.ClientSession() as http:
        return await get(http, gateway, None)


async def get(http: aiohttp.ClientSession, gateway: Gateway, since: str | None) -> dict[str, Any]:
    """One long poll."""
    headers = {"Authorization": f"Bearer {gateway.token(ada)}", "Accept": "application/json"}
    async with http.get(gateway.url + PATH, headers=headers, params={} if since is None else {"since": since}) as page:
        return dict(await page.json(content_type=None))


def hearing(gateway: Gateway) -> dict[str, str]:
    """What asks for an event stream."""
    return {"Authorization": f"Bearer {gateway.token(ada)}", "Accept": "text/event-stream"}


def reset(line: ClientConnection) -> None:
    """Break the connection with an RST."""
    handle = line.transport.get_extra_info("socket")
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.transport.abort()


async def hello(gateway: Gateway, line: ClientConnection, token: str) -> None:
    await line.send(f'{{"frame":"hello","token":"{token}"}}', text=True)


async def ended(line: ClientConnection) -> None:
    """Take whatever comes until the server has closed."""
    with suppress(ConnectionClosed):
        while True:
            await line.recv(decode=False)


async def _closes(gateway: Gateway, line: ClientConnection) -> None:
    await line.close()


async def _is_reset(gateway: Gateway, line: ClientConnection) -> None:
    reset(line)


async def _opens_and_is_reset(gateway: Gateway, line: ClientConnection) -> None:
    await hello(gateway, line, gateway.token(ada))
    await line.recv()
    reset(line)


async def _says_no_hello(gateway: Gateway, line: ClientConnection) -> None:
    await ended(line)


async def _has_a_wrong_token(gateway: Gateway, line: ClientConnection) -> None:
    await hello(gateway, line, "wrong")
    await ended(line)


async def _says_nonsense(gateway: Gateway, line: ClientConnection) -> None:
    await line.send("{", text=True)
    await ended(line)


async def _says_too_much(gateway: Gateway, line: ClientConnection) -> None:
    await line.send("x" * 70_000, text=True)
    await ended(line)


async def _breaks_the_standard(gateway: Gateway, line: ClientConnection) -> None:
    line.transport.write(b"\x81\x02{}")
    await ended(line)


async def _is_revoked(gateway: Gateway, line: ClientConnection) -> None:
    await hello(gateway, line, gateway.token(ada))
    await line.recv()
    gateway.hub.revoke(ADA, SessionId(ADA))
    await ended(line)


async def _answers_no_ping(gateway: Gateway, line: ClientConnection) -> None:
    await hello(gateway, line, gateway.token(ada))
    await ended(line)


async def _does_not_read_its_close(gateway: Gateway, line: ClientConnection) -> None:
    await hello(gateway, line, "wrong")
    line.transport.pause_reading()


@pytest.mark.parametrize(
    "end",
    [
        _closes,
        _is_reset,
        _opens_and_is_reset,
        _says_no_hello,
        _has_a_wrong_token,
        _says_nonsense,
        _says_too_much,
        _breaks_the_standard,
        _is_revoked,
        _answers_no_ping,
        _does_not_read_its_close,
    ],
)
async def test_a_socket_gives_its_place_back_however_it_ends(
    node: Node, end: Callable[[Gateway, ClientConnection], Awaitable[None]]
) -> None:
    async with make_gateway(node, limits=LIMITS) as gateway:
        for _ in range(2):
            async with AsyncExitStack() as open_:
                lines = [
                    await open_.enter_async_context(gateway.line(additional_headers=via(HERE))) for _ in range(CAP)
                ]
                full = await knock(gateway)
                await asyncio.gather(*(end(gateway, line) for line in lines))
                await wait_for(gateway, 0)
                for line in lines:
                    line.transport.abort()
            assert full is not None
            assert full.status_code == 429


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
@pytest.mark.parametrize("how", ["cut", "revoked"])
async def test_a_stream_and_a_poll_give_their_place_back(node: Node, accept: str, how: str) -> None:
    async with make_gateway(node, limits=LIMITS) as gateway:
        since = (await position(gateway))["as_of"]
        head = f"GET {PATH}?since={since} HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nX-Forwarded-For: {HERE}\r\n"
        for _ in range(2):
            writers = []
            for _ in range(CAP):
                _, writer = await asyncio.open_connection(*gateway.url.removeprefix("http://").split(":"))
                writer.write(f"{head}Authorization: Bearer {gateway.token(ada)}\r\n\r\n".encode())
                writers.append(writer)
            await wait_for(gateway, CAP)
            full = await knock(gateway)
            if how == "revoked":
                gateway.hub.revoke(ADA, SessionId(ADA))
            else:
                for writer in writers:
                    writer.transport.abort()
            await wait_for(gateway, 0)
            for writer in writers:
                writer.close()
            assert full is not None
            assert full.status_code == 429
        assert await knock(gateway) is None


async def test_what_is_refused_before_it_opens_takes_no_place(node: Node) -> None:
    async with make_gateway(node, limits=LIMITS) as gateway:
        for _ in range(2 * CAP):
            with pytest.raises(InvalidStatus) as refused:
                async with gateway.line(additional_headers=via(HERE), origin="https://elsewhere.test"):
                    pass
            assert refused.value.response.status_code == 403
            headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {gateway.token(ada)}", **via(HERE)}
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"{gateway.url}{PATH}?since=nonsense", headers=headers) as answer,
            ):
                assert answer.status == 422
        assert await knock(gateway) is None


# What is counted


async def test_connections_and_frames_are_counted_by_transport(node: Node) -> None:
    packed = {"subprotocols": [Subprotocol(SUBPROTOCOL_MSGPACK)]}
    async with make_gateway(node) as gateway, gateway.client(ada) as client, gateway.line(**packed):
        since = (await position(gateway))["as_of"]
        async with aiohttp.ClientSession() as http, http.get(gateway.url + PATH, headers=hearing(gateway)) as stream:
            waiting = asyncio.create_task(get(http, gateway, since))
            await stream.content.readline()
            await wait_for(gateway, 4)
            for _ in range(5):
                await client.send(frame="ping")
                await client.until("pong")
            traffic = {name: (some.open, some.frames_in, some.frames_out) for name, some in gateway.hub.traffic.items()}
            waiting.cancel()
        await wait_for(gateway, 2)

    assert traffic == {"json": (1, 6, 6), "msgpack": (1, 0, 0), "sse": (1, 0, 1), "poll": (1, 0, 0)}
    assert {some.open for some in gateway.hub.traffic.values()} == {0}
