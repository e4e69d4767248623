"""The client's address of a request, and the key that the limits by address count it under."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp.web import BaseRequest

from server.edge.limits import HOPS_MAX

#: Proxies that are trusted by default: those on this machine.
LOOPBACK = ("127.0.0.0/8", "::1/128")
#: An IPv6 user has at least a whole network of this size.
IPV6_USER_BITS = 64
_ADDRESSES_CACHED = 4_096


class Addresses:
    """Finds the client's address; trusts ``X-Forwarded-For`` only from the configured proxies.

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

    def of(self, request: BaseRequest) -> str:
        """Return the client's address; empty for a local socket file without a proxy."""
        peer = request.remote or ""
        if "X-Forwarded-For" not in request.headers or not (self._trusted(peer) or not peer):
            return peer
        # A proxy may append a header line of its own to one that the client forged.
        forwarded = ",".join(request.headers.getall("X-Forwarded-For"))
        hop = peer
        for candidate in reversed(forwarded.split(",")[-HOPS_MAX:]):
            hop = candidate.strip()
            if not self._trusted(hop):
                break
        return peer if _host(hop) is None else hop


@lru_cache(maxsize=_ADDRESSES_CACHED)
def limited_as(address: str) -> str | None:
    """Return the key of an address for the limits by address; None for this machine, which is exempt."""
    host = _host(address)
    if host is None or host.is_loopback:
        return None
    if isinstance(host, IPv6Address):
        return str(int(host) >> (128 - IPV6_USER_BITS))
    return str(host)


def _host(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address; an IPv4-mapped IPv6 address is IPv4. None if it is no address."""
    try:
        host = ip_address(text)
    except ValueError:
        return None
    return (isinstance(host, IPv6Address) and host.ipv4_mapped) or host
