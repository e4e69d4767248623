"""What the gateway needs of the rest of the server, and what a socket needs of its hub."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from msgspec import Struct

from actors.runtime.call import Call
from protocol.frames import AckState, OpenOutcome, Position, SignalState
from protocol.ids import UserId
from protocol.registry import Query
from protocol.roles import Principal
from protocol.topics import Topic
from server.live.connection.codec import Codec
from server.live.session.effects import TokenClaims
from server.live.session.stream import Page


class Verified(Protocol):
    """A token that holds."""

    @property
    def principal(self) -> Principal: ...

    @property
    def expires_at(self) -> float:
        """Seconds since 1970."""
        ...


class EventLog(Protocol):
    """Reads users' inboxes."""

    async def position(self, user_id: UserId) -> Position:
        """Where the user's inbox ends. Raises: Unavailable."""
        ...

    async def page(self, user_id: UserId, after: int, codec: Codec, rows_max: int | None = None) -> Page:
        """The user's events behind a number, within the bounds of a page. Raises: Unavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The way out of the gateway."""

    #: Verifies a token, at once. Raises: Unauthenticated.
    verify: Callable[[str], Verified]
    submit: Callable[[Call], None]
    new_id: Callable[[], UUID]
    #: Answers a query. Raises: GuildwireError.
    answer: Callable[[Query, Principal], Awaitable[Struct]]
    log: EventLog
    #: Of these topics, those that the principal may hear now.
    may_hear: Callable[[Principal, Collection[Topic]], Awaitable[Collection[Topic]]]

    def grant(self, token: str, now: float, wall: float) -> TokenClaims:
        """Verify a token. Raises: Unauthenticated.

        Args:
            now: on the event loop's clock.
            wall: seconds since 1970.
        """
        verified = self.verify(token)
        return TokenClaims(verified.principal, now + verified.expires_at - wall)


class Line(Protocol):
    """A connection of another kind than a socket, as the hub runs it."""

    async def run(self) -> None:
        """Serve the client until there is a reason to end."""
        ...


S_contra = TypeVar("S_contra", contravariant=True)


class HubProtocol(Protocol[S_contra]):
    """The hub, as its sockets see it."""

    def read_soon(self, socket: S_contra) -> None:
        """Let the socket take what came in when it is its turn, once."""
        ...

    def flush_soon(self, socket: S_contra) -> None:
        """Let the socket write at the end of this loop tick, once."""
        ...

    def wake(self, socket: S_contra, at: float) -> None:
        """Call ``wake`` of the socket at this instant of the loop's clock or a tick later, and not as told before."""
        ...

    def left(self, socket: S_contra) -> None:
        """Forget the socket: its connection is gone."""
        ...

    def join(self, socket: S_contra, user_id: UserId) -> None:
        """Send the user's events to this socket from now on."""
        ...

    def opened(self, outcome: OpenOutcome) -> None:
        """Count a session that has opened."""
        ...

    def watch(self, socket: S_contra, topic: Topic) -> None:
        """Send a topic's signals to this socket from now on, its present state first."""
        ...

    def unwatch(self, socket: S_contra, topic: Topic) -> None:
        """Send them no more."""
        ...

    def tell(self, topic: Topic, about: UserId, state: SignalState) -> None:
        """Send a signal to everybody else who hears the topic."""
        ...

    def acknowledge(self, user_id: UserId, device: str, seq: int, state: AckState) -> None:
        """Keep how far a device has got."""
        ...
