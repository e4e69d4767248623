"""The REST transport: one aiohttp server whose routes come from the registry.

    request ─▶ limits by address ─▶ router ─▶ endpoint ─▶ response
                     └───────────────┴──────────┴─ refusal, crash ─▶ problem+json

All routes are resolved once at start. A request needs no task, no regular expression and no log line of our own.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from random import getrandbits
from time import perf_counter
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.web import BaseRequest, HTTPException, Response, StreamResponse

from actors.runtime.call import Caller
from protocol.errors import RETRY_AFTER_S, Fault, GuildwireError, Internal, Malformed, NotFound, Unavailable
from protocol.ids import Kind
from protocol.registry import BY_NAME, Declaration, Mode, Procedure, Query
from protocol.roles import Principal
from server.edge.addresses import LOOPBACK, Addresses, limited_as
from server.edge.cors import SECURITY_HEADERS, STRICT_TRANSPORT, Cors, options_response
from server.edge.decoding import Params, is_token
from server.edge.exchange import EXCHANGE, Exchange
from server.edge.gate import Gate
from server.edge.handlers import PlainHandler, ProcedureHandler, QueryHandler
from server.edge.hosts import ANY_HOST, Hosts, Misdirected
from server.edge.limits import ECHO_MAX, HEADERS_MAX, KEEP_ALIVE_S, LINE_BYTES_MAX, LINGER_S, TRACE_HEADER_MAX
from server.edge.problems import MethodNotAllowed, error_of, problem_response
from server.edge.rates import Limiters
from server.rest.asyncapi import build_asyncapi
from server.rest.connections import HttpServer
from server.rest.document import Document
from server.rest.endpoints import (
    Commands,
    Endpoint,
    Refused,
    is_internal,
    plain_endpoint,
    procedure_endpoint,
    query_endpoint,
)
from server.rest.metrics import NO_ROUTE, HttpMetrics
from server.rest.openapi import ENVELOPE_PATH, build_document
from server.rest.pages import docs_pages, entrance_page, problem_page
from server.rest.router import Router, param_names
from server.words.languages import language_of

#: In a path, what follows these is a secret token.
SECRET_PATHS = ("/links/", "/unsubscribe/")

log = structlog.get_logger()


class HttpApp:
    """Serves the registry over REST.

    Args:
        runtime: where commands go.
        queries: query → ``async (pool, query, principal or None) -> view``.
        procedures: procedure → ``async (procedure, RequestContext) -> view``.
        authenticate: token → principal; synchronous, and fast for a token that is cached. Raises Unauthenticated.
        pool: passed to the queries.
        extra: (method, path) → a plain aiohttp handler, which takes precedence over our own pages. ``{name...}`` at
            the end of the path matches the rest. Parameters are in ``request[EXCHANGE].path_params``.
        allowed_origins: origins whose scripts may call; ``*`` for all.
        hosts: which values of ``Host`` are served; by default all.
        trusted_proxies: networks whose ``X-Forwarded-For`` is trusted.
        https: whether clients reach the server by TLS only.
        links: address → (title, description) for the entrance page, beside the documentation.
        paths: OpenAPI path items for extra handlers.
        outages: exceptions that mean that the database is unavailable.
        declarations: what is served; by default the whole registry.
        metrics: counts the requests.
        connections_per_address: connections of one address that serve HTTP.
    """

    def __init__(
        self,
        *,
        runtime: Caller,
        queries: Mapping[type[Query], QueryHandler],
        procedures: Mapping[type[Procedure], ProcedureHandler],
        authenticate: Callable[[str], Principal],
        pool: Any,
        extra: Mapping[tuple[str, str], PlainHandler] | None = None,
        limiters: Limiters | None = None,
        allowed_origins: Iterable[str] = (),
        hosts: Hosts | None = None,
        trusted_proxies: Iterable[str] = LOOPBACK,
        https: bool = False,
        version: str = "0",
        links: Mapping[str, tuple[str, str]] | None = None,
        paths: Mapping[str, dict[str, Any]] | None = None,
        outages: tuple[type[BaseException], ...] = (OSError, TimeoutError),
        declarations: Iterable[Declaration] | None = None,
        metrics: HttpMetrics | None = None,
        connections_per_address: int = 500,
    ) -> None:
        self.limiters = limiters or Limiters()
        self._declarations = list(BY_NAME.values() if declarations is None else declarations)
        self._version = version
        self._paths = paths or {}
        self._outages = outages
        self._addresses = Addresses(trusted_proxies)
        self._cors = Cors(allowed_origins)
        self._hosts = hosts or Hosts([ANY_HOST])
        self._https = https
        self._router: Router[tuple[Endpoint, str]] = Router()
        self._metrics = metrics or HttpMetrics()
        self._connections_per_address = connections_per_address
        gate = Gate(authenticate, self.limiters)
        self._add_declarations(gate, runtime, queries, procedures, pool)
        for (method, path), handler in (extra or {}).items():
            self._add(method, path, plain_endpoint(handler, param_names(path)))
        self._add_pages(links or {})

    @cached_property
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of all routes."""
        return build_document(self._declarations, version=self._version, paths=self._paths)

    @cached_property
    def asyncapi(self) -> dict[str, Any]:
        """The AsyncAPI document of all frames on the socket."""
        return build_asyncapi(self._declarations, version=self._version)

    def runner(self, *, shutdown_timeout_s: float = 15.0) -> web.ServerRunner:
        """Make the runner: ``await runner.setup()``, then ``web.TCPSite(runner, host, port).start()``.

        ``await runner.cleanup()`` stops listening, lets requests under way finish within the timeout, then closes.
        """
        server = HttpServer(
            self.handle,
            per_address_max=self._connections_per_address,
            unlimited=self._addresses.is_proxy,
            access_log=None,
            logger=_protocol_log,
            keepalive_timeout=KEEP_ALIVE_S,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
            max_headers=HEADERS_MAX,
            lingering_time=LINGER_S,
            auto_decompress=False,
        )
        self._metrics.connections = server.refused_total
        return web.ServerRunner(server, shutdown_timeout=shutdown_timeout_s)

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Answer one request; every exception becomes a response."""
        began_s, route = perf_counter(), NO_ROUTE
        request_id = _request_id(request)
        exchange = Exchange(request_id, self._addresses.of(request), self._mark)
        request[EXCHANGE] = exchange
        try:
            (endpoint, route), params = self._find(request, exchange)
            response = await endpoint(request, params)
        except HTTPException as raised:
            refusal = error_of(raised)
            if refusal is None:
                self._mark(request, raised)
                self._metrics.finished(request.method, route, raised.status, perf_counter() - began_s)
                raise
            response = self._problem(request, refusal, request_id)
        except Exception as error:
            response = self._problem(request, error, request_id)
        if not response.prepared:
            self._mark(request, response)
        self._metrics.finished(request.method, route, response.status, perf_counter() - began_s)
        return response

    # Routing

    def _find(self, request: BaseRequest, exchange: Exchange) -> tuple[tuple[Endpoint, str], Params]:
        host = request.headers.get("Host")  # absent in HTTP/1.0
        if host is not None and not self._hosts.allows(host):
            raise Misdirected(host=host[:ECHO_MAX])
        key = limited_as(exchange.address)
        if key is not None:
            self.limiters.requests.take(key)
        method, path = request.method, request.rel_url.raw_path
        if not path.isascii():
            raise Malformed(reason="path_not_escaped")
        found = self._router.find(method, path)
        if found is None and method == "HEAD":
            found = self._router.find("GET", path)
        return found or ((self._fallback(method, path), NO_ROUTE), ())

    def _fallback(self, method: str, path: str) -> Endpoint:
        methods = self._router.methods(path)
        if not methods:
            raise NotFound(entity="route")
        allowed = [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]
        if method != "OPTIONS":
            raise MethodNotAllowed(allowed=", ".join(allowed))

        async def options(request: BaseRequest, params: Params) -> StreamResponse:
            return options_response(request.headers, allowed)

        return options

    # Responses

    def _problem(self, request: BaseRequest, error: Exception, request_id: str) -> Response:
        """Turn an exception into a problem; an unexpected one is logged with its incident id."""
        replayed = isinstance(error, Refused) and error.replayed
        if isinstance(error, Refused):
            shown = error.error
        elif isinstance(error, GuildwireError):
            shown = error
        else:
            shown = self._unexpected(request, error, request_id)
        language = language_of(request.headers.get("Accept-Language"))
        return problem_response(shown, request_id=request_id, language=language, replayed=replayed)

    def _unexpected(self, request: BaseRequest, error: Exception, request_id: str) -> Fault:
        about = {"incident": request_id, "method": request.method, "path": _loggable(request.rel_url.raw_path)}
        if isinstance(error, self._outages):
            log.error("http.outage", **about, error=repr(error))
            return Unavailable(retry_after_s=RETRY_AFTER_S)
        log.error("http.crashed", **about, address=request[EXCHANGE].address, exc_info=error)
        return Internal(incident=request_id)

    def _mark(self, request: BaseRequest, response: StreamResponse) -> None:
        """Add the headers that every response has."""
        headers = response.headers
        if "Server" not in headers:
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        if self._https:
            headers["Strict-Transport-Security"] = STRICT_TRANSPORT
        headers["X-Request-Id"] = request[EXCHANGE].request_id
        received = request.headers
        trace = received.get("traceparent")
        if trace is not None and is_token(trace, TRACE_HEADER_MAX):
            headers["traceparent"] = trace
        origin = received.get("Origin")
        if origin is not None:
            self._cors.mark(response, origin)

    # Composition

    def _add_declarations(
        self,
        gate: Gate,
        runtime: Caller,
        queries: Mapping[type[Query], QueryHandler],
        procedures: Mapping[type[Procedure], ProcedureHandler],
        pool: Any,
    ) -> None:
        commands = Commands(runtime, gate, _locations(self._declarations))
        sendable: dict[str, Declaration] = {}
        for declaration in self._declarations:
            if is_internal(declaration):
                assert not declaration.routes, f"{declaration.name} is internal and has a route"
                continue
            kind: Any = declaration.type
            if declaration.mode is Mode.COMMAND:
                assert declaration.by, f"{declaration.name}: a command has a sender; let a procedure send it"
                sendable[declaration.name] = declaration
            elif declaration.mode is Mode.QUERY:
                assert kind in queries, f"the query {declaration.name} has no handler"
            else:
                assert kind in procedures, f"the procedure {declaration.name} has no handler"
            for route in declaration.routes:
                if declaration.mode is Mode.COMMAND:
                    endpoint = commands.endpoint(declaration, route)
                elif declaration.mode is Mode.QUERY:
                    endpoint = query_endpoint(declaration, route, queries[kind], pool, gate)
                else:
                    endpoint = procedure_endpoint(declaration, route, procedures[kind], gate)
                self._add(route.method, route.path, endpoint)
        self._add("POST", ENVELOPE_PATH, commands.envelope(sendable))

    def _add(self, method: str, path: str, endpoint: Endpoint) -> None:
        self._router.add(method, path, (endpoint, path))

    def _add_pages(self, links: Mapping[str, tuple[str, str]]) -> None:
        document = {"/docs": ("API", "Every operation, with a form to try it")}
        raw = {
            "/openapi.json": ("OpenAPI", "The same for machines"),
            "/asyncapi.json": ("AsyncAPI", "The socket and its events, for machines"),
        }
        pages = docs_pages() | {
            ("GET", "/"): entrance_page(document | raw | dict(links), self._version),
            ("GET", "/openapi.json"): Document(lambda: self.openapi).serve,
            ("GET", "/asyncapi.json"): Document(lambda: self.asyncapi).serve,
            ("GET", "/problems/{code}"): problem_page,
        }
        for (method, path), handler in pages.items():
            if not self._router.has(method, path):
                self._add(method, path, plain_endpoint(handler, param_names(path)))


def _locations(declarations: Iterable[Declaration]) -> dict[Kind, str]:
    """Find where to GET each kind of actor: the shortest query route whose only parameter is its id, at the end."""
    paths = [
        (route.path.rstrip("/"), route.params)
        for declaration in declarations
        if declaration.mode is Mode.QUERY
        for route in declaration.routes
        if route.method == "GET"
    ]
    found: dict[Kind, str] = {}
    for kind in Kind:
        param = f"{kind.value}_id"
        fitting = [path for path, params in paths if params == (param,) and path.endswith(f"/{{{param}}}")]
        if fitting:
            found[kind] = min(fitting, key=len).removesuffix(f"{{{param}}}")
    return found


def _loggable(path: str) -> str:
    """The path without the token of a link, which is a secret."""
    secret = next((start for start in SECRET_PATHS if path.startswith(start)), None)
    return path if secret is None else f"{secret}…"


def _request_id(request: BaseRequest) -> str:
    """Use the client's request id if it is valid, else make one."""
    given = request.headers.get("X-Request-Id")
    if given is not None and is_token(given, TRACE_HEADER_MAX):
        return given
    return f"{getrandbits(64):016x}"


class _ExpectedNoise(logging.Filter):
    """Drops log records of requests that are not HTTP, which a public server gets all the time."""

    def filter(self, record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        return not isinstance(raised, HttpProcessingError)


_protocol_log = logging.getLogger("server.rest.protocol")
_protocol_log.addFilter(_ExpectedNoise())
