"""The HTTP listener, as a part of the server; serves what all parts offer."""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from protocol.roles import Principal
from server.edge.config import ServerConfig
from server.edge.hosts import hosts_of
from server.edge.part import Context, Part, Parts
from server.rest.app import HttpApp
from server.rest.events_path import events_path
from server.rest.metrics import HttpMetrics
from storage.database import OUTAGES

#: At a stop, requests and sockets that are still open this long after the time to drain are cut.
SHUTDOWN_MARGIN_S = 5.0
#: Connections that wait to be accepted: after a restart all clients reconnect at once. The kernel may allow fewer.
CONNECTING_MAX = 4_096


@dataclass(slots=True)
class Listener:
    """Listens on the configured address.

    Args:
        authenticate: access token → principal. Raises: Unauthenticated.
        parts: their routes are read when the listener starts.
    """

    context: Context
    authenticate: Callable[[str], Principal]
    parts: Parts
    connections_per_address: int
    #: The address under which clients reach the server; empty until it listens.
    url: str = ""
    #: Where it listens, with the actual port; empty until then.
    address: tuple[str, int] = ("", 0)
    metrics: HttpMetrics = field(default_factory=HttpMetrics, init=False)
    _runner: web.ServerRunner | None = field(default=None, init=False)
    _listens: bool = field(default=False, init=False)

    async def start(self) -> None:
        """Listen, and pass the address to every part. Raises: OSError if the address is in use."""
        server = self.context.server
        self._runner = self._app().runner(shutdown_timeout_s=server.drain_s + SHUTDOWN_MARGIN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, server.host, server.port, backlog=CONNECTING_MAX).start()
        self._listens = True
        self.address = self._runner.addresses[0][:2]
        self.url = _url(server, self.address)
        for part in self.parts.opened:
            part.listening(self.url)

    async def stop(self) -> None:
        """Drain every part, then finish the requests under way and close."""
        if self._runner is None:
            return
        try:
            if self._listens:
                for part in self.parts.opened:
                    await part.drain()
        finally:
            await self._runner.cleanup()

    def _app(self) -> HttpApp:
        context, parts = self.context, self.parts
        return HttpApp(
            runtime=context.node.runtime,
            queries=parts.queries,
            procedures=parts.procedures,
            authenticate=self.authenticate,
            pool=context.node.pool,
            extra=parts.routes,
            limiters=context.limiters,
            allowed_origins=context.server.allowed_origins,
            hosts=hosts_of(context.server),
            trusted_proxies=context.server.trusted_proxies,
            https=context.server.url.startswith("https"),
            version=context.version,
            links=parts.pages,
            paths=events_path(),
            outages=OUTAGES,
            metrics=self.metrics,
            connections_per_address=self.connections_per_address,
        )


@dataclass(frozen=True, kw_only=True)
class RestPart(Part):
    """The part, with its listener."""

    listener: Listener


def open_rest(
    context: Context, authenticate: Callable[[str], Principal], parts: Parts, connections_per_address: int = 500
) -> RestPart:
    """Open the listener; it serves what the parts offer when it starts."""
    listener = Listener(context, authenticate, parts, connections_per_address)
    return RestPart(listener=listener, metrics=[listener.metrics], start=listener.start, stop=listener.stop)


def _url(server: ServerConfig, address: tuple[str, int]) -> str:
    """The configured public address; else the one that the server listens on, with its actual port."""
    if server.public_url:
        return server.url
    host, port = address
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
