"""A real HTTP server on a free port, in front of gadgets, the real runtime and a real database.

async with gadget_server(database_dsn, pool) as http:
    answer = await http.send("POST", "/gadgets", json={"label": "lamp"}, token="customer")
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import ClientSession, ClientTimeout
from aiohttp.web import TCPSite
from multidict import CIMultiDictProxy

from actors.runtime.call import Caller
from protocol.errors import Unauthenticated
from protocol.ids import UserId
from protocol.registry import BY_NAME
from protocol.roles import Principal, Role
from server.rest.app import HttpApp
from storage.database import Pool
from tests.support import gadget_actor
from tests.support.runtime import make_runtime

REQUEST_TIMEOUT_S = 20

CUSTOMER = Principal(
    user_id=UserId(UUID("01900000-0000-7000-8000-00000000c001")), role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER})
)
STAFF = Principal(
    user_id=UserId(UUID("01900000-0000-7000-8000-00000000c002")), role=Role.STAFF, roles=frozenset({Role.STAFF})
)
TOKENS = {"customer": CUSTOMER, "staff": STAFF}


def authenticate(token: str) -> Principal:
    """Know the tokens ``customer`` and ``staff``."""
    if token not in TOKENS:
        raise Unauthenticated(reason="invalid_token")
    return TOKENS[token]


def gadget_app(runtime: Caller, pool: Any, **more: Any) -> HttpApp:
    """Serve the gadgets, and no other commands of the registry."""
    declared = [declaration for name, declaration in BY_NAME.items() if name.startswith("gadget.")]
    return HttpApp(
        runtime=runtime,
        queries=gadget_actor.QUERIES,
        procedures=gadget_actor.PROCEDURES,
        authenticate=authenticate,
        pool=pool,
        declarations=declared,
        **more,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, read whole."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def problem(self) -> dict[str, Any]:
        """The body of a problem; fails if it is none."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        problem: dict[str, Any] = self.json
        assert problem["status"] == self.status
        assert problem["type"] == f"/problems/{problem['code']}"
        assert problem["title"]
        assert problem["detail"]
        return problem


@dataclass(frozen=True, slots=True)
class Http:
    """A client of the server."""

    session: ClientSession
    port: int

    async def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> Answer:
        """Send one request and read the whole answer. ``json=`` or ``data=`` gives the body."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        async with self.session.request(method, path, headers=sent, allow_redirects=False, **body) as response:
            return Answer(response.status, response.headers, await response.read())

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are and read until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def serve(app: HttpApp) -> AsyncIterator[Http]:
    """Run the server on a free port of this machine."""
    runner = app.runner(shutdown_timeout_s=5)
    await runner.setup()
    await TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    timeout = ClientTimeout(total=REQUEST_TIMEOUT_S)
    try:
        async with ClientSession(f"http://127.0.0.1:{port}", timeout=timeout) as session:
            yield Http(session, port)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def gadget_server(dsn: str, pool: Pool, **more: Any) -> AsyncIterator[Http]:
    """Run a server for gadgets on the database; ``more`` goes to its HttpApp."""
    with gadget_actor.declared_gadgets():
        async with (
            make_runtime(dsn, pool, {gadget_actor.KIND: gadget_actor.Gadget}, {}) as node,
            serve(gadget_app(node.runtime, pool, **more)) as http,
        ):
            yield http
