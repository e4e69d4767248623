"""TCP connections of the HTTP server, before they have sent a request: how many, and for how long.

The limits of sockets and of requests apply once a client has sent its headers. A client that only connects, or never
ends its headers, is bounded here, so that it cannot use up the open files of the process.
"""

import asyncio
import resource
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from server.edge.addresses import limited_as
from server.edge.limits import HEADERS_TIMEOUT_S, SPARE_FILES

#: Marks a response of the parser, which no endpoint has seen.
SERVER_NAME = "guildwire"


class HttpServer(web.Server):
    """Makes the handler of each connection.

    Args:
        per_address_max: connections of one address that serve HTTP; loopback and ``unlimited`` addresses have no limit.
            A connection that became a WebSocket is counted by its own limit.
        unlimited: whether an address is that of a trusted proxy.
    """

    def __init__(self, handler: Any, *, per_address_max: int, unlimited: Callable[[str], bool], **options: Any) -> None:
        super().__init__(handler, **options)
        self.per_address_max = per_address_max
        self.unlimited = unlimited
        self.by_address: Counter[str] = Counter()
        #: Connections closed without a request, by reason; for the metrics.
        self.refused_total: Counter[str] = Counter(tcp_address=0, tcp_files=0, tcp_headers=0)

    def __call__(self) -> RequestHandler:
        """Make the handler of a new connection."""
        return HttpConnection(self, loop=self._loop, **self._kwargs)


class HttpConnection(RequestHandler):
    """One connection; it is cut if it is one too many, or if its first headers do not arrive in time."""

    __slots__ = ("_headers_timer", "_key", "_server")

    def __init__(self, server: HttpServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        #: Its address in the server's count; None if it is not counted.
        self._key: str | None = None
        self._headers_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, or cut it at once."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        key = None if self._server.unlimited(address) else limited_as(address)
        if key is not None:
            self._key = key
            self._server.by_address[key] += 1
            if self._server.by_address[key] > self._server.per_address_max:
                return self._cut("tcp_address")
        if _file_of(transport) >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES:
            return self._cut("tcp_files")
        loop = asyncio.get_running_loop()
        self._headers_timer = loop.call_later(HEADERS_TIMEOUT_S, self._headers_due)
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        """End; also called when a WebSocket takes the connection over."""
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None
        key, self._key = self._key, None
        if key is not None:
            self._server.by_address[key] -= 1
            if not self._server.by_address[key]:
                del self._server.by_address[key]
        super().connection_lost(exc)

    def handle_error(self, *arguments: Any, **named: Any) -> web.StreamResponse:
        """Answer bytes that are not HTTP, without the versions of Python and aiohttp."""
        response = super().handle_error(*arguments, **named)
        response.headers["Server"] = SERVER_NAME
        return response

    def _headers_due(self) -> None:
        self._headers_timer = None
        if self._request_count == 0:
            self._cut("tcp_headers")

    def _cut(self, reason: str) -> None:
        self._server.refused_total[reason] += 1
        if self.transport is not None:
            self.transport.abort()


def _file_of(transport: asyncio.BaseTransport) -> int:
    """The connection's file number. The system gives the lowest free one, so it tells how many are in use."""
    connection = transport.get_extra_info("socket")
    return -1 if connection is None else int(connection.fileno())
