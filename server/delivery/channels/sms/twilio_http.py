"""The connections under Twilio's client library: ours, so that they are bounded, timed, and silent.

The library's own client logs every request and tells nobody when to come again.
"""

import asyncio
import logging
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector, encode_basic_auth
from twilio.http import AsyncHttpClient
from twilio.http.response import Response

from server.delivery.retry_after import retry_after_s

CONNECTIONS_MAX = 16
#: Shorter than what Twilio's own side keeps, so that no request goes into a connection that is being closed.
KEEP_ALIVE_S = 5.0
CONNECT_TIMEOUT_S = 10.0
#: For one request, from the connection on.
REQUEST_TIMEOUT_S = 25.0
#: Of an answer; more is none.
ANSWER_BYTES_MAX = 64 * 1024

_BUSY = 429
_SERVER_ERROR = 500


class NotNow(Exception):
    """Twilio has no time, or something is wrong with it."""

    def __init__(self, status: int, after_s: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.after_s = after_s


class TwilioHttp(AsyncHttpClient):  # type: ignore[misc]  # the library ships no type information
    """Does the library's requests. Raises NotNow, aiohttp's errors, TimeoutError; ValueError for too long an answer."""

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
        """Do one request."""
        signed_in = {} if auth is None else {"Authorization": encode_basic_auth(*auth)}
        arguments: dict[str, Any] = {"params": params, "data": data, "headers": {**(headers or {}), **signed_in}}
        async with (
            asyncio.timeout(self._timeout_s),
            self._open().request(method, uri, allow_redirects=False, **arguments) as answer,
        ):
            if answer.status == _BUSY or answer.status >= _SERVER_ERROR:
                raise NotNow(answer.status, retry_after_s(answer.headers.get("Retry-After")))
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise ValueError("the answer is too long")
            return Response(answer.status, body.decode(errors="replace"), answer.headers)

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEEP_ALIVE_S),
                timeout=ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S),
            )
        return self._session
