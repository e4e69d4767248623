"""The types of handlers: of queries, of procedures, and of plain requests."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp.web import BaseRequest, StreamResponse
from msgspec import Struct

from server.edge.context import RequestContext
from server.edge.cors import SECURITY_HEADERS

QueryHandler = Callable[[Any, Any, Any], Awaitable[Struct | StreamResponse]]


ProcedureHandler = Callable[[Any, RequestContext], Awaitable[Struct | StreamResponse]]


PlainHandler = Callable[[BaseRequest], Awaitable[StreamResponse]]


#: Complete, so that the supervisor has nothing left to add one by one.
JSON_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store", **SECURITY_HEADERS}
