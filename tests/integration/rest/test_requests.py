"""Requests of every kind: an invalid one gets a 4xx that names the field, never a 500, and has no effect."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.web import BaseRequest, HTTPFound, Response, StreamResponse, TCPSite, WebSocketResponse
from structlog.testing import capture_logs

from protocol.errors import GuildwireError
from protocol.rates import Rate
from server.edge import bodies
from server.edge.bodies import read_body
from server.edge.exchange import EXCHANGE
from server.edge.limits import BODY_BYTES_MAX
from server.edge.rates import Limiters, RateLimits
from storage.database import Pool
from tests.support.gadget_actor import declared_gadgets
from tests.support.http_server import REQUEST_TIMEOUT_S, Http, gadget_app, gadget_server, serve
from tests.support.runtime import make_runtime
from tests.support.server import Site

JSON = {"Content-Type": "application/json"}


async def tail(request: BaseRequest) -> StreamResponse:
    """Respond with the path parameters."""
    return Response(text=repr(dict(request[EXCHANGE].path_params)))


async def stream(request: BaseRequest) -> StreamResponse:
    """Respond in chunks."""
    response = StreamResponse()
    await request[EXCHANGE].start(request, response)
    await response.write(b"one")
    await response.write_eof()
    return response


async def little(request: BaseRequest) -> StreamResponse:
    """Accept a body of four bytes."""
    return Response(body=await read_body(request, 4))


EXTRA = {("GET", "/files/{owner}/{path...}"): tail, ("GET", "/stream"): stream, ("POST", "/little"): little}


@pytest.fixture
async def http(database_dsn: str, pool: Pool) -> AsyncIterator[Http]:
    """A server for gadgets, with a few plain handlers."""
    origins = ["https://app.example.com"]
    async with gadget_server(database_dsn, pool, extra=EXTRA, allowed_origins=origins) as http:
        yield http


# Routing


async def test_an_unknown_path_is_not_found(http: Http) -> None:
    answer = await http.send("GET", "/nothing/here")

    assert answer.status == 404
    assert answer.problem["fields"] == {"entity": "route"}


async def test_a_method_that_is_not_allowed_names_those_that_are(http: Http) -> None:
    answer = await http.send("PUT", "/gadgets")

    assert answer.status == 405
    assert answer.problem["code"] == "method_not_allowed"
    assert answer.headers["Allow"] == "GET, POST, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", "/providers/jobs/"), ("PUT", "/services/categories/"), ("DELETE", "/services/categories")],
)
async def test_a_word_of_a_path_is_not_taken_for_an_id(server: Site, method: str, path: str) -> None:
    refused = await server.request(method, path)
    options = await server.request("OPTIONS", path)

    assert (refused.status, refused.json["code"]) == (405, "method_not_allowed")
    assert refused.headers["Allow"] == options.headers["Allow"] == "GET, HEAD, OPTIONS"


async def test_head_answers_like_get_without_the_body(http: Http) -> None:
    get = await http.send("GET", "/gadgets")
    head = await http.send("HEAD", "/gadgets")

    assert head.status == 200
    assert head.body == b""
    assert head.headers["Content-Length"] == str(len(get.body))


async def test_a_plain_handler_gets_the_rest_of_the_path(http: Http) -> None:
    answer = await http.send("GET", "/files/me/a/b%20c.txt")

    assert answer.body == b"{'owner': 'me', 'path': 'a/b c.txt'}"


# Query strings


async def test_a_query_string_is_read_by_the_types_of_its_fields(http: Http) -> None:
    answer = await http.send("GET", "/gadgets?howMany=5&near=1.5&tags=a&tags=b&order=oldest&text=caf%C3%A9+1")

    assert answer.json == {
        "count": 5,
        "near": 1.5,
        "tags": ["a", "b"],
        "order": "oldest",
        "text": "café 1",
        "signed_in": False,
    }


@pytest.mark.parametrize(
    ("query_string", "fields"),
    [
        ("howMany=many", {"howMany": "wrong_type"}),
        ("howMany=101", {"howMany": "too_large"}),
        ("howMany=0", {"howMany": "too_small"}),
        ("howMany=99999999999999999999", {"howMany": "too_large"}),
        ("howMany=" + "9" * 5000, {"howMany": "out_of_range"}),
        ("howMany=1&howMany=2", {"howMany": "repeated"}),
        ("order=random", {"order": "unknown_value"}),
        ("near=nan", {"near": "out_of_range"}),
        ("near=inf", {"near": "out_of_range"}),
        ("near=1e999", {"near": "out_of_range"}),
        ("near=null", {"near": "bad_format"}),
        ("text=%00", {"text": "control_character"}),
        ("tags=a&tags=%1b", {"tags[1]": "control_character"}),
        ("text=%ed%a0%80", None),
        ("text=%ff", None),
        ("&".join(f"a{n}=1" for n in range(65)), {"query": "too_long"}),
    ],
)
async def test_an_invalid_query_string_is_refused_by_field(
    http: Http, query_string: str, fields: dict[str, str] | None
) -> None:
    answer = await http.send("GET", f"/gadgets?{query_string}")

    if fields is None:
        assert answer.problem["code"] == "malformed"
        assert answer.status == 400
    else:
        assert answer.status == 422
        assert answer.problem["fields"] == fields


async def test_a_public_query_gets_the_principal_of_a_valid_token(http: Http) -> None:
    known = await http.send("GET", "/gadgets", token="customer")
    unknown = await http.send("GET", "/gadgets", token="expired")

    assert known.json["signed_in"] is True
    assert unknown.json["signed_in"] is False


# Bodies

MISFITS: list[tuple[bytes, int, dict[str, str] | str]] = [
    (b"", 422, {"label": "missing"}),
    (b"{}", 422, {"label": "missing"}),
    (b"null", 422, {"body": "wrong_type"}),
    (b"[]", 422, {"body": "wrong_type"}),
    (b'"text"', 422, {"body": "wrong_type"}),
    (b'{"label": 5}', 422, {"label": "wrong_type"}),
    (b'{"label": "x", "colour": 1}', 422, {"colour": "unknown_field"}),
    (b'{"label": "x", "self": 1}', 422, {"self": "unknown_field"}),
    (b'{"label": "' + b"x" * 41 + b'"}', 422, {"label": "too_long"}),
    (b'{"label": "x", "size": 0}', 422, {"size": "too_small"}),
    (b'{"label": "x", "size": 10}', 422, {"size": "too_large"}),
    (b'{"label": "x", "size": 1.5}', 422, {"size": "wrong_type"}),
    (b'{"label": "x", "weight": 9223372036854775808}', 422, {"weight": "out_of_range"}),
    (b'{"label": "x", "weight": ' + b"9" * 9000 + b"}", 422, {"weight": "out_of_range"}),
    (b'{"label": "x", "weight": 1e400}', 422, {"weight": "out_of_range"}),
    (b'{"label": "x", "since": "yesterday"}', 422, {"since": "bad_format"}),
    (b'{"label": "x", "since": "2026-01-01T10:00:00"}', 422, {"since": "offset_missing"}),
    (b'{"label": "x", "since": "9999-12-31T23:59:59-23:59"}', 422, {"since": "out_of_range"}),
    (b'{"label": "x", "parts": [{"name": "a"}, {"name": 1}]}', 422, {"parts[1].name": "wrong_type"}),
    (b'{"label": "x", "parts": [{"name": "a", "nome": 1}]}', 422, {"parts[0].nome": "unknown_field"}),
    (b'{"label": "x", "parts": [{"name": "a\\u0007"}]}', 422, {"parts[0].name": "control_character"}),
    (b'{"label": "a\\u0000b"}', 422, {"label": "control_character"}),
    (b'{"label": "a\\u001bb"}', 422, {"label": "control_character"}),
    (b'{"label": "a\x00b"}', 422, {"label": "control_character"}),
    (b'{"label": "a\x7fb"}', 422, {"label": "control_character"}),
    ('{"label": "a\x85b"}'.encode(), 422, {"label": "control_character"}),
    (b'{"label": "\\ud800"}', 422, {"label": "lone_surrogate"}),
    (b'{"label": "\\udfff and so on"}', 422, {"label": "lone_surrogate"}),
    (b'{"label": "x"', 400, "not_json"),
    (b'{"label": NaN}', 400, "not_json"),
    (b'{"label": "x"} and more', 400, "not_json"),
    (b"label=x", 400, "not_json"),
    (b"\xef\xbb\xbf{}", 400, "not_json"),
    (b'{"label": "\xff"}', 400, "not_utf8"),
    (b"[" * 30_000 + b"]" * 30_000, 422, {"body": "wrong_type"}),
    (b'{"parts":' + b"[" * 30_000 + b"]" * 30_000 + b"}", 422, {"parts[0]": "wrong_type"}),
    (b'{"unknown":' + b"[" * 30_000 + b"]" * 30_000 + b"}", 422, {"unknown": "unknown_field"}),
]


@pytest.mark.parametrize(("body", "status", "expected"), MISFITS, ids=[repr(body[:30]) for body, _, _ in MISFITS])
async def test_an_invalid_body_is_refused_by_field(
    http: Http, pool: Pool, body: bytes, status: int, expected: dict[str, str] | str
) -> None:
    answer = await http.send("POST", "/gadgets", data=body, token="customer", headers=JSON)

    assert answer.status == status
    if isinstance(expected, str):
        assert answer.problem["fields"] == {"reason": expected}
    else:
        assert answer.problem["fields"] == expected
    assert await pool.fetchval("SELECT count(*) FROM command_log") == 0


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        (b"", 422, {"label": "missing"}),
        (b" {} ", 422, {"label": "missing"}),
        (b"[]", 422, {"body": "wrong_type"}),
        (b"}", 400, None),
        (b'{"label": "x",}', 400, None),
        (b'{"label": "x", {}', 400, None),
        (b'{"label": "x"]', 400, None),
        (b'{"label": "x"}{}', 400, None),
        (b'{"label": "x", "extra": 1}', 422, {"extra": "unknown_field"}),
        (b'{"label": "\\ud800"}', 422, {"label": "lone_surrogate"}),
        (b' {"label": "x"} \n', 404, {"entity": "booking"}),
    ],
)
async def test_a_body_beside_path_parameters_follows_the_same_rules(
    http: Http, body: bytes, status: int, fields: dict[str, str] | None
) -> None:
    path = "/gadgets/01900000-0000-7000-8000-000000000001/rename"
    answer = await http.send("POST", path, data=body, token="customer", headers=JSON)

    assert answer.status == status
    if fields is not None:
        assert fields.items() <= answer.problem["fields"].items()


async def test_a_query_field_that_is_empty_or_unknown_counts_as_absent(http: Http) -> None:
    plain = await http.send("GET", "/gadgets")
    answer = await http.send("GET", "/gadgets?howMany=&near=%20&tags=&order=&utm_source=mail&how_many=5&self=1")

    assert answer.status == 200
    assert answer.json == plain.json


async def test_a_refusal_names_all_wrong_fields_in_the_reader_s_language(http: Http) -> None:
    answer = await http.send(
        "POST",
        "/gadgets",
        json={"weight": "heavy", "parts": [{}, {"name": 1}], "colour": "red"},
        token="customer",
        headers={"Accept-Language": "de"},
    )

    assert answer.problem["fields"] == {
        "label": "missing",
        "weight": "wrong_type",
        "parts[0].name": "missing",
        "parts[1].name": "wrong_type",
        "colour": "unknown_field",
    }
    assert answer.headers["Content-Language"] == "de"
    assert "hat den falschen Typ" in answer.problem["detail"]
    assert "Expected" not in answer.problem["detail"]


WORLDLY = [
    "two\nlines\tand a tab",
    "\N{MAN}\N{ZERO WIDTH JOINER}\N{WRENCH} 4-byte",
    "\N{HEBREW LETTER SHIN}\N{RIGHT-TO-LEFT OVERRIDE}bidi",
    "-\N{LINE SEPARATOR} \N{ZERO WIDTH NO-BREAK SPACE}",
    "\N{LATIN SMALL LETTER E WITH ACUTE}" * 40,
]


@pytest.mark.parametrize("label", WORLDLY)
async def test_text_in_any_script_passes_unchanged(http: Http, label: str) -> None:
    answer = await http.send("POST", "/gadgets", json={"label": label}, token="customer")
    view = await http.send("GET", f"/gadgets/{answer.json['id']}", token="customer")

    assert view.json["label"] == label


async def test_a_body_of_the_maximum_size_is_read_and_a_larger_one_is_refused(http: Http) -> None:
    frame = b'{"label": "x"%b}'
    fitting = frame % (b" " * (BODY_BYTES_MAX - len(frame) + 2))
    ok = await http.send("POST", "/gadgets", data=fitting, token="customer", headers=JSON)
    too_large = await http.send("POST", "/gadgets", data=fitting + b" ", token="customer", headers=JSON)

    assert len(fitting) == BODY_BYTES_MAX
    assert ok.status == 201
    assert too_large.status == 413
    assert too_large.problem["fields"] == {"bytes_max": BODY_BYTES_MAX}


async def test_a_body_of_unknown_length_is_bounded_as_well(http: Http) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 4096

    answer = await http.send("POST", "/gadgets", data=endless(), token="customer", headers=JSON)

    assert answer.status == 413


async def test_a_huge_announced_body_is_refused_before_it_is_sent(http: Http) -> None:
    head = b"POST /gadgets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer customer\r\nContent-Length: 99999999999\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
    writer.write(head)
    status = await reader.readline()
    writer.close()

    assert status.split()[1] == b"413"


async def test_a_client_that_expects_100_continue_gets_it(http: Http) -> None:
    body = b'{"label": "lamp"}'
    head = (
        b"POST /gadgets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer customer\r\nExpect: 100-continue\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
    writer.write(head)
    invitation = await reader.readuntil(b"\r\n\r\n")
    writer.write(body)
    answer = await reader.read()
    writer.close()

    assert invitation == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_a_body_that_is_not_json_by_its_headers_is_refused(http: Http, headers: dict[str, str]) -> None:
    answer = await http.send("POST", "/gadgets", data=b'{"label": "x"}', token="customer", headers=headers)

    assert answer.status == 415
    assert answer.problem["fields"]["header"] in headers


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])
async def test_json_may_have_any_of_its_media_types(http: Http, media_type: str) -> None:
    answer = await http.send(
        "POST", "/gadgets", data=b'{"label": "x"}', token="customer", headers={"Content-Type": media_type}
    )

    assert answer.status == 201


async def test_a_plain_handler_reads_bodies_up_to_its_own_limit(http: Http) -> None:
    fitting = await http.send("POST", "/little", data=b"1234")
    too_large = await http.send("POST", "/little", data=b"12345")

    assert fitting.body == b"1234"
    assert too_large.problem["fields"] == {"bytes_max": 4}


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /gadgets/%ff HTTP/1.1",
        b"GET /gadgets/%00 HTTP/1.1",
        b"GET /gadgets/\xff\xfe HTTP/1.1",
        b"POST /gadgets/%ff/rename HTTP/1.1",
        b"POST /gadgets/\xff/rename HTTP/1.1",
        b"POST /gadgets/%ed%a0%80/rename HTTP/1.1",
        b"GET /gadgets/../../etc/passwd HTTP/1.1",
        b"GET //gadgets HTTP/1.1",
        b"GET /gadgets?text=\xff HTTP/1.1",
        b"GET /gadgets?%ff=1 HTTP/1.1",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1",
        b"NONSENSE",
        b"GET /gadgets HTTP/9.9",
        b"BREW /gadgets HTTP/1.1",
        b"GET * HTTP/1.1",
        b"CONNECT example.com:443 HTTP/1.1",
        b"GET http://[::1 HTTP/1.1",
        b"POST /gadgets HTTP/1.1\r\nContent-Length: nine",
        b"POST /gadgets HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3",
    ],
)
async def test_a_request_line_of_any_kind_gets_a_4xx(http: Http, request_line: bytes) -> None:
    answer = await http.raw(
        request_line + b"\r\nHost: x\r\nAuthorization: Bearer customer\r\nConnection: close\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1."), answer
    assert answer.split()[1][:1] == b"4", answer


async def test_a_broken_chunk_is_a_malformed_body(http: Http) -> None:
    answer = await http.raw(
        b"POST /gadgets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer customer\r\nTransfer-Encoding: chunked\r\n"
        b'Connection: close\r\n\r\n5\r\n{"lab\r\nzz\r\n'
    )

    assert answer.split()[1] == b"400", answer


# Headers of every response


async def test_every_response_has_the_request_id_and_the_trace(http: Http) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    own = await http.send("GET", "/gadgets", headers={"X-Request-Id": "mine-1", "traceparent": trace})
    made = await http.send("GET", "/nothing")
    odd = await http.send("GET", "/gadgets", headers={"X-Request-Id": "a b", "traceparent": "x" * 200})

    assert own.headers["X-Request-Id"] == "mine-1"
    assert own.headers["traceparent"] == trace
    assert made.problem["instance"] == f"/requests/{made.headers['X-Request-Id']}"
    assert odd.headers["X-Request-Id"] != "a b"
    assert "traceparent" not in odd.headers


@pytest.mark.parametrize("path", ["/gadgets", "/nothing", "/docs", "/openapi.json", "/stream", "/files/a/b"])
async def test_every_response_has_security_headers(http: Http, path: str) -> None:
    answer = await http.send("GET", path)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Server"] == "guildwire"
    assert "Strict-Transport-Security" not in answer.headers


# Other origins


async def test_a_preflight_of_an_allowed_origin_is_answered(http: Http) -> None:
    answer = await http.send(
        "OPTIONS",
        "/gadgets/x/rename",
        headers={
            "Origin": "https://app.example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, idempotency-key",
        },
    )

    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


async def test_an_allowed_origin_may_read_responses_and_refusals(http: Http) -> None:
    headers = {"Origin": "https://app.example.com"}
    answers = [await http.send("GET", path, headers=headers) for path in ("/gadgets", "/nothing", "/stream")]

    assert [a.headers["Access-Control-Allow-Origin"] for a in answers] == ["https://app.example.com"] * 3
    assert "ETag" in answers[0].headers["Access-Control-Expose-Headers"]


async def test_another_origin_may_not(http: Http) -> None:
    for origin in ("https://evil.example", "https://app.example.com.evil.example", "null", "http://app.example.com"):
        answer = await http.send("GET", "/gadgets", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Vary"] == "Origin"


async def test_options_without_an_origin_names_the_methods(http: Http) -> None:
    answer = await http.send("OPTIONS", "/gadgets")

    assert answer.status == 204
    assert answer.headers["Allow"] == "GET, POST, HEAD, OPTIONS"


# Procedures, and their errors


async def test_a_procedure_gets_its_request_context(http: Http) -> None:
    answer = await http.send(
        "POST",
        "/introduce",
        json={"said": "hello"},
        token="customer",
        headers={"User-Agent": "test/1", "Idempotency-Key": "k", "X-Forwarded-For": "203.0.113.9"},
    )

    assert answer.json == {
        "said": "hello",
        "user_id": "01900000-0000-7000-8000-00000000c001",
        "address": "203.0.113.9",
        "user_agent": "test/1",
        "language": "en",
        "key": "k",
    }


async def test_a_procedure_by_get_takes_its_fields_from_the_query_string(http: Http) -> None:
    answer = await http.send("GET", "/introduce?said=hi")

    assert answer.json["said"] == "hi"
    assert answer.json["user_id"] is None


async def test_a_bug_is_a_500_with_an_incident_that_the_log_knows(http: Http) -> None:
    with capture_logs() as logs:
        answer = await http.send("POST", "/crash?secret=1")

    assert answer.status == 500
    assert answer.problem["code"] == "internal"
    incident = answer.problem["fields"]["incident"]
    [entry] = [entry for entry in logs if entry["event"] == "http.crashed"]
    assert entry["incident"] == incident == answer.headers["X-Request-Id"]
    assert entry["path"] == "/crash"
    assert "a bug" not in answer.body.decode()


async def test_an_outage_is_a_503_with_retry_after(http: Http) -> None:
    answer = await http.send("POST", "/crash", json={"how": "outage"})

    assert answer.status == 503
    assert answer.problem["code"] == "unavailable"
    assert answer.headers["Retry-After"] == "1"


# Limits


async def test_an_address_above_its_rate_gets_retry_after(database_dsn: str, pool: Pool) -> None:
    limiters = Limiters(RateLimits(requests_per_address=Rate(0.1, 2)))
    async with gadget_server(database_dsn, pool, limiters=limiters) as http:

        async def ask(address: str) -> Any:
            return await http.send("GET", "/gadgets", headers={"X-Forwarded-For": address})

        first = [(await ask("203.0.113.9")).status for _ in range(2)]
        refused = await ask("203.0.113.9")
        neighbour = await ask("203.0.113.10")
        here = [(await http.send("GET", "/gadgets")).status for _ in range(4)]

    assert first == [200, 200]
    assert refused.status == 429
    assert refused.problem["fields"]["limit"] == "requests_per_address"
    assert 1 <= int(refused.headers["Retry-After"]) <= 10
    assert neighbour.status == 200
    assert here == [200] * 4


async def test_sign_ins_of_an_address_have_a_limit_of_their_own(database_dsn: str, pool: Pool) -> None:
    limiters = Limiters(RateLimits(public_per_address=Rate(0.1, 1)))
    headers = {"X-Forwarded-For": "203.0.113.9"}
    async with gadget_server(database_dsn, pool, limiters=limiters) as http:
        procedures = [await http.send("POST", "/introduce", json={}, headers=headers) for _ in range(2)]
        query = await http.send("GET", "/gadgets", headers=headers)

    assert [answer.status for answer in procedures] == [200, 429]
    assert query.status == 200


async def test_routes_and_envelope_count_the_same_commands(database_dsn: str, pool: Pool) -> None:
    limiters = Limiters(RateLimits(commands_per_user=Rate(0.1, 2)))
    async with gadget_server(database_dsn, pool, limiters=limiters) as http:
        route = await http.send("POST", "/gadgets", json={"label": "x"}, token="customer")
        envelope = {"name": "gadget.make", "data": {"label": "x"}}
        enveloped = await http.send("POST", "/v1/commands", json=envelope, token="customer")
        refused = await http.send("POST", "/gadgets", json={"label": "x"}, token="customer")
        other = await http.send("POST", "/gadgets", json={"label": "x"}, token="staff")

    assert [route.status, enveloped.status, refused.status, other.status] == [201, 201, 429, 201]
    assert refused.problem["fields"]["limit"] == "commands_per_user"


async def test_queries_of_a_user_have_a_limit_of_their_own(database_dsn: str, pool: Pool) -> None:
    limiters = Limiters(RateLimits(queries_per_user=Rate(0.1, 1)))
    path = "/gadgets/01900000-0000-7000-8000-000000000001"
    async with gadget_server(database_dsn, pool, limiters=limiters) as http:
        queries = [await http.send("GET", path, token="customer") for _ in range(2)]
        other = await http.send("GET", path, token="staff")
        command = await http.send("POST", "/gadgets", json={"label": "x"}, token="customer")

    assert [answer.status for answer in queries] == [404, 429]
    assert queries[1].problem["fields"]["limit"] == "queries_per_user"
    assert 1 <= int(queries[1].headers["Retry-After"]) <= 10
    assert (other.status, command.status) == (404, 201)


# Stopping


async def test_a_request_under_way_is_finished_before_the_server_stops(database_dsn: str, pool: Pool) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: BaseRequest) -> StreamResponse:
        began.set()
        await go_on.wait()
        return Response(text="done")

    with declared_gadgets():
        async with make_runtime(database_dsn, pool, {}, {}) as node:
            runner = gadget_app(node.runtime, pool, extra={("GET", "/slow"): slow}).runner()
            await runner.setup()
            await TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            async with ClientSession(f"http://127.0.0.1:{port}") as session:
                asked = asyncio.create_task(session.get("/slow"))
                await began.wait()
                stopping = asyncio.create_task(runner.cleanup())
                await nobody_listens(port)
                for _ in range(100):  # a stop that does not wait for the request is complete by then
                    await asyncio.sleep(0)
                assert not stopping.done()
                go_on.set()
                async with await asked as response:
                    text = await response.text()
                await stopping

    assert text == "done"


async def nobody_listens(port: int) -> None:
    """Wait until a server takes no new connections."""
    async with asyncio.timeout(REQUEST_TIMEOUT_S):
        with suppress(ConnectionError):
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()


async def test_behind_tls_responses_have_hsts(database_dsn: str, pool: Pool) -> None:
    async with gadget_server(database_dsn, pool, https=True) as http:
        answer = await http.send("GET", "/gadgets")

    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


async def test_an_error_of_a_plain_handler_is_a_problem_too(database_dsn: str, pool: Pool) -> None:
    async def refuse(request: BaseRequest) -> StreamResponse:
        raise GuildwireError(what="x")

    with declared_gadgets():
        async with (
            make_runtime(database_dsn, pool, {}, {}) as node,
            serve(gadget_app(node.runtime, pool, extra={("GET", "/refuse"): refuse})) as http,
        ):
            answer = await http.send("GET", "/refuse")

    assert answer.problem["fields"] == {"what": "x"}


async def test_an_exception_of_aiohttp_is_a_problem_unless_it_is_a_redirect(database_dsn: str, pool: Pool) -> None:
    async def upgrade(request: BaseRequest) -> StreamResponse:
        socket = WebSocketResponse()
        await socket.prepare(request)
        return socket

    async def move(request: BaseRequest) -> StreamResponse:
        raise HTTPFound("/elsewhere")

    extra = {("GET", "/upgrade"): upgrade, ("GET", "/move"): move}
    async with gadget_server(database_dsn, pool, extra=extra) as http:
        refused = await http.send("GET", "/upgrade")
        moved = await http.send("GET", "/move")

    assert refused.problem["code"] == "malformed"
    assert "WebSocket" in refused.problem["detail"]
    assert moved.status == 302
    assert moved.headers["Location"] == "/elsewhere"
    assert moved.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_body_that_does_not_arrive_times_out(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.05)
    head = b"POST /gadgets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer customer\r\nContent-Length: 9\r\n\r\n{"
    reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
    writer.write(head)
    status = await reader.readline()
    writer.close()

    assert status.split()[1] == b"408"
