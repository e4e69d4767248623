"""One user's connections on this node, and how an event reaches all of them."""

import asyncio

from server.live.connection.receive_only import ReceiveOnlyConnection
from server.live.connection.socket import Socket
from server.live.hub.rendering import EventBody

#: A client's connection, of either kind.
Connection = Socket | ReceiveOnlyConnection


class Audience:
    """One person's connections, which hear of the same events."""

    __slots__ = ("_loop", "lines")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lines: list[Connection] = []
        self._loop = loop

    def hear(self, seq: int, body: EventBody) -> None:
        """Take an event of theirs."""
        now = self._loop.time()
        codec, frame = None, b""
        for line in self.lines:
            if line.codec is not codec:
                codec = line.codec
                frame = codec.event(seq, body.of(codec))
            line.event(seq, frame, now)
