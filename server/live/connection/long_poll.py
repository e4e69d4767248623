"""The long poll: the events behind a position as one JSON page, at once if there are any, else as soon as there is one.

A poll is a session that ends with its first events. So it counts as a connection while it waits, and ends for the same
reasons as a socket does.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import msgspec
from aiohttp.web import BaseRequest
from msgspec import Raw

from protocol.errors import RETRY_AFTER_S, GuildwireError, Internal, LimitReached, Unauthenticated, Unavailable
from protocol.frames import CloseCode, OpenOutcome, Position
from protocol.ids import UserId
from protocol.listening import EventPage
from server.live.connection.receive_only import ReceiveOnlyConnection
from server.live.session.stream import Page

#: How often a poll that waits looks whether its client is still there.
LOOK_EVERY_S = 1.0
#: How long it waits at least between two looks.
MOMENT_S = 0.05
_EVENT = b'{"frame":"event"'


class Nothing:
    """A poll's line: what has gathered is given back at its end."""

    backlog_bytes = 0


class Poll(ReceiveOnlyConnection):
    """One long poll.

    Args:
        request: whose client may go away.
        wait_s: how long to wait for the first event.
        limit: the most events of the page.
    """

    def __init__(self, *, request: BaseRequest, wait_s: float, limit: int, **more: Any) -> None:
        super().__init__(**more)
        self.outgoing = Nothing()
        self._request = request
        self._until = self._loop.time() + wait_s
        self._limit = limit
        self._frames: list[bytes] = []
        self._more = False

    def page(self) -> bytes:
        """What came of it. Raises: Unauthenticated, LimitReached, Unavailable, Internal."""
        session = self.session
        refusal = _REFUSALS.get(self.close_code) if self.close_code is not None else None
        if refusal is not None:
            raise refusal(self)
        if session.outcome is None:
            raise Unavailable(retry_after_s=RETRY_AFTER_S)
        began = session.seq - len(self._frames)
        frames = self._frames[: self._limit] if session.outcome is OpenOutcome.RESUMED else []
        self.traffic.frames_out += len(frames)
        page = EventPage(
            outcome=session.outcome,
            as_of=str(Position(session.epoch, began + len(frames))),
            more=self._more or len(frames) < len(self._frames),
            events=cast(Any, [Raw(frame) for frame in frames]),
        )
        return msgspec.json.encode(page)

    async def _until_ended(self) -> None:
        while not self._ended.is_set() and not self._over():
            wait_s = min(LOOK_EVERY_S, max(self._until - self._loop.time(), MOMENT_S))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._ended.wait()

    def _over(self) -> bool:
        """Whether nobody waits any more, or nobody should."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return True
        return self.session.outcome is not None and self._loop.time() >= self._until

    def _pass_on(self) -> None:
        sends = self.session.sends
        self._frames += [frame for frame in sends if frame.startswith(_EVENT)]
        sends.clear()
        outcome = self.session.outcome
        if self._frames or outcome in (OpenOutcome.FRESH, OpenOutcome.RESET) or self._over():
            self._ended.set()

    async def _read_page(self, user_id: UserId, after: int) -> Page:
        page = await self._ports.log.page(user_id, after, self.codec, self._limit)
        self._more = page.more
        return page


_REFUSALS: dict[CloseCode, Callable[[Poll], GuildwireError]] = {
    CloseCode.TOKEN_EXPIRED: lambda poll: Unauthenticated(reason="expired"),
    CloseCode.INVALID_TOKEN: lambda poll: Unauthenticated(reason="invalid"),
    CloseCode.REVOKED: lambda poll: Unauthenticated(reason="revoked"),
    CloseCode.REPLACED: lambda poll: LimitReached(limit="connections_per_user", retry_after_s=RETRY_AFTER_S),
    CloseCode.RESYNC: lambda poll: Unavailable(retry_after_s=RETRY_AFTER_S),
    CloseCode.UNAVAILABLE: lambda poll: Unavailable(retry_after_s=RETRY_AFTER_S),
    CloseCode.INTERNAL: lambda poll: Internal(incident=str(poll.session.session_id)),
}
