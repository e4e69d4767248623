"""A proxy between client and server that simulates a bad network: cut, frozen, one-way, slow or fragmented connections.

async with open_bad_network(server.url) as line:
    async with Rest(line.url, signed_in) as rest, Client(rest) as client:
        line.cut()
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from urllib.parse import urlsplit

#: The proxy's buffer in each direction; small, so that a peer that does not read causes back pressure soon.
BUFFER_BYTES = 16 * 1024
#: How long the last data of one end may take to be sent after the other end has closed.
LAST_WORDS_S = 1.0

NO_SOCKETS_HERE = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Sockets(Enum):
    """What the proxy does to the handshake of a WebSocket."""

    PASSED = "nothing"
    REFUSED = "answers that it may not be"
    HUNG_UP = "breaks the connection"
    STARVED = "lets it through, and nothing behind it"


class NetworkProxy:
    """The proxy of one client, for any number of connections. Each fault applies to all of them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = parts.hostname, parts.port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thawed = asyncio.Event()
        self._thawed.set()
        #: The URL that the client connects to.
        self.url = ""
        #: Whether data of the client is dropped; the same for data of the server.
        self.swallows_up = False
        self.swallows_down = False
        #: The delay of each piece; the order is kept.
        self.delay_s = 0.0
        #: The most bytes that are forwarded at once; None: as they arrive.
        self.piece_bytes: int | None = None
        #: Bytes of the server after which a connection is cut; None: it is not cut.
        self.cut_after_bytes: int | None = None
        #: What happens to WebSockets; all other requests are forwarded.
        self.sockets = Sockets.PASSED
        #: Connections are broken as soon as they are made.
        self.down = False
        #: Counts of connections and of cuts.
        self.connections = 0
        self.cuts = 0

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=BUFFER_BYTES)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"

    async def close(self) -> None:
        """Close all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break all connections: both ends notice it, and data in transit is lost."""
        self.cuts += 1
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        """Stop reading from the server, as a client that has stopped reading."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Continue reading."""
        self._thawed.set()

    def heal(self) -> None:
        """End all faults; connections that lost data are cut."""
        if self.swallows_up or self.swallows_down:
            self.cut()
        self.swallows_up = self.swallows_down = self.down = False
        self.delay_s, self.piece_bytes = 0.0, None
        self.thaw()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self.down:
                with suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
                    await self._admit(reader, writer)
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward a connection, unless it is a WebSocket and these are refused."""
        head = b"" if self.sockets is Sockets.PASSED else await reader.readuntil(b"\r\n\r\n")
        if b"upgrade: websocket" not in head.lower():
            await self._carry(reader, writer, head)
        elif self.sockets is Sockets.STARVED:
            await self._carry(reader, writer, head, starved=True)
        elif self.sockets is Sockets.REFUSED:
            writer.write(NO_SOCKETS_HERE)
            writer.close()
            await writer.wait_closed()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, *, starved: bool = False
    ) -> None:
        """Forward data in both directions until one end has closed, or the first response was sent."""
        raw = socket.socket()
        raw.setblocking(False)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        try:
            await asyncio.get_running_loop().sock_connect(raw, self._target)
            server_reader, server_writer = await asyncio.open_connection(sock=raw, limit=BUFFER_BYTES)
        except BaseException:
            raw.close()
            raise
        self._writers.add(server_writer)
        server_writer.write(head)
        pumps = [
            asyncio.ensure_future(self._pump(reader, server_writer, up=True)),
            asyncio.ensure_future(self._pump(server_reader, writer, up=False, once=starved)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for end in (writer, server_writer):
                end.close()  # the last data, such as a goodbye, still arrives
                with suppress(OSError, TimeoutError):
                    await asyncio.wait_for(end.wait_closed(), LAST_WORDS_S)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            server_writer.transport.abort()
            self._writers.discard(server_writer)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool, once: bool = False
    ) -> None:
        while True:
            if not up:
                await self._thawed.wait()
            data = await reader.read(BUFFER_BYTES)
            if not data:
                return
            if not up:
                await self._thawed.wait()
            if self.swallows_up if up else self.swallows_down:
                continue
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if not up and self.cut_after_bytes is not None:
                writer.write(data[: self.cut_after_bytes])
                await writer.drain()
                return
            await self._pass_on(data, writer)
            if once:
                return

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Write data, in pieces if it is to be fragmented: each piece is a packet of its own."""
        size = self.piece_bytes or len(data)
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            if self.piece_bytes is not None:
                await asyncio.sleep(0)


@asynccontextmanager
async def open_bad_network(url: str) -> AsyncIterator[NetworkProxy]:
    """Open a proxy to a server, without faults at first."""
    line = NetworkProxy(url)
    await line.open()
    try:
        yield line
    finally:
        await line.close()
