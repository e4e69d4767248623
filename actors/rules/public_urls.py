"""Checks that a URL which the server is to call leads to the public internet, not into a private network."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

#: The allocated part of IPv6 (global unicast); the rest is embedded IPv4 or local.
_GLOBAL_UNICAST = ip_network("2000::/3")
#: IPv4 addresses behind NAT64, in the last four bytes.
_NAT64 = ip_network("64:ff9b::/96")
#: Suffixes of names that resolve only in a private network, as names without a dot do.
_PRIVATE_SUFFIXES = (
    ".localhost",
    ".local",
    ".internal",
    ".lan",
    ".home.arpa",
    ".localdomain",
    ".intranet",
    ".corp",
    ".home",
)
#: A host name (RFC 1123); underscores are accepted as well.
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")


def is_public(address: str) -> bool:
    """Whether an IP address is public, embedded IPv4 addresses included. Raises: ValueError."""
    ip = ip_address(address.partition("%")[0])
    embedded = _embedded(ip) if isinstance(ip, IPv6Address) else None
    if not ip.is_global or ip.is_multicast:
        return False
    if embedded is not None:
        return is_public(str(embedded))
    return ip.version == 4 or ip in _GLOBAL_UNICAST


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address embedded in an IPv6 address; None: there is none."""
    if ip in _NAT64:
        return IPv4Address(ip.packed[-4:])
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def endpoint_problem(url: str, *, private: bool = False) -> str | None:
    """The problem of a URL that is to be called, as a code; None: no problem that shows without a DNS look-up.

    Args:
        private: allow private addresses and plain HTTP.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "not_a_url"
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        return "not_https"
    if not host or parts.username is not None or parts.fragment:
        return "not_a_url"
    try:
        return None if is_public(host) or private else "private_address"
    except ValueError:
        name = host.removesuffix(".").lower()
    if not _NAME.fullmatch(name):
        return "not_a_url"
    return None if private or _may_be_public(name) else "private_address"


def _may_be_public(name: str) -> bool:
    return "." in name and not name.endswith(_PRIVATE_SUFFIXES) and not name.rpartition(".")[2].isdigit()
