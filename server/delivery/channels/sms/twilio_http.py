"""HTTP client for Twilio's library, with bounded connections, timeouts and no logging.

The library's own client logs every request and drops Retry-After.
"""

import asyncio
import logging
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector, encode_basic_auth
from twilio.http import AsyncHttpClient
from twilio.http.response import Response

from server.delivery.retry_after import retry_after_s

CONNECTIONS_MAX = 16
#: Shorter than Twilio's own keep-alive, so that no request is sent on a connection that Twilio is closing.
KEEP_ALIVE_S = 5.0
CONNECT_TIMEOUT_S = 10.0
#: For one request, connection included.
REQUEST_TIMEOUT_S = 25.0
#: A longer response is an error.
RESPONSE_BYTES_MAX = 64 * 1024

_BUSY = 429
_SERVER_ERROR = 500


class NotNow(Exception):
    """Twilio is busy or failing."""

    def __init__(self, status: int, after_s: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.after_s = after_s


class TwilioHttp(AsyncHttpClient):  # type: ignore[misc]  # the library ships no type information
    """Performs the library's requests. Raises: NotNow, aiohttp's errors, TimeoutError; ValueError if too long."""

    def __init__(self, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True)
        self._timeout_s = timeout_s
        self._session: ClientSession | None = None

    async def request(  # noqa: PLR0917 (the library's signature)
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Perform one request."""
        authorization = {} if auth is None else {"Authorization": encode_basic_auth(*auth)}
        arguments: dict[str, Any] = {"params": params, "data": data, "headers": {**(headers or {}), **authorization}}
        async with (
            asyncio.timeout(self._timeout_s),
            self._open().request(method, uri, allow_redirects=False, **arguments) as response,
        ):
            if response.status == _BUSY or response.status >= _SERVER_ERROR:
                raise NotNow(response.status, retry_after_s(response.headers.get("Retry-After")))
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > RESPONSE_BYTES_MAX:
                    raise ValueError("the response is too long")
            return Response(response.status, body.decode(errors="replace"), response.headers)

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEEP_ALIVE_S),
                timeout=ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S),
            )
        return self._session
