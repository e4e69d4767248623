"""The client's address of a request, and its key in the limits by address."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp.web import BaseRequest

from server.edge.limits import HOPS_MAX

#: Proxies that are trusted by default: those on this machine.
LOOPBACK = ("127.0.0.0/8", "::1/128")
#: Prefix length of the network that one IPv6 user has at least.
IPV6_USER_BITS = 64
_ADDRESSES_CACHED = 4_096


class Addresses:
    """Finds the client's address; ``X-Forwarded-For`` counts only if a trusted proxy sent it.

    Args:
        trusted_proxies: networks in CIDR notation. Raises ValueError for anything else.
    """

    def __init__(self, trusted_proxies: Iterable[str] = LOOPBACK) -> None:
        networks = [ip_network(proxy) for proxy in trusted_proxies]

        @lru_cache(maxsize=_ADDRESSES_CACHED)
        def trusted(address: str) -> bool:
            host = _host(address)
            return host is not None and any(host in network for network in networks)

        self._trusted = trusted

    def is_proxy(self, address: str) -> bool:
        """Whether connections of this address are those of a trusted proxy, or of a Unix socket."""
        return not address or self._trusted(address)

    def of(self, request: BaseRequest) -> str:
        """Return the client's address; empty for a Unix socket without a proxy."""
        peer = request.remote or ""
        if "X-Forwarded-For" not in request.headers or not (self._trusted(peer) or not peer):
            return peer
        # A proxy may add a header line of its own after one that the client made up.
        forwarded = ",".join(request.headers.getall("X-Forwarded-For"))
        hop = peer
        for candidate in reversed(forwarded.split(",")[-HOPS_MAX:]):
            hop = candidate.strip()
            if not self._trusted(hop):
                break
        return peer if _host(hop) is None else hop


@lru_cache(maxsize=_ADDRESSES_CACHED)
def limited_as(address: str) -> str | None:
    """Return the key of an address in the limits by address; None for loopback, which is not limited."""
    host = _host(address)
    if host is None or host.is_loopback:
        return None
    if isinstance(host, IPv6Address):
        return str(int(host) >> (128 - IPV6_USER_BITS))
    return str(host)


def _host(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address; an IPv4-mapped IPv6 address becomes IPv4. None if it is not an address."""
    try:
        host = ip_address(text)
    except ValueError:
        return None
    return (isinstance(host, IPv6Address) and host.ipv4_mapped) or host
