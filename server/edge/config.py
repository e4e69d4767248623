"""The base class of configuration sections, and the sections that every part may read.

A section is one table of config.toml. Each part declares its own in its ``config.py``; ``server.app.config`` composes
and loads them.
"""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[int, Meta(ge=1)]
_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]+")
HttpUrl = Annotated[str, Meta(pattern=r"^(https?://[^/\s]+.*)?$(?!\n)")]


class ConfigError(Exception):
    """The configuration is invalid; the message names the key."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of config.toml."""

    def check(self) -> None:
        """Check what the types of single keys cannot express. Raises: ConfigError."""


class ServerConfig(Section, frozen=True, kw_only=True):
    """[server]: where it listens and keeps its files."""

    host: str = "127.0.0.1"
    #: 0 takes a free port, which is printed and written to ``<data_dir>/running.json``.
    port: Port = 8080
    data_dir: str = "var"
    #: The address under which clients reach the server; empty: http://host:port.
    public_url: HttpUrl = ""
    #: Origins whose scripts may call and connect; ``*`` for all. The server's own origin is always allowed.
    allowed_origins: tuple[str, ...] = ()
    #: Further names in ``Host`` that are served, beside that of public_url, localhost and IP addresses; ``*`` for all.
    allowed_hosts: tuple[str, ...] = ()
    #: Networks whose X-Forwarded-For is trusted.
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    #: How long open requests and connections may take to finish when the server stops.
    drain_s: Seconds = 10

    @property
    def url(self) -> str:
        """The address under which clients reach the server, without a slash at the end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def keys_dir(self) -> Path:
        """The folder of the keys and secrets."""
        return Path(self.data_dir) / "keys"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server: by the address it listens on, and by its public one."""
        public = urlsplit(self.public_url).hostname
        return is_loopback(self.host) and (public is None or is_loopback(public))

    def check(self) -> None:
        """Check the proxies' networks and the names of hosts. Raises: ConfigError."""
        for name in self.allowed_hosts:
            if name != "*" and not _HOST_NAME.fullmatch(name):
                raise ConfigError(f"server.allowed_hosts: {name} is not a host name without a port")
        for proxy in self.trusted_proxies:
            try:
                ip_network(proxy)
            except ValueError as error:
                raise ConfigError(f"server.trusted_proxies: {error}") from error


class LimitsConfig(Section, frozen=True, kw_only=True):
    """[limits]: sustained rates, each with a burst of four seconds' worth, and numbers of connections."""

    commands_per_s: Annotated[float, Meta(gt=0)] = 50.0
    #: Whether the rates that single commands declare, such as those of bookings and messages, are enforced.
    command_rates: bool = True
    #: A customer's unpaid bookings, one at each business; 0: they are not bounded, for load tests.
    unpaid_holds_max: Annotated[int, Meta(ge=0, le=100)] = 3
    queries_per_s: Annotated[float, Meta(gt=0)] = 100.0
    requests_per_address_per_s: Annotated[float, Meta(gt=0)] = 200.0
    connections_per_user: Annotated[int, Meta(ge=1, le=1000)] = 10
    #: Sockets, event streams and polls of one address (of an IPv6 network of 64 bits), and of this node.
    connections_per_address: Annotated[int, Meta(ge=1)] = 500
    connections: Annotated[int, Meta(ge=1)] = 50_000


class DevConfig(Section, frozen=True, kw_only=True):
    """[dev]: demo data, sandbox payment gateway, movable clock. Never on a public address."""

    enabled: bool = False
    demo_data: bool = True
    #: Confirms that development mode is intended although the host or public_url is not loopback.
    allow_non_loopback: bool = False


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
