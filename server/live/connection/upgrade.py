"""From an HTTP request to a WebSocket: the answer to the handshake, and the connection taken over from aiohttp.

aiohttp would keep a task, a parser, the request and its headers for as long as the socket lives. Once the handshake is
checked, none of it is of use any more: the connection gets a protocol of ours, and aiohttp is told that it has gone.
"""

import asyncio
import binascii
from base64 import b64decode, b64encode
from hashlib import sha1

from aiohttp.web import BaseRequest

from protocol.errors import Malformed

VERSION = "13"
_KEY_BYTES = 16
#: RFC 6455 §1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept(request: BaseRequest, subprotocol: str | None) -> bytes:
    """Check the handshake and make its answer. Raises: Malformed."""
    headers = request.headers
    connection = [token.strip().lower() for token in headers.get("Connection", "").split(",")]
    if headers.get("Upgrade", "").strip().lower() != "websocket" or "upgrade" not in connection:
        raise Malformed(reason="not_a_websocket")
    if headers.get("Sec-WebSocket-Version", "").strip() != VERSION:
        raise Malformed(reason="websocket_version", supported=[VERSION])
    key = headers.get("Sec-WebSocket-Key", "").strip()
    if not _is_key(key):
        raise Malformed(reason="websocket_key")
    proof = b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (proof, chosen.encode())
    )


def _is_key(key: str) -> bool:
    try:
        return len(b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


class _Early:
    """Takes what the client sent before it had its answer."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """There is no more."""


def take_over(request: BaseRequest, answer: bytes, protocol: asyncio.Protocol) -> bool:
    """Answer the handshake, and give the connection another protocol; answers whether the client is still there.

    aiohttp's side ends as if the connection were lost: its handler may return any response.
    """
    handler = request.protocol
    transport = handler.transport
    if transport is None or transport.is_closing():
        return False
    early = _Early()
    handler.set_parser(early)  # type: ignore[arg-type]  # as much of a parser as is used
    transport.set_protocol(protocol)
    handler.transport = None
    handler.connection_lost(None)
    transport.write(answer)
    protocol.connection_made(transport)
    if early.data:
        protocol.data_received(early.data)
    return True
