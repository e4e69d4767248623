"""A session driven by hand: the shell's part is played by a log in memory and a clock that the test moves."""

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
    """A rate that never refuses."""


def own_unlimited(declaration: Declaration, user_id: UserId) -> None:
    """The same for a command that has one of its own."""


UNLIMITED = Rates(unlimited, unlimited, own_unlimited, Rate(50.0, 200), Rate(100.0, 400))


def event_frame(seq: int) -> bytes:
    """An event as the session gets it: encoded already."""
    return JSON.event(seq, b'"type":"thing.happened"}')


class Driver:
    """A session and whoever is around it.

    Args:
        log: the numbers that the user's log still holds.
        head: where the log ends, if not with the last of those.
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
        #: Every frame that the client got, in order.
        self.frames: list[dict[str, Any]] = []
        #: Why the socket was closed; None while it is open.
        self.closed: str | None = None

    def says(self, **frame: Any) -> "list[dict[str, Any]]":
        """The client sends a frame; answers what it gets for it."""
        return self.says_raw(msgspec.json.encode(frame))

    def says_raw(self, data: bytes) -> list[dict[str, Any]]:
        """The client sends a message."""
        self.session.receive(data, self.now)
        return self.takes()

    def starts(self, since: str | None = None, grant: TokenClaims | None = None) -> None:
        """The client says hello, and the session knows who it is and where the log ends."""
        hello = {"token": "t"} if since is None else {"token": "t", "since": since}
        self.says(frame="hello", **hello)
        assert self.wants(Authenticate) == [Authenticate("t")]
        self.session.authenticated(grant or TokenClaims(CUSTOMER, self.now + TOKEN_S))
        assert self.wants(ReadPosition) == [ReadPosition(ADA)]
        self.session.positioned(Position(EPOCH, self.head), self.now)

    def opens(self, since: str | None = None, grant: TokenClaims | None = None) -> dict[str, Any]:
        """The client says hello and everything goes well; answers the welcome."""
        self.starts(since, grant)
        self.reads()
        return next(frame for frame in self.takes_all() if frame["frame"] == "welcome")

    def reads(self) -> None:
        """Answer every page that the session wants."""
        while wants := self.wants(ReadPage):
            (want,) = wants
            self.session.paged(self.page(want.after), self.now)

    def page(self, after: int) -> Page:
        """What the log holds behind a number."""
        rows = [(seq, event_frame(seq)) for seq in sorted(self.log) if seq > after]
        return Page(rows[: self.page_rows], more=len(rows) > self.page_rows)

    def happens(self, seq: int) -> list[int]:
        """An event arrives by the bus; answers the numbers that went out."""
        self.session.event(seq, event_frame(seq), self.now)
        return [frame["seq"] for frame in self.takes()]

    def waits(self, seconds: float) -> list[dict[str, Any]]:
        """Time passes, alarm by alarm."""
        until = self.now + seconds
        while (at := self.session.wakes_at) <= until:
            self.now = max(self.now, at)
            before = self.session.wakes_at
            self.session.tick(self.now)
            if self.session.wakes_at == before:
                break
        self.now = until
        return self.takes()

    def wants(self, kind: type) -> list[Any]:
        """Take away what the session wants of one kind."""
        found = [want for want in self.session.wants if type(want) is kind]
        self.session.wants[:] = [want for want in self.session.wants if type(want) is not kind]
        return found

    def takes(self) -> list[dict[str, Any]]:
        """The frames since the last look."""
        for want in self.wants(Close):
            self.closed = want.code.reason
        new = [msgspec.json.decode(data) for data in self.session.sends]
        self.session.sends.clear()
        self.frames.extend(new)
        return new

    def takes_all(self) -> list[dict[str, Any]]:
        """Every frame so far."""
        self.takes()
        return self.frames

    @property
    def seqs(self) -> list[int]:
        """The numbers of all events that the client got."""
        return [frame["seq"] for frame in self.takes_all() if frame["frame"] == "event" and "seq" in frame]

    def refuse(self, error: GuildwireError) -> None:
        """The token does not hold."""
        self.session.refused(error)
        self.takes()
