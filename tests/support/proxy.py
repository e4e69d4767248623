"""A proxy in front of Postgres that cuts its connections at a chosen moment of the next call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

SOCKET_NAME = ".s.PGSQL.5432"
CHUNK_BYTES = 65_536


class Cut(Enum):
    """When the next call loses its connection."""

    BEFORE_SENDING = "nothing of it reaches the server"
    WHILE_RUNNING = "the server has it and works on"
    BEFORE_REPLY = "the server has committed, and nobody hears of it"


class Proxy:
    """Forwards bytes until it is cut."""

    def __init__(self, server_path: str) -> None:
        self._server_path = server_path
        self._armed: Cut | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        #: Set once the connection is cut.
        self.cut = asyncio.Event()

    def arm(self, when: Cut) -> None:
        """Cut the next call."""
        self._armed = when
        self.cut.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        server_reader, server_writer = await asyncio.open_unix_connection(self._server_path)
        writers = (writer, server_writer)
        pumps = [
            asyncio.create_task(self._pump(reader, server_writer, writers, from_client=True)),
            asyncio.create_task(self._pump(server_reader, writer, writers, from_client=False)),
        ]
        self._tasks.update(pumps)
        await asyncio.wait(pumps)
        self._tasks.difference_update(pumps)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        both: tuple[asyncio.StreamWriter, ...],
        *,
        from_client: bool,
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK_BYTES):
                if self._armed is Cut.BEFORE_SENDING and from_client:
                    break
                if self._armed is Cut.BEFORE_REPLY and not from_client:
                    break
                writer.write(data)
                await writer.drain()
                if self._armed is Cut.WHILE_RUNNING and from_client:
                    break
            else:
                writer.close()
                return
        self._armed = None
        for end in both:
            end.transport.abort()
        self.cut.set()

    async def stop(self) -> None:
        """Let every connection go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxied(dsn: str, directory: Path) -> AsyncIterator[tuple[Proxy, str]]:
    """Run a proxy before the database; gives it and the DSN of the way through it."""
    parts = urlsplit(dsn)
    host = parse_qs(parts.query)["host"][0]
    proxy = Proxy(f"{host}/{SOCKET_NAME}")
    server = await asyncio.start_unix_server(proxy.serve, str(directory / SOCKET_NAME))
    query = parts.query.replace(f"host={quote(host, safe='')}", f"host={quote(str(directory), safe='')}")
    try:
        yield proxy, parts._replace(query=query).geturl()
    finally:
        server.close()
        await proxy.stop()
        await server.wait_closed()
