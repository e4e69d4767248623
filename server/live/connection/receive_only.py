"""Receive-only connection over HTTP; base class of the event stream and the long poll.

The request takes the place of the hello. The client cannot send frames, so there are no commands, queries or topics.
"""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from protocol.frames import CloseCode, Hello
from server.live.connection.codec import Codec
from server.live.connection.connection import Connection, Traffic
from server.live.limits import Limits

if TYPE_CHECKING:  # the hub imports connections
    from server.live.hub.hub import Hub


class ReceiveOnlyConnection(Connection):
    """One connection over plain HTTP, for the time of its request.

    Args:
        hello: made from the request.
    """

    def __init__(self, *, hub: "Hub", codec: Codec, limits: Limits, traffic: Traffic, hello: Hello) -> None:
        super().__init__(hub=hub, codec=codec, limits=limits, traffic=traffic)
        self._hello = hello
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Serve the client until the session ends."""
        try:
            self.session.receive(msgspec.json.encode(self._hello), self._loop.time())
            self.flush()
            await self._until_ended()
        finally:
            self._lose()

    async def _until_ended(self) -> None:
        await self._ended.wait()

    def cut(self) -> None:
        """End the connection at once."""
        self.session.connection_lost()
        self._ended.set()

    def _end(self, code: CloseCode) -> None:
        self._ended.set()
