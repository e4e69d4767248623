"""The endpoint of a route: a command to an actor, a query to the tables, or a procedure of the server.

Each endpoint admits the caller, decodes the request, calls the handler, and builds the response. Refusals are raised;
``server.rest.app`` renders them.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp.web import BaseRequest, Response, StreamResponse
from msgspec import Raw, Struct
from multidict import CIMultiDict

from actors.runtime.call import Caller, Outcome
from protocol.ids import Kind, id_text
from protocol.registry import BY_TYPE, Command, Declaration, Procedure, Query, Route
from protocol.roles import INTERNAL, Principal
from server.edge.bodies import read_json
from server.edge.context import RequestContext
from server.edge.decoding import BodyDecoder, Params, QueryDecoder, command_id, decode_body, unescaped
from server.edge.echoes import echoed
from server.edge.entity_tags import Versions, expected_versions
from server.edge.exchange import EXCHANGE
from server.edge.gate import Gate
from server.edge.guards import invalid
from server.edge.handlers import JSON_HEADERS, PlainHandler, ProcedureHandler, QueryHandler
from server.edge.target import target_of
from server.words.languages import language_of

Endpoint = Callable[[BaseRequest, Params], Awaitable[StreamResponse]]


_encoder = msgspec.json.Encoder()


class Envelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command as a WebSocket frame has it, for ``POST /v1/commands``."""

    #: The command's name, like ``booking.decline``.
    name: str
    #: The command's own fields.
    data: Raw
    #: The command id, the same as the header Idempotency-Key; None: one is made, and retries are not recognised.
    id: str | None = None
    #: Refuse unless the entity has this version.
    if_version: int | None = None


class Commands:
    """Sends commands to their actors and renders the outcomes.

    Args:
        locations: kind of actor → where to GET one, up to the id, like ``/bookings/``.
    """

    def __init__(self, runtime: Caller, gate: Gate, locations: Mapping[Kind, str]) -> None:
        self._runtime = runtime
        self._gate = gate
        self._locations = locations

    def endpoint(self, declaration: Declaration, route: Route) -> Endpoint:
        """Serve a command's own route."""
        decode = BodyDecoder(declaration.type, route, echoed(declaration, route))

        async def answer(request: BaseRequest, params: Params) -> StreamResponse:
            principal = self._gate.admit(request, declaration)
            headers = request.headers
            key = command_id(headers.get("Idempotency-Key"))
            if_version = expected_versions(headers.get("If-Match"))
            command = decode(await read_json(request), params)
            sent = declaration
            if route.wire is not None:  # a wire struct may convert to another command than the declared one
                sent = BY_TYPE[type(command)]
                self._gate.allow(principal, sent)
            self._gate.count(principal, sent)
            return await self._send(declaration, command, principal, key, if_version)

        return answer

    def envelope(self, declarations: Mapping[str, Declaration]) -> Endpoint:
        """Serve ``POST /v1/commands`` for every command that is not the server's own."""
        decoder = msgspec.json.Decoder(Envelope)
        bodies = {
            name: (declaration, BodyDecoder(declaration.type, Route("POST", "/v1/commands")))
            for name, declaration in declarations.items()
        }

        async def answer(request: BaseRequest, params: Params) -> StreamResponse:
            principal = self._gate.principal(request)
            self._gate.limiters.command(principal.user_id)
            envelope = decode_body(decoder, await read_json(request))
            if envelope.name not in bodies:
                raise invalid({"name": "unknown_command"})
            declaration, body = bodies[envelope.name]
            self._gate.allow(principal, declaration)
            key = _one("id", command_id(envelope.id, "id"), command_id(request.headers.get("Idempotency-Key")))
            if_version = _one("if_version", envelope.if_version, expected_versions(request.headers.get("If-Match")))
            command = body(bytes(envelope.data), params, "data")
            self._gate.count(principal, declaration)
            return await self._send(declaration, command, principal, key, if_version)

        return answer

    async def _send(
        self,
        declaration: Declaration,
        command: Command,
        principal: Principal,
        key: str | None,
        if_version: Versions | None,
    ) -> StreamResponse:
        to = target_of(declaration, command, principal, self._runtime.new_id)
        outcome = await self._runtime.call(command, to, principal, key=key, if_version=if_version)
        if outcome.error is not None:
            raise Refused(outcome)
        headers = CIMultiDict(JSON_HEADERS)
        headers["ETag"] = f'"{outcome.version}"'
        if outcome.replayed:
            headers["Idempotency-Replayed"] = "true"
        if declaration.creates and outcome.to.kind in self._locations:
            headers["Location"] = self._locations[outcome.to.kind] + id_text(outcome.to.id)
        return Response(body=outcome.reply, status=declaration.status, headers=headers)


class Refused(Exception):
    """The error outcome of a command, and whether it is a stored one; ``HttpApp`` renders it."""

    def __init__(self, outcome: Outcome) -> None:
        assert outcome.error is not None
        super().__init__(outcome.error)
        self.error = outcome.error
        self.replayed = outcome.replayed


def query_endpoint(declaration: Declaration, route: Route, handler: QueryHandler, pool: Any, gate: Gate) -> Endpoint:
    """Serve a query: from the tables, without the actors."""
    decode = QueryDecoder(declaration.type, route)
    admit = gate.admit if declaration.by else gate.admit_public
    versioned = "version" in declaration.reply.__struct_fields__

    async def answer(request: BaseRequest, params: Params) -> StreamResponse:
        principal = admit(request, declaration)
        query: Query = decode(request.rel_url.raw_query_string, params)
        view = await handler(pool, query, principal)
        if isinstance(view, StreamResponse):
            return view
        headers = CIMultiDict(JSON_HEADERS)
        if versioned:
            headers["ETag"] = f'"{view.version}"'  # type: ignore[attr-defined]  # the declaration says so
        return Response(body=_encoder.encode(view), status=declaration.status, headers=headers)

    return answer


def procedure_endpoint(declaration: Declaration, route: Route, handler: ProcedureHandler, gate: Gate) -> Endpoint:
    """Serve a procedure; its fields come from the body, with GET from the query string."""
    from_query = QueryDecoder(declaration.type, route) if route.method == "GET" else None
    from_body = BodyDecoder(declaration.type, route) if route.method != "GET" else None
    admit = gate.admit if declaration.by else gate.admit_public

    async def answer(request: BaseRequest, params: Params) -> StreamResponse:
        principal = admit(request, declaration)
        context = _context(request, principal)
        procedure: Procedure
        if from_body is not None:
            procedure = from_body(await read_json(request), params)
        else:
            assert from_query is not None
            procedure = from_query(request.rel_url.raw_query_string, params)
        view = await handler(procedure, context)
        if isinstance(view, StreamResponse):
            return view
        return Response(body=_encoder.encode(view), status=declaration.status, headers=JSON_HEADERS)

    return answer


def plain_endpoint(handler: PlainHandler, names: tuple[str, ...]) -> Endpoint:
    """Serve a route that is not in the registry: health, metrics, the socket, webhooks, pages."""

    async def answer(request: BaseRequest, params: Params) -> StreamResponse:
        if params:
            request[EXCHANGE].path_params = {name: unescaped(raw) for name, raw in zip(names, params, strict=True)}
        return await handler(request)

    return answer


def is_internal(declaration: Declaration) -> bool:
    """Whether only the server itself may send the command."""
    return bool(declaration.by) and declaration.by <= INTERNAL


def _context(request: BaseRequest, principal: Principal | None) -> RequestContext:
    headers = request.headers
    exchange = request[EXCHANGE]
    return RequestContext(
        principal=principal,
        address=exchange.address,
        user_agent=headers.get("User-Agent", ""),
        language=language_of(headers.get("Accept-Language")),
        request_id=exchange.request_id,
        key=command_id(headers.get("Idempotency-Key")),
    )


def _one(name: str, inside: Any, outside: Any) -> Any:
    """Take the value from envelope or header; they must not differ. Raises: Invalid."""
    if inside is not None and outside is not None and inside != outside:
        raise invalid({name: "mismatch"})
    return outside if inside is None else inside
