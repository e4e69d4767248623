"""The names under which this server is addressed: the allow-list of ``Host``, and which origins are our own.

A page of another site whose name was made to resolve to this machine (DNS rebinding) names its own host, which is
refused here before anything is routed. An IP address is always allowed: a name cannot pose as one.
"""

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from protocol.errors import Rejected
from server.edge.config import ServerConfig

#: Allows every host.
ANY_HOST = "*"
DEFAULT_PORTS = {"http": 80, "https": 443}
#: Values of Host whose decision is kept.
_HOSTS_CACHED = 1_024


class Misdirected(Rejected):
    """The server does not answer for this ``Host``. Fields: ``host``."""

    status = HTTPStatus.MISDIRECTED_REQUEST


class Hosts:
    """Decides which values of the header ``Host`` are served.

    Args:
        names: host names without ports, beside ``localhost`` and IP addresses; ``*`` allows all.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        allowed = frozenset(name.lower() for name in names)

        @lru_cache(maxsize=_HOSTS_CACHED)
        def allows(host: str) -> bool:
            name = _name_of(host)
            return name is not None and (name in allowed or _is_local_name(name) or _is_address(name))

        #: Whether a request with this value of ``Host`` is served; the port does not matter.
        self.allows = (lambda host: True) if ANY_HOST in allowed else allows


def hosts_of(server: ServerConfig) -> Hosts:
    """The hosts of a configuration: of ``public_url``, ``host`` and ``allowed_hosts``."""
    public = urlsplit(server.public_url).hostname or ""
    return Hosts(name for name in (public, server.host, *server.allowed_hosts) if name)


def origin_of(url: str) -> str:
    """The origin of an address as a browser writes it: scheme and host, and the port unless it is the default."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{without_default_port(parts.netloc.rpartition('@')[2], parts.scheme)}".lower()


def without_default_port(host: str, scheme: str) -> str:
    """``shop.example:443`` is ``shop.example`` for https."""
    return host.removesuffix(f":{DEFAULT_PORTS.get(scheme, '')}")


def is_own_origin(origin: str, host: str) -> bool:
    """Whether a page's origin is the host that its request is for, of either scheme; default ports do not matter."""
    scheme, _, page = origin.lower().partition("://")
    return bool(page) and without_default_port(page, scheme) == without_default_port(host.lower(), scheme)


def _name_of(host: str) -> str | None:
    """The name or address in a value of ``Host``, without port and brackets; None if there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".") or None
    except ValueError:
        return None


def _is_local_name(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
