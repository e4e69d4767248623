"""The long poll: the events after a position as one JSON page, at once if there are any, else when the first happens.

A poll is a session that ends with its first events. It counts as a connection while it waits, and is closed for the
same reasons as a WebSocket.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import msgspec
from aiohttp.web import BaseRequest
from msgspec import Raw

from protocol.errors import RETRY_AFTER_S, GuildwireError, Internal, LimitReached, Unauthenticated, Unavailable
from protocol.frames import CloseCode, Hello, OpenOutcome, Position
from protocol.http_events import EventPage
from protocol.ids import UserId
from server.live.connection.codec import JSON
from server.live.connection.receive_only import ReceiveOnlyConnection
from server.live.limits import Limits
from server.live.session.stream import Page

if TYPE_CHECKING:  # the hub imports connections
    from server.live.hub.hub import Hub

#: How often a waiting poll checks that its client is still connected.
CHECK_EVERY_S = 1.0
#: The shortest wait between two checks.
CHECK_MIN_S = 0.05
_EVENT = b'{"frame":"event"'


class LongPoll(ReceiveOnlyConnection):
    """One long poll.

    Args:
        wait_s: how long to wait for the first event.
        events_max: the most events of the page.
    """

    def __init__(
        self, *, hub: "Hub", limits: Limits, hello: Hello, request: BaseRequest, wait_s: float, events_max: int
    ) -> None:
        super().__init__(hub=hub, codec=JSON, limits=limits, traffic=hub.traffic["poll"], hello=hello)
        self._request = request
        self._until = self._loop.time() + wait_s
        self._events_max = events_max
        self._events: list[bytes] = []
        self._more = False

    def page(self) -> bytes:
        """Return the page of an ended poll. Raises: Unauthenticated, LimitReached, Unavailable, Internal."""
        session = self.session
        refusal = _REFUSALS.get(self.close_code) if self.close_code is not None else None
        if refusal is not None:
            raise refusal(self)
        if session.outcome is None:
            raise Unavailable(retry_after_s=RETRY_AFTER_S)
        start = session.seq - len(self._events)
        events = self._events[: self._events_max] if session.outcome is OpenOutcome.RESUMED else []
        self.traffic.frames_out += len(events)
        page = EventPage(
            outcome=session.outcome,
            as_of=str(Position(session.epoch, start + len(events))),
            more=self._more or len(events) < len(self._events),
            events=cast(Any, [Raw(frame) for frame in events]),
        )
        return msgspec.json.encode(page)

    async def _until_ended(self) -> None:
        while not self._ended.is_set() and not self._is_over():
            wait_s = min(CHECK_EVERY_S, max(self._until - self._loop.time(), CHECK_MIN_S))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._ended.wait()

    def _is_over(self) -> bool:
        """Whether the client has disconnected, or the wait is over."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return True
        return self.session.outcome is not None and self._loop.time() >= self._until

    @property
    def backlog_bytes(self) -> int:
        """None: nothing is written before the poll's end."""
        return 0

    def _write(self) -> None:
        self._take_frames()
        if self._events or self.session.outcome in (OpenOutcome.FRESH, OpenOutcome.RESET) or self._is_over():
            self._ended.set()

    def _take_frames(self) -> None:
        """Keep the events for the page; the other frames are not part of it."""
        frames = self.session.to_send
        self._events += [frame for frame in frames if frame.startswith(_EVENT)]
        frames.clear()

    async def _load_page(self, user_id: UserId, after: int) -> Page:
        page = await self._hub.log.page(user_id, after, self.codec, self._events_max)
        self._more = page.more
        return page


_REFUSALS: dict[CloseCode, Callable[[LongPoll], GuildwireError]] = {
    CloseCode.TOKEN_EXPIRED: lambda poll: Unauthenticated(reason="expired"),
    CloseCode.INVALID_TOKEN: lambda poll: Unauthenticated(reason="invalid"),
    CloseCode.REVOKED: lambda poll: Unauthenticated(reason="revoked"),
    CloseCode.REPLACED: lambda poll: LimitReached(limit="connections_per_user", retry_after_s=RETRY_AFTER_S),
    CloseCode.RESYNC: lambda poll: Unavailable(retry_after_s=RETRY_AFTER_S),
    CloseCode.UNAVAILABLE: lambda poll: Unavailable(retry_after_s=RETRY_AFTER_S),
    CloseCode.INTERNAL: lambda poll: Internal(incident=str(poll.session.session_id)),
}
