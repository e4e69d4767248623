"""TCP connections that send no request: bounded in time and number, and answered without versions."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from server.rest import connections
from storage.database import Pool
from tests.support.http_server import Http, gadget_server

SHORT_S = 0.05
TIMEOUT_S = 10
PEER = "192.0.2.7"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
async def http(database_dsn: str, pool: Pool) -> AsyncIterator[Http]:
    async with gadget_server(database_dsn, pool) as http:
        yield http


async def answer_to(http: Http) -> bytes:
    """What the server answers to a request on a connection of its own; empty if the connection is cut."""
    try:
        return await http.raw(REQUEST)
    except ConnectionError:
        return b""


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "])
async def test_a_connection_without_headers_is_cut_long_before_keep_alive_ends(
    http: Http, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr(connections, "HEADERS_TIMEOUT_S", SHORT_S)

    async with asyncio.timeout(TIMEOUT_S):
        assert await http.raw(start) == b""


async def test_bytes_that_are_not_http_are_answered_without_versions(http: Http) -> None:
    answer = await http.raw(b"\x16\x03\x01\x02\x00\r\n\r\n")

    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"Server: guildwire\r\n" in answer
    assert b"Python" not in answer


async def test_spare_files_are_left_to_the_rest_of_the_server(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SPARE_FILES", resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    assert await answer_to(http) == b""


async def test_an_address_has_so_many_connections_and_no_more(
    database_dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "limited_as", lambda address: PEER)
    async with gadget_server(database_dsn, pool, trusted_proxies=(), connections_per_address=2) as http:
        silent = [await asyncio.open_connection("127.0.0.1", http.port) for _ in range(2)]
        assert await answer_to(http) == b""

        for reader, writer in silent:
            writer.write(REQUEST)
            assert b" 200 " in await reader.readline()
            writer.close()
        async with asyncio.timeout(TIMEOUT_S):
            while b" 200 " not in await answer_to(http):  # until the server has seen the ends
                await asyncio.sleep(0)


async def test_connections_of_a_trusted_proxy_are_not_counted(
    database_dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "limited_as", lambda address: PEER)
    async with gadget_server(database_dsn, pool, connections_per_address=1) as http, AsyncExitStack() as stack:
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", http.port)
            stack.callback(writer.close)

        assert b" 200 " in await answer_to(http)
