"""The server's own pages: without external resources, with security headers, and complete."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.web import BaseRequest, Response, StreamResponse
from openapi_spec_validator import OpenAPIV31SpecValidator

from server.rest.pages import WEB
from storage.database import Pool
from tests.support.http_server import Http, gadget_server

LINKS = {"/health": ("Health", "Whether it <can> serve")}


@pytest.fixture
async def http(database_dsn: str, pool: Pool) -> AsyncIterator[Http]:
    """A server for gadgets."""
    async with gadget_server(database_dsn, pool, links=LINKS, version="1.2.3", paths=PATHS) as http:
        yield http


PATHS: dict[str, Any] = {
    "/health": {"get": {"operationId": "health", "summary": "Health", "responses": {"200": {"description": "OK"}}}}
}


async def test_the_entrance_leads_to_everything(http: Http) -> None:
    answer = await http.send("GET", "/")
    page = answer.body.decode()

    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert {'href="/docs"', 'href="/openapi.json"', 'href="/health"'} <= set(re.findall(r'href="[^"]+"', page))
    assert "Whether it &lt;can&gt; serve" in page
    assert "1.2.3" in page


async def test_the_document_that_is_served_is_valid_and_knows_the_extra_routes(http: Http) -> None:
    answer = await http.send("GET", "/openapi.json")

    assert list(OpenAPIV31SpecValidator(answer.json).iter_errors()) == []
    assert answer.json["info"]["version"] == "1.2.3"
    assert {"/gadgets/", "/v1/commands", "/health"} <= answer.json["paths"].keys()


async def test_the_documentation_has_all_its_assets(http: Http) -> None:
    page = await http.send("GET", "/docs")
    wanted = {"/docs/docs.js", "/docs/docs.css", "/docs/icon.svg"}
    for name in WEB.glob("*.js"):
        wanted |= set(re.findall(r'from "(/docs/[^"]+)"', name.read_text(encoding="utf-8")))

    assert set(re.findall(r'"(/docs/[^"]+)"', page.body.decode())) <= wanted
    for path in wanted:
        part = await http.send("GET", path)
        assert part.status == 200, path
        assert part.headers["Content-Type"].split(";")[0] in {"text/javascript", "text/css", "image/svg+xml"}


def test_the_pages_load_nothing_from_other_origins() -> None:
    for path in WEB.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|(?:src|href)=\"//", text), path.name


@pytest.mark.parametrize("path", ["/", "/docs", "/problems/not_found"])
async def test_a_page_runs_only_its_own_scripts(http: Http, path: str) -> None:
    answer = await http.send("GET", path)
    policy = answer.headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?! type=\"module\" src=)|style=|\son\w+=", answer.body.decode())


async def test_an_unchanged_asset_is_not_sent_again(http: Http) -> None:
    first = await http.send("GET", "/docs/docs.css")
    again = await http.send("GET", "/docs/docs.css", headers={"If-None-Match": first.headers["ETag"]})

    assert again.status == 304
    assert again.body == b""


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
async def test_an_unchanged_document_is_not_sent_again(http: Http, path: str) -> None:
    first = await http.send("GET", path)
    tag = first.headers["ETag"]
    same = [await http.send("GET", path, headers={"If-None-Match": sent}) for sent in (tag, f'"other", {tag[2:]}', "*")]
    other = await http.send("GET", path, headers={"If-None-Match": '"other"'})

    assert tag.startswith('W/"')
    assert [(answer.status, answer.body, answer.headers["ETag"]) for answer in same] == [(304, b"", tag)] * 3
    assert (other.status, other.body) == (200, first.body)


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
async def test_a_document_is_compressed_for_those_who_accept_it(http: Http, path: str) -> None:
    plain = await http.send("GET", path, headers={"Accept-Encoding": "br, gzip;q=0, *"})
    small = await http.send("GET", path, headers={"Accept-Encoding": "br;q=1.0, gzip;q=0.8"})

    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert int(small.headers["Content-Length"]) < len(plain.body) / 4
    assert small.body == plain.body
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert plain.headers["ETag"] == small.headers["ETag"]


async def test_the_type_of_a_problem_links_to_its_explanation(http: Http) -> None:
    problem = (await http.send("GET", "/nothing")).problem
    page = await http.send("GET", problem["type"])
    unknown = await http.send("GET", "/problems/%3Cscript%3E")

    assert "Not found" in page.body.decode()
    assert "not_found" in page.body.decode()
    assert unknown.problem["code"] == "not_found"


async def test_a_page_of_a_part_takes_precedence_over_our_own(database_dsn: str, pool: Pool) -> None:
    async def home(request: BaseRequest) -> StreamResponse:
        return Response(text="home")

    async with gadget_server(database_dsn, pool, extra={("GET", "/"): home}) as http:
        answer = await http.send("GET", "/")

    assert answer.body == b"home"
