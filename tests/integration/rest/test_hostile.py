"""Hostile requests: each is refused with a 4xx or times out, and the next request succeeds."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from server.edge import bodies
from server.rest import app
from storage.database import Pool
from tests.support.http_server import Http, gadget_server

HEAD = b"Host: a\r\nAuthorization: Bearer customer\r\nContent-Type: application/json\r\n"
#: Timeouts of the server are set to this in tests of them.
SHORT_S = 0.2
#: All that is sent of a body that is announced as 10 MB.
SOME = b"x" * 200_000


@pytest.fixture
async def http(database_dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Http]:
    monkeypatch.setattr(app, "LINGER_S", SHORT_S)
    async with gadget_server(database_dsn, pool) as http:
        yield http


def post(headers: bytes, body: bytes = b"", path: bytes = b"/gadgets") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n" + headers + b"\r\n" + body


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


JSON_DEEP = b'{"label":' + b"[" * 30_000 + b"]" * 30_000 + b"}"


@pytest.mark.parametrize(
    ("request_bytes", "statuses"),
    [
        (post(b"Content-Length: 10000000\r\n", SOME), {413}),
        (post(b"Transfer-Encoding: chunked\r\n", b"30d40\r\n" + SOME + b"\r\n"), {413}),
        (post(b"Content-Length: -1\r\n"), {400}),
        (post(b"Content-Length: 1e3\r\n"), {400}),
        (post(b"Content-Length: 99999999999999999999999\r\n"), {400, 413}),
        (post(b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}"), {400}),
        (post(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), {400}),
        (post(b"Transfer-Encoding: gzip, identity\r\n", b"{}"), {400}),
        (post(b"Transfer-Encoding: chunked\r\n", b"-1\r\n{}\r\n"), {400}),
        (post(b"Content-Length: %d\r\n" % len(JSON_DEEP), JSON_DEEP), {400, 422}),
        (post(b"Content-Length: 16\r\n", b'{"label":"a\x00bc"}'), {400, 422}),
        (post(b"X: " + b"a" * 100_000 + b"\r\n"), {400, 431}),
        (post(b"".join(b"X%d: a\r\n" % n for n in range(500))), {400, 431}),
        (post(b"X: a\x00b\r\n"), {400}),
        (post(b"Idempotency-Key: a b\r\nContent-Length: 2\r\n", b"{}"), {422}),
        (post(b"Idempotency-Key: \r\nContent-Length: 2\r\n", b"{}"), {422}),
        (post(b"Idempotency-Key: " + b"k" * 129 + b"\r\nContent-Length: 2\r\n", b"{}"), {422}),
        (post(b"Idempotency-Key: \xc3\xa9\r\nContent-Length: 2\r\n", b"{}"), {422}),
        (b"GET /gadgets/%00 HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n", {400, 404, 422}),
        (b"GET /gadgets/%zz HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n", {400, 404, 422}),
        (b"GET /gadgets/%ff%fe HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n", {400, 404, 422}),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", {400, 414}),
        (b"GET /" + b"a/" * 3_000 + b" HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n", {404}),
        (b"GET /../../etc/passwd HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n", {404}),
        (b"TRACE /gadgets HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n", {405}),
        (b"OPTIONS /gadgets HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n", {204}),
        (b"HEAD / HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n", {200}),
        (b"GET / HTTP/1.0\r\n\r\n", {200}),
        (b"GET / HTTP/9.9\r\n\r\n", {400, 505}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
    ],
)
async def test_a_hostile_request_is_refused_and_the_next_one_answered(
    http: Http, request_bytes: bytes, statuses: set[int]
) -> None:
    assert status_of(await http.raw(request_bytes)) in statuses
    assert (await http.send("GET", "/")).status == 200


async def test_a_compressed_bomb_is_not_decompressed(http: Http) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    answer = await http.send(
        "POST",
        "/gadgets",
        token="customer",
        data=bomb[:60_000],
        headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
    )
    assert (answer.status, answer.problem["code"]) == (415, "unsupported_media_type")


async def test_pipelined_requests_are_answered_in_order(http: Http) -> None:
    good = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    missing = b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    answers = await http.raw((good + missing) * 50 + last)

    statuses = [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404"] * 50 + [b"200"]


async def test_a_trickling_body_times_out(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", SHORT_S)
    assert status_of(await http.raw(post(b"Content-Length: 100\r\n", b'{"lab'))) == 408


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "])
async def test_endless_headers_time_out(
    database_dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr(app, "KEEP_ALIVE_S", SHORT_S)
    async with gadget_server(database_dsn, pool) as http:
        async with asyncio.timeout(5):
            assert await http.raw(start) == b""
        assert (await http.send("GET", "/")).status == 200
