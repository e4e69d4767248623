"""Calls to addresses that a user named: they reach the open internet, and nothing of our own.

Names are resolved here, and a connection goes to the very addresses that were looked at; redirects are not followed.
"""

from socket import AF_UNSPEC, AddressFamily

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from actors.rules.public_urls import is_public


class PrivateAddress(OSError):
    """A name leads to none but private addresses."""


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses alone."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: AddressFamily | int = AF_UNSPEC) -> list[ResolveResult]:
        """The public addresses of a host. Raises: PrivateAddress; OSError if there is none at all."""
        found = await self._resolver.resolve(host, port, AddressFamily(family))
        public = [one for one in found if is_public(one["host"])]
        if found and not public:
            raise PrivateAddress(f"{host} is not of the open internet")
        return public

    async def close(self) -> None:
        """Let go of what it uses."""
        await self._resolver.close()


def open_client(*, connections_max: int, timeout: aiohttp.ClientTimeout, private: bool) -> aiohttp.ClientSession:
    """A client for such calls. Who uses it checks addresses that are no names, and follows no redirects.

    Args:
        private: private addresses are fine.
    """
    resolver = None if private else PublicResolver()
    connector = aiohttp.TCPConnector(limit=connections_max, resolver=resolver)
    return aiohttp.ClientSession(
        connector=connector, timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
    )
