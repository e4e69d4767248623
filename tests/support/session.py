"""A session without a connection: the log is in memory, and the test moves the clock."""

from typing import Any
from uuid import UUID

import msgspec

from protocol.errors import GuildwireError
from protocol.frames import Position
from protocol.ids import SessionId, UserId
from protocol.rates import Rate
from protocol.registry import Declaration
from protocol.roles import Principal, Role
from server.live.connection.codec import JSON
from server.live.limits import Limits
from server.live.session.effects import Authenticate, Close, ReadPage, ReadPosition, TokenClaims
from server.live.session.requests import Rates
from server.live.session.session import Session
from server.live.session.stream import Page

ADA = UserId(UUID(int=0xADA))
EPOCH = "e0"
TOKEN_S = 900.0

CUSTOMER = Principal(
    user_id=ADA, role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}), session_id=SessionId(UUID(int=0x5E55))
)


def unlimited(user_number: int) -> None:
    """A rate limit that never refuses."""


def own_unlimited(declaration: Declaration, user_id: UserId) -> None:
    """A command's own rate limit that never refuses."""


UNLIMITED = Rates(unlimited, unlimited, own_unlimited, Rate(50.0, 200), Rate(100.0, 400))


def event_frame(seq: int) -> bytes:
    """An encoded event."""
    return JSON.event(seq, b'"type":"thing.happened"}')


class Driver:
    """A session, its client and its log.

    Args:
        log: the numbers that are in the user's log.
        head: the last number ever written, if it is not the last of those.
    """

    def __init__(
        self,
        *,
        log: list[int] | None = None,
        head: int | None = None,
        limits: Limits | None = None,
        rates: Rates | None = None,
        page_rows: int = 500,
    ) -> None:
        self.now = 1000.0
        self.log = log or []
        self.head = head if head is not None else max(self.log, default=0)
        self.page_rows = page_rows
        self.limits = limits or Limits()
        self.session = Session(
            session_id=UUID(int=1),
            codec=JSON,
            limits=self.limits,
            rates=rates or UNLIMITED,
            jitter=0.0,
            now=self.now,
        )
        #: Every frame that was sent to the client, in order.
        self.frames: list[dict[str, Any]] = []
        #: Why the session was closed; None while it is open.
        self.closed: str | None = None

    def says(self, **frame: Any) -> "list[dict[str, Any]]":
        """The client sends a frame; returns the frames sent to it."""
        return self.says_raw(msgspec.json.encode(frame))

    def says_raw(self, data: bytes) -> list[dict[str, Any]]:
        """The client sends a message; returns the frames sent to it."""
        self.session.receive(data, self.now)
        return self.takes()

    def starts(self, since: str | None = None, claims: TokenClaims | None = None) -> None:
        """The client sends hello; its token is valid, and the position is read."""
        hello = {"token": "t"} if since is None else {"token": "t", "since": since}
        self.says(frame="hello", **hello)
        assert self.effects(Authenticate) == [Authenticate("t")]
        self.session.authenticated(claims or TokenClaims(CUSTOMER, self.now + TOKEN_S))
        assert self.effects(ReadPosition) == [ReadPosition(ADA)]
        self.session.position_read(Position(EPOCH, self.head), self.now)

    def opens(self, since: str | None = None, claims: TokenClaims | None = None) -> dict[str, Any]:
        """The client sends hello, and the session opens; returns the welcome."""
        self.starts(since, claims)
        self.reads()
        return next(frame for frame in self.takes_all() if frame["frame"] == "welcome")

    def reads(self) -> None:
        """Read every page that the session asks for."""
        while effects := self.effects(ReadPage):
            (effect,) = effects
            self.session.page_read(self.page(effect.after), self.now)

    def page(self, after: int) -> Page:
        """The page of the log after a number."""
        rows = [(seq, event_frame(seq)) for seq in sorted(self.log) if seq > after]
        return Page(rows[: self.page_rows], more=len(rows) > self.page_rows)

    def happens(self, seq: int) -> list[int]:
        """An event arrives live; returns the numbers that were sent."""
        self.session.event(seq, event_frame(seq), self.now)
        return [frame["seq"] for frame in self.takes()]

    def waits(self, seconds: float) -> list[dict[str, Any]]:
        """Let time pass, timer by timer."""
        until = self.now + seconds
        while (at := self.session.deadline) <= until:
            self.now = max(self.now, at)
            before = self.session.deadline
            self.session.tick(self.now)
            if self.session.deadline == before:
                break
        self.now = until
        return self.takes()

    def effects(self, kind: type) -> list[Any]:
        """Take the session's effects of one kind."""
        found = [effect for effect in self.session.effects if type(effect) is kind]
        self.session.effects[:] = [effect for effect in self.session.effects if type(effect) is not kind]
        return found

    def takes(self) -> list[dict[str, Any]]:
        """Take the frames that were sent since the last call."""
        for effect in self.effects(Close):
            self.closed = effect.code.reason
        new = [msgspec.json.decode(data) for data in self.session.to_send]
        self.session.to_send.clear()
        self.frames.extend(new)
        return new

    def takes_all(self) -> list[dict[str, Any]]:
        """All frames so far."""
        self.takes()
        return self.frames

    @property
    def seqs(self) -> list[int]:
        """The numbers of all events that were sent."""
        return [frame["seq"] for frame in self.takes_all() if frame["frame"] == "event" and "seq" in frame]

    def refuse(self, error: GuildwireError) -> None:
        """The token is not valid."""
        self.session.authentication_failed(error)
        self.takes()
