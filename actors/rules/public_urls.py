"""Addresses that a server may be asked to call: which of them lead out of the house."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

#: All that is given out of IPv6; beyond it are old ways of writing IPv4, and what means something at home only.
_GIVEN_OUT = ip_network("2000::/3")
#: IPv4 addresses as seen through NAT64: the last four bytes say which one.
_NAT64 = ip_network("64:ff9b::/96")
#: Names that only mean something on one's own network; so does a name without a dot.
_INNER = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".localdomain", ".intranet", ".corp", ".home")
#: A host's name (RFC 1123), and the underscore that some have all the same.
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, in whatever clothes it comes. Raises: ValueError."""
    ip = ip_address(address.partition("%")[0])
    inner = _within(ip) if isinstance(ip, IPv6Address) else None
    if not ip.is_global or ip.is_multicast:
        return False
    if inner is not None:
        return is_public(str(inner))
    return ip.version == 4 or ip in _GIVEN_OUT


def _within(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if ip in _NAT64:
        return IPv4Address(ip.packed[-4:])
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def endpoint_problem(url: str, *, private: bool = False) -> str | None:
    """What is wrong with a URL that is to be called, as a code; None: nothing that can be seen without asking the DNS.

    Args:
        private: private addresses, and plain HTTP, are fine.
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
    return "." in name and not name.endswith(_INNER) and not name.rpartition(".")[2].isdigit()
