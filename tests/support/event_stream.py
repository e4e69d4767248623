"""Clients of ``GET /v1/events``: an event stream, parsed line by line, and a long poll.

async with open_stream(server.url, token) as stream:
    welcome = await stream.take()
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from tests.support.live_server import TIMEOUT_S

PATH = "/v1/events"


class ServerSentEvent(msgspec.Struct):
    """One parsed event of an event stream."""

    event: str
    data: dict[str, Any]
    #: None if it has no such line.
    id: str | None = None
    retry_ms: int | None = None


class EventStream:
    """An open event stream."""

    def __init__(self, answer: aiohttp.ClientResponse, last_id: str | None) -> None:
        self.answer = answer
        #: All bytes, all events, and the number of comments so far.
        self.raw = b""
        self.received: list[ServerSentEvent] = []
        self.comments = 0
        #: What a browser would send as ``Last-Event-ID``.
        self.last_id = last_id

    async def take(self) -> ServerSentEvent | None:
        """Receive the next event; None at the end of the stream."""
        lines: list[str] = []
        async with asyncio.timeout(TIMEOUT_S):
            while raw := await self.answer.content.readline():
                self.raw += raw
                line = raw.decode().removesuffix("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    lines.append(line)
                elif lines:
                    return self._keep(lines)
        return None

    def _keep(self, lines: list[str]) -> ServerSentEvent:
        fields = dict(line.split(": ", 1) for line in lines)
        retry = fields.get("retry")
        event = ServerSentEvent(
            fields["event"],
            msgspec.json.decode(fields["data"]),
            fields.get("id"),
            None if retry is None else int(retry),
        )
        self.last_id = event.id or self.last_id
        self.received.append(event)
        return event

    async def event(self, seq: int) -> ServerSentEvent:
        """Receive events until this number."""
        while not self.seqs or self.seqs[-1] < seq:
            assert await self.take() is not None, "the stream has ended"
        return self.received[-1]

    async def end(self) -> ServerSentEvent:
        """Receive events until the end; returns the last one."""
        while await self.take() is not None:
            pass
        return self.received[-1]

    @property
    def welcome(self) -> dict[str, Any]:
        """The first event's frame."""
        return self.received[0].data

    @property
    def events(self) -> list[dict[str, Any]]:
        """The frames of all events with a number."""
        return [event.data for event in self.received if event.data["frame"] == "event"]

    @property
    def seqs(self) -> list[int]:
        """The numbers of the received events."""
        return [frame["seq"] for frame in self.events]


@asynccontextmanager
async def open_stream(
    url: str, token: str, since: str | None = None, *, last_id: str | None = None, buffer_bytes: int | None = None
) -> AsyncIterator[EventStream]:
    """Open an event stream, and receive its welcome.

    Args:
        buffer_bytes: the size of the buffers of kernel and client.
    """

    def small(info: Any) -> socket.socket:
        made = socket.socket(info[0], info[1], info[2])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes or 0)
        return made

    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    params = {} if since is None else {"since": since}
    connector = aiohttp.TCPConnector(force_close=True, socket_factory=small if buffer_bytes else None)
    async with (
        aiohttp.ClientSession(connector=connector, read_bufsize=buffer_bytes or 2**16) as http,
        http.get(url + PATH, params=params, headers=headers, timeout=aiohttp.ClientTimeout()) as answer,
    ):
        assert answer.status == 200, await answer.text()
        stream = EventStream(answer, last_id or since)
        first = await stream.take()
        assert first is not None
        assert first.event == "welcome", first
        yield stream


async def poll(url: str, token: str, **params: Any) -> tuple[int, dict[str, Any]]:
    """Send one long poll; returns status and body."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    async with aiohttp.ClientSession() as http, http.get(url + PATH, params=params, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)
