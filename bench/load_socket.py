"""A load client's WebSocket: as much of RFC 6455 as is needed to count a server's messages."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from os import urandom
from typing import TypeVar, cast
from urllib.parse import urlsplit

from bench.client import address_of
from protocol.frames import SUBPROTOCOL_JSON

PATH = "/v1/socket"

_TEXT, _PING, _CLOSE, _OPCODE = 0x1, 0x9, 0x8, 0x0F
_FIN, _MASKED, _SHORT_MAX, _MEDIUM, _LONG = 0x80, 0x80, 125, 126, 127
#: A mask of zeros leaves the payload unchanged.
_MASK = bytes(4)
_OPEN_TOGETHER = 100


def framed(payload: bytes) -> bytes:
    """Frame one masked text message."""
    length = len(payload)
    if length <= _SHORT_MAX:
        return bytes((_FIN | _TEXT, _MASKED | length)) + _MASK + payload
    return bytes((_FIN | _TEXT, _MASKED | _MEDIUM)) + length.to_bytes(2, "big") + _MASK + payload


class LoadSocket(asyncio.Protocol):
    """One socket. ``opened`` is resolved by the handshake, with an exception if it fails."""

    def __init__(self, host: str) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = False
        self._host = host
        self._upgraded = False
        self._held = b""

    def received(self, payload: bytes) -> None:
        """Called with each message of the server."""

    def upgraded(self) -> None:
        """Called after the handshake."""
        self.opened.set_result(None)

    def send(self, payload: bytes) -> None:
        """Send one message."""
        self.transport.write(framed(payload))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(
            f"GET {PATH} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {b64encode(urandom(16)).decode()}\r\n"
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL_JSON}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        at, end = 0, len(data)
        if not self._upgraded:
            head = data.find(b"\r\n\r\n")
            if not data.startswith(b"HTTP/1.1 101 ") or head < 0:
                self.connection_lost(ConnectionError(f"no handshake: {data[:60]!r}"))
                return
            at, self._upgraded = head + 4, True
            self.upgraded()
        while at + 2 <= end:
            length, head = data[at + 1], 2
            if length == _MEDIUM:
                length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif length == _LONG:
                length, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            if at + head + length > end:
                break
            if data[at] & _OPCODE == _TEXT:
                self.received(data[at + head : at + head + length])
            at += head + length
        self._held = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed"))


L = TypeVar("L", bound=LoadSocket)


async def open_sockets(url: str, makers: Sequence[Callable[[str], L]], together: int = _OPEN_TOGETHER) -> list[L]:
    """Open many sockets, ``together`` at once, and wait until all are open."""
    loop, address, host = asyncio.get_running_loop(), address_of(url), urlsplit(url).netloc
    slots = asyncio.Semaphore(together)

    async def open_one(make: Callable[[str], L]) -> L:
        async with slots:
            _, socket = await loop.create_connection(partial(make, host), *address)
            await socket.opened
        return socket

    return list(await asyncio.gather(*map(open_one, makers)))
