"""The yardstick for sockets: aiohttp alone, in a process of its own: ``python -m bench.bare``.

Whatever somebody says, everybody hears; what begins with a number and a blank, only they, and so many times. It prints
its port, and runs until its standard input ends.
"""

import asyncio
import sys

import uvloop
from aiohttp import WSMsgType, web

HOST = "127.0.0.1"
BACKLOG = 4096


class Bare:
    """All its sockets."""

    def __init__(self) -> None:
        self._sockets: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one."""
        socket = web.WebSocketResponse(protocols=("guildwire.v1.json",), compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(socket, message.data)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _answer(self, speaker: web.WebSocketResponse, text: str) -> None:
        if text[0].isdigit():
            times, _, text = text.partition(" ")
            for _ in range(int(times)):
                await speaker.send_str(text)
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
