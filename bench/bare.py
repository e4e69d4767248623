"""The yardstick for sockets: a bare aiohttp server in a process of its own: ``python -m bench.bare``.

It sends each text message to all sockets. A message that begins with a number and a space is sent only to its sender,
that number of times. It prints its port, and runs until its standard input ends.
"""

import asyncio
import sys

import uvloop
from aiohttp import WSMsgType, web

HOST = "127.0.0.1"
BACKLOG = 4096


class Bare:
    """The server's sockets."""

    def __init__(self) -> None:
        self._sockets: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one socket."""
        socket = web.WebSocketResponse(protocols=("guildwire.v1.json",), compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._send(socket, message.data)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _send(self, sender: web.WebSocketResponse, text: str) -> None:
        if text[0].isdigit():
            times, _, text = text.partition(" ")
            for _ in range(int(times)):
                await sender.send_str(text)
        else:
            for socket in tuple(self._sockets):
                await socket.send_str(text)


async def main() -> None:
    app = web.Application()
    app.router.add_get("/v1/socket", Bare().handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0, backlog=BACKLOG).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    uvloop.run(main())
