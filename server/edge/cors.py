"""Which origins may call from a browser, and the security headers of every response."""

from collections.abc import Iterable, Sequence

from aiohttp.web import Response, StreamResponse
from multidict import CIMultiDict, CIMultiDictProxy

#: How long a browser may cache the response to a preflight.
PREFLIGHT_MAX_AGE_S = 3_600
ANY_ORIGIN = "*"

#: On every response; a page brings its own Content-Security-Policy.
SECURITY_HEADERS = {
    "Server": "guildwire",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
#: Also, where the outside speaks TLS.
STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"

_ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, X-Request-Id, traceparent, Accept-Language"
)
_EXPOSED_HEADERS = (
    "ETag, Location, Idempotency-Replayed, Retry-After, X-Request-Id, Content-Language, Content-Disposition, "
    "WWW-Authenticate"
)


class Cors:
    """The allow-list of origins. Access tokens travel in a header, so cookies are never allowed along.

    Args:
        allowed_origins: like ``https://app.example.com``; ``*`` allows all.
    """

    def __init__(self, allowed_origins: Iterable[str]) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)

    def allows(self, origin: str) -> bool:
        """Whether scripts of that origin may read responses."""
        return ANY_ORIGIN in self._allowed or origin.lower() in self._allowed

    def mark(self, response: StreamResponse, origin: str) -> None:
        """Let scripts of the origin read this response, if they may."""
        response.headers.add("Vary", "Origin")
        if self.allows(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS


def options_response(headers: CIMultiDictProxy[str], methods: Sequence[str]) -> Response:
    """Respond to OPTIONS, a preflight or not; ``Cors.mark`` completes the response."""
    answer = CIMultiDict({"Allow": ", ".join(methods)})
    if "Access-Control-Request-Method" in headers:
        answer["Access-Control-Allow-Methods"] = ", ".join(methods)
        answer["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
        answer["Access-Control-Max-Age"] = str(PREFLIGHT_MAX_AGE_S)
    return Response(status=204, headers=answer)
