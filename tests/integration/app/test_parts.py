"""The routes of all parts are served, and parts are drained while the listener still listens."""

from collections.abc import AsyncIterator
from datetime import time
from typing import Any

import aiohttp
import pytest
from aiohttp.web import BaseRequest, Response, StreamResponse

from protocol.errors import Unauthenticated
from protocol.registry import BY_NAME, Mode
from protocol.roles import Principal
from server.app.config import Config
from server.app.node import open_node
from server.edge.config import DevConfig, ServerConfig
from server.edge.job import Daily
from server.edge.node import Node
from server.edge.part import Context, Part, Parts
from server.edge.rates import Limiters
from server.rest.part import open_rest


@pytest.fixture
async def node(database_dsn: str) -> AsyncIterator[Node]:
    async with open_node(database_dsn, Config()) as opened:
        yield opened


async def hello(request: BaseRequest) -> StreamResponse:
    return Response(text="hello")


def nobody(token: str) -> Principal:
    raise Unauthenticated(reason="invalid")


def declared(mode: Mode) -> list[Any]:
    """Every query, or every procedure, that needs a handler."""
    return [declaration.type for declaration in BY_NAME.values() if declaration.mode is mode]


async def nothing(*asked: Any) -> StreamResponse:
    return Response()


async def test_two_parts_that_offer_the_same_route_are_refused(node: Node) -> None:
    parts = Parts(node, {})
    parts.add(Part(routes={("GET", "/hello"): hello}))

    with pytest.raises(AssertionError, match=r"offered twice: .*/hello"):
        parts.add(Part(routes={("GET", "/hello"): hello}))


async def test_parts_get_the_address_and_drain_while_the_server_still_listens(
    node: Node,
) -> None:
    received: list[str] = []
    server = ServerConfig(port=0)
    context = Context(
        node=node, server=server, dev=DevConfig(), limiters=Limiters(), nightly=Daily(time(3)), version="1"
    )

    async def drain() -> None:
        async with aiohttp.ClientSession() as http, http.get(f"{received[0]}/hello") as answer:
            received.append(await answer.text())

    parts = Parts(node, dict.fromkeys(declared(Mode.QUERY), nothing))
    parts.procedures = dict.fromkeys(declared(Mode.PROCEDURE), nothing)
    parts.add(Part(routes={("GET", "/hello"): hello}, listening=received.append, drain=drain))
    rest = parts.add(open_rest(context, nobody, parts))
    await rest.start()
    await rest.stop()

    assert received == [rest.listener.url, "hello"]
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(received[0])
