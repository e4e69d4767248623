"""A mail server and a push service in one process, which accept everything at once or after a delay.

``python -m bench.sink 0`` responds at once, ``python -m bench.sink 30`` after 30 s. The first line of its output names
its two ports.
"""

import asyncio
import sys
from typing import cast

import uvloop

_HTTP_TAKEN = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
_LENGTH = b"content-length: "


class Mail(asyncio.Protocol):
    """One SMTP connection."""

    def __init__(self, hang_s: float) -> None:
        self._hang_s = hang_s
        self._in_data = False
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._say(b"220 sink")

    def data_received(self, data: bytes) -> None:
        self._held += data
        if self._in_data:
            if not self._held.endswith(b"\r\n.\r\n"):
                return
            self._in_data, self._held = False, b""
            self._say(b"250 queued as 1")
            return
        while b"\r\n" in self._held and not self._in_data:
            line, _, self._held = self._held.partition(b"\r\n")
            self._in_data = line.upper() == b"DATA"
            self._say(b"354 go on" if self._in_data else b"221 bye" if line.upper() == b"QUIT" else b"250 fine")

    def _say(self, line: bytes) -> None:
        _answer(self._transport, line + b"\r\n", self._hang_s)


class Push(asyncio.Protocol):
    """One HTTP connection."""

    def __init__(self, hang_s: float) -> None:
        self._hang_s = hang_s
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (head := self._held.find(b"\r\n\r\n")) >= 0:
            at = self._held[:head].lower().find(_LENGTH)
            length = int(self._held[at + len(_LENGTH) : self._held.find(b"\r", at)]) if at >= 0 else 0
            if len(self._held) < head + 4 + length:
                return
            self._held = self._held[head + 4 + length :]
            _answer(self._transport, _HTTP_TAKEN, self._hang_s)


def _answer(transport: asyncio.Transport, data: bytes, hang_s: float) -> None:
    if hang_s:
        asyncio.get_running_loop().call_later(hang_s, transport.write, data)
    else:
        transport.write(data)


async def serve(hang_s: float) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    mail = await loop.create_server(lambda: Mail(hang_s), "127.0.0.1", 0)
    push = await loop.create_server(lambda: Push(hang_s), "127.0.0.1", 0)
    print(mail.sockets[0].getsockname()[1], push.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(float(sys.argv[1])))
