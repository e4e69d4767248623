"""A proxy before Postgres that understands enough of its protocol to stop a commit at a chosen step.

It listens on a free TCP port, so that lines can also be reset, end, or fall silent as lines of a network do::

    async with pg_proxy(database_dsn) as proxy:          # proxy.dsn leads through it
        stop = proxy.stop_at(Step.REPLY)                 # the next call of commit_v1 stops there
        ...
        await stop.reached()
        proxy.cut()                                      # or stop.go_on()
"""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from urllib.parse import parse_qs, urlsplit

SOCKET_NAME = ".s.PGSQL.5432"
CHUNK_BYTES = 65_536
#: Whatever a test waits for comes sooner, or the test fails.
REACH_TIMEOUT_S = 30
_CALL = b"commit_v1("
_COMMITTER = b"guildwire-committer\0"
#: SO_LINGER that makes a close send RST and nothing else.
_RESET = struct.pack("ii", 1, 0)


class Step(Enum):
    """Where a call of ``commit_v1`` can be stopped, in order."""

    CALL = "nothing of it has reached Postgres"
    EXECUTE = "Postgres has its arguments, and no word to run it"
    SYNC = "Postgres runs it, and has no word to commit"
    SENT = "Postgres has all of it"
    REPLY = "Postgres has committed, and nobody has heard of it"
    AMID_REPLY = "half of the reply has gone through"
    REPLIED = "the whole reply has gone through"


class End(Enum):
    """How a line ends."""

    CLOSE = "in good order"
    RESET = "with RST"


#: What the client says first when a step of its own side is reached: Bind, Execute, Sync.
_OF_CLIENT = {b"B": Step.CALL, b"E": Step.EXECUTE, b"S": Step.SYNC}


class Stop:
    """A point at which the next call waits until it is released, or its connection is cut."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self._reached = asyncio.Event()
        self._free = asyncio.Event()

    async def reached(self) -> None:
        """Wait until a call stands there."""
        async with asyncio.timeout(REACH_TIMEOUT_S):
            await self._reached.wait()

    def go_on(self) -> None:
        """Let it pass."""
        self._free.set()

    async def wait(self) -> None:
        """Stand there."""
        self._reached.set()
        await self._free.wait()


class Messages:
    """Takes a stream of typed Postgres messages apart."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give each whole message, its type byte first."""
        self._rest += data
        at = 0
        while len(self._rest) - at >= 5:
            end = at + 1 + int.from_bytes(self._rest[at + 1 : at + 5], "big")
            if len(self._rest) < end:
                break
            yield self._rest[at:end]
            at = end
        self._rest = self._rest[at:]


class Line:
    """One connection through the proxy."""

    def __init__(self, proxy: "PgProxy", ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self._proxy = proxy
        self._client, self._server = ends
        #: Names of the prepared statements that call ``commit_v1``.
        self._calls: set[bytes] = set()
        self._calling = False
        self._reply = b""
        #: Bytes pass while this is set; a line that was silenced stays so.
        self.passes = asyncio.Event()
        self.passes.set()
        self.is_committer = False

    async def carry(self, from_client: asyncio.StreamReader, from_server: asyncio.StreamReader) -> None:
        """Pass both ways until one side ends, then end both."""
        pumps = [asyncio.create_task(self._upwards(from_client)), asyncio.create_task(self._downwards(from_server))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self.end(End.CLOSE)

    def end(self, how: End) -> None:
        """End both sides."""
        for writer in (self._client, self._server):
            end_of(writer, how)

    async def _upwards(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readexactly(4)
            hello = await reader.readexactly(int.from_bytes(head, "big") - 4)
            self.is_committer = _COMMITTER in hello
            hello = self._proxy.greet(hello)
            await self._pass(self._server, (4 + len(hello)).to_bytes(4, "big") + hello)
            messages = Messages()
            while data := await reader.read(CHUNK_BYTES):
                if not self.is_committer:
                    await self._pass(self._server, data)
                    continue
                for message in messages.feed(data):
                    await self._say(message)

    async def _say(self, message: bytes) -> None:
        """Pass one message of the client on, and notice what it begins."""
        kind, body = message[:1], message[5:]
        if kind == b"P" and _CALL in body:
            self._calls.add(body.partition(b"\0")[0])
        elif kind == b"B" and body.split(b"\0", 2)[1] in self._calls:
            self._calling = True
            self._proxy.calls += 1
        if self._calling and kind in _OF_CLIENT:
            await self._proxy.stand(_OF_CLIENT[kind])
        await self._pass(self._server, message)
        if self._calling and kind == b"S":
            await self._proxy.stand(Step.SENT)

    async def _downwards(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            messages = Messages()
            while data := await reader.read(CHUNK_BYTES):
                if not self.is_committer:
                    await self._pass(self._client, data)
                    continue
                for message in messages.feed(data):
                    await self._answer(message)

    async def _answer(self, message: bytes) -> None:
        """Pass one message of the server on; of a call's reply all at once, when it is whole."""
        if not self._calling:
            await self._pass(self._client, message)
            return
        self._reply += message
        if message[:1] != b"Z":
            return
        reply, self._reply, self._calling = self._reply, b"", False
        await self._proxy.stand(Step.REPLY)
        await self._pass(self._client, reply[: len(reply) // 2])
        await self._proxy.stand(Step.AMID_REPLY)
        await self._pass(self._client, reply[len(reply) // 2 :])
        await self._proxy.stand(Step.REPLIED)

    async def _pass(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        await self.passes.wait()
        writer.write(data)
        await writer.drain()


class PgProxy:
    """Forwards all connections to one Postgres, and injects faults."""

    def __init__(self, server_path: str) -> None:
        self._server_path = server_path
        self._lines: dict[Line, asyncio.Task[None]] = {}
        self._stops: list[Stop] = []
        self._refuses = False
        self._silent = False
        self._knocked = asyncio.Event()
        self._strangers: set[asyncio.StreamWriter] = set()
        self.dsn = ""
        #: Settings of the session that the client asks for, and what it gets instead.
        self.settings: dict[str, str] = {}
        #: Calls of ``commit_v1`` so far.
        self.calls = 0

    def stop_at(self, step: Step) -> Stop:
        """Let the next call that comes to this step stand there."""
        stop = Stop(step)
        self._stops.append(stop)
        return stop

    def greet(self, hello: bytes) -> bytes:
        """Change the settings in a client's first message, if that is wanted; called by the lines."""
        for name, value in self.settings.items():
            said = re.search(name.encode() + rb"\0[^\0]+\0", hello)
            if said is not None:
                hello = hello.replace(said[0], f"{name}\0{value}\0".encode())
        return hello

    async def stand(self, step: Step) -> None:
        """Stand at a step, if that is wanted; called by the lines."""
        for stop in self._stops:
            if stop.step is step:
                self._stops.remove(stop)
                await stop.wait()
                return

    def cut(self, how: End = End.RESET) -> None:
        """End every line there is; new ones are let through."""
        for line in list(self._lines):
            line.end(how)

    def refuse(self) -> None:
        """End every line and reset each new one, until ``restore``."""
        self._refuses = True
        self.cut()

    def silence(self) -> None:
        """Drop all data silently; new connections are accepted and get no data."""
        self._silent = True
        for line in self._lines:
            line.passes.clear()

    def stall(self) -> None:
        """Let nothing through until ``resume``; no line is lost."""
        self.silence()

    def resume(self) -> None:
        """Go on where ``stall`` stopped."""
        self._silent = False
        for line in self._lines:
            line.passes.set()

    def restore(self) -> None:
        """Let new connections through; lines that were silenced stay so."""
        self._refuses = self._silent = False
        for writer in self._strangers:
            end_of(writer, End.RESET)
        self._strangers.clear()

    async def knocked(self) -> None:
        """Wait for the next connection that is refused or gets no data."""
        self._knocked.clear()
        async with asyncio.timeout(REACH_TIMEOUT_S):
            await self._knocked.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if self._refuses or self._silent:
            self._knocked.set()
            if self._refuses:
                end_of(writer, End.RESET)
            else:
                self._strangers.add(writer)
            return
        try:
            from_server, to_server = await asyncio.open_unix_connection(self._server_path)
        except OSError:
            end_of(writer, End.RESET)
            return
        line = Line(self, (writer, to_server))
        task = asyncio.create_task(line.carry(reader, from_server))
        self._lines[line] = task
        try:
            await asyncio.wait([task])
        finally:
            del self._lines[line]

    async def stop(self) -> None:
        """Let every connection go."""
        self.restore()
        tasks = list(self._lines.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def end_of(writer: asyncio.StreamWriter, how: End) -> None:
    """End one side of a line."""
    if writer.transport.is_closing():
        return
    if how is End.RESET:
        tcp = writer.get_extra_info("socket")
        if tcp.family != socket.AF_UNIX:
            with suppress(OSError):
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
    else:
        writer.close()


@asynccontextmanager
async def pg_proxy(dsn: str) -> AsyncIterator[PgProxy]:
    """Run a proxy before the database behind a unix socket."""
    parts = urlsplit(dsn)
    asked = parse_qs(parts.query)
    proxy = PgProxy(f"{asked['host'][0]}/{SOCKET_NAME}")
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    proxy.dsn = f"postgresql://{asked['user'][0]}@127.0.0.1:{port}{parts.path}?sslmode=disable"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
        await server.wait_closed()
