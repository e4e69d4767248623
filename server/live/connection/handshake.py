"""The opening handshake: from where, in which subprotocol."""

from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp.web import BaseRequest

from protocol.errors import Forbidden, Malformed
from server.live.connection.codec import CODECS, Codec


def check_origin(request: BaseRequest, allowed: Callable[[str], bool]) -> None:
    """Let browsers in from this very host and from allowed origins; programs send no origin. Raises: Forbidden."""
    origin = request.headers.get("Origin")
    if origin is None or urlsplit(origin).netloc.lower() == request.host.lower() or allowed(origin):
        return
    raise Forbidden(reason="origin")


def choose_codec(request: BaseRequest) -> Codec | None:
    """Choose the first subprotocol offered that is spoken here; None if none is offered. Raises: Malformed."""
    offered = [
        name.strip() for line in request.headers.getall("Sec-WebSocket-Protocol", []) for name in line.split(",")
    ]
    if not offered:
        return None
    for name in offered:
        if name in CODECS:
            return CODECS[name]
    raise Malformed(reason="unknown_subprotocol", supported=sorted(CODECS))
