"""HTTP client for URLs that users supply: it reaches public addresses only.

Host names are resolved here, and connections go to exactly the checked addresses. Callers follow no redirects.
"""

from socket import AF_UNSPEC, AddressFamily

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from actors.rules.public_urls import is_public


class PrivateAddress(OSError):
    """A host name resolves to private addresses only."""


class PublicResolver(AbstractResolver):
    """Resolves host names to public addresses only."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: AddressFamily | int = AF_UNSPEC) -> list[ResolveResult]:
        """Return the public addresses of a host. Raises: PrivateAddress; OSError if the name does not resolve."""
        found = await self._resolver.resolve(host, port, AddressFamily(family))
        public = [one for one in found if is_public(one["host"])]
        if found and not public:
            raise PrivateAddress(f"{host} has no public address")
        return public

    async def close(self) -> None:
        """Close the underlying resolver."""
        await self._resolver.close()


def open_client(*, connections_max: int, timeout: aiohttp.ClientTimeout, private: bool) -> aiohttp.ClientSession:
    """Open a client. The caller checks URLs with a literal address itself, and follows no redirects.

    Args:
        private: allow private addresses.
    """
    resolver = None if private else PublicResolver()
    connector = aiohttp.TCPConnector(limit=connections_max, resolver=resolver)
    return aiohttp.ClientSession(
        connector=connector, timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
    )
