"""``GET /v1/socket``: the opening handshake of a WebSocket (RFC 6455 §4.2), and the takeover of its connection.

aiohttp would keep a task, a parser, the request and its headers for as long as the socket is open. After the handshake
none of them is needed: the TCP connection gets ``WebSocket`` as its protocol, and aiohttp is told that it was lost.
"""

import asyncio
import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha1

from aiohttp.web import BaseRequest, StreamResponse

from protocol.errors import RETRY_AFTER_S, Forbidden, Malformed, Unavailable
from protocol.frames import CloseCode
from server.edge.addresses import limited_as
from server.edge.exchange import EXCHANGE
from server.edge.hosts import is_own_origin
from server.live.connection.codec import CODECS, JSON, Codec
from server.live.connection.websocket import WebSocket
from server.live.hub.hub import Hub

VERSION = "13"
_KEY_BYTES = 16
#: A token (RFC 9110 §5.6.2), as names of subprotocols are.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
#: RFC 6455 §1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocketEndpoint:
    """Serves the route.

    Args:
        origin_allowed: whether pages of another origin may connect.
    """

    def __init__(self, hub: Hub, origin_allowed: Callable[[str], bool] = lambda origin: False) -> None:
        self._hub = hub
        self._origin_allowed = origin_allowed

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Answer the handshake and start the connection.

        Raises: Unavailable, Forbidden, Malformed, LimitReached, Busy before the handshake.
        """
        hub = self._hub
        if hub.draining:
            raise Unavailable(retry_after_s=RETRY_AFTER_S)
        check_origin(request, self._origin_allowed)
        codec, subprotocol = choose_codec(request)
        response = accept(request, subprotocol)
        key = limited_as(request[EXCHANGE].address)
        socket = WebSocket(hub=hub, codec=codec or JSON, limits=hub.limits, limiter_key=key)
        hub.limiter.enter(key)
        hub.add(socket)
        try:
            connected = take_over(request, response, socket)
        except BaseException:
            hub.remove(socket)
            raise
        if not connected:
            hub.remove(socket)
        elif codec is None:
            socket.close(CloseCode.VERSION)
        return StreamResponse(status=101)  # aiohttp does not send it: its connection is lost


def check_origin(request: BaseRequest, allowed: Callable[[str], bool]) -> None:
    """Allow browsers from this host and from allowed origins; programs send no origin. Raises: Forbidden."""
    origin = request.headers.get("Origin")
    if origin is None or is_own_origin(origin, request.host) or allowed(origin):
        return
    raise Forbidden(reason="origin")


def choose_codec(request: BaseRequest) -> tuple[Codec | None, str | None]:
    """Choose the first offered subprotocol that is supported; returns its codec and name.

    Without one the codec is None, and the name is one that the client offered: a browser takes no connection without
    it, and its script would see 1006, which means "reconnect", rather than the close code.
    Raises: Malformed, for a name that is not a token.
    """
    offered = [
        name.strip() for value in request.headers.getall("Sec-WebSocket-Protocol", []) for name in value.split(",")
    ]
    for name in offered:
        if name in CODECS:
            return CODECS[name], name
    if not offered:
        return None, None
    if not _TOKEN.fullmatch(offered[0]):
        raise Malformed(reason="subprotocol")
    return None, offered[0]


def accept(request: BaseRequest, subprotocol: str | None) -> bytes:
    """Check the handshake and make its response. Raises: Malformed."""
    headers = request.headers
    connection = [token.strip().lower() for token in headers.get("Connection", "").split(",")]
    if headers.get("Upgrade", "").strip().lower() != "websocket" or "upgrade" not in connection:
        raise Malformed(reason="not_a_websocket")
    if headers.get("Sec-WebSocket-Version", "").strip() != VERSION:
        raise Malformed(reason="websocket_version", supported=[VERSION])
    key = headers.get("Sec-WebSocket-Key", "").strip()
    if not _is_key(key):
        raise Malformed(reason="websocket_key")
    accept_key = b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (accept_key, chosen.encode())
    )


def _is_key(key: str) -> bool:
    try:
        return len(b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


class _EarlyData:
    """Buffers what the client sends before it has the response."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Nothing follows."""


def take_over(request: BaseRequest, response: bytes, protocol: asyncio.Protocol) -> bool:
    """Send the response and give the connection another protocol; returns whether the client is still connected.

    For aiohttp the connection is lost: its handler may return any response.
    """
    handler = request.protocol
    transport = handler.transport
    if transport is None or transport.is_closing():
        return False
    early = _EarlyData()
    handler.set_parser(early)  # type: ignore[arg-type]  # the used part of a parser
    transport.set_protocol(protocol)
    handler.transport = None
    handler.connection_lost(None)
    transport.write(response)
    protocol.connection_made(transport)
    if early.data:
        protocol.data_received(early.data)
    return True
