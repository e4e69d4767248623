"""What a session asks of its shell: everything that needs the outside."""

from typing import Any

from msgspec import Struct

from protocol.frames import AckState, CloseCode, SignalState
from protocol.ids import UserId
from protocol.registry import Command, Declaration, Query
from protocol.roles import Principal
from protocol.topics import Topic


class TokenClaims(Struct, frozen=True):
    """What a token stands for."""

    principal: Principal
    #: On the event loop's clock.
    expires_at_s: float


class Authenticate(Struct, frozen=True):
    """Verify the hello's token; answer with ``authenticated`` or ``refused``."""

    token: str


class Reauthenticate(Struct, frozen=True):
    """Verify a refreshing token; answer with ``refreshed`` or ``not_refreshed``."""

    token: str
    id: str | None


class ReadPosition(Struct, frozen=True):
    """Join the hub, so that nothing is missed from now on, then read the end of the log; answer with ``positioned``."""

    user_id: UserId


class ReadPage(Struct, frozen=True):
    """Read the log behind a number once the client has taken what was sent; answer with ``paged``."""

    after: int


class Submit(Struct, frozen=True, gc=False):
    """Hand a command to the runtime; answer with ``answered``."""

    id: str
    command: Command
    declared: Declaration
    principal: Principal
    if_version: int | None


class Ask(Struct, frozen=True):
    """Run a query; answer with ``queried``."""

    id: str
    query: Query
    principal: Principal


class Watch(Struct, frozen=True):
    """Let the session hear a topic if it may; answer with ``watched`` or ``not_watched``."""

    id: str
    topic: Topic
    principal: Principal


class Recheck(Struct, frozen=True):
    """Ask again which topics may be heard; answer with ``rechecked``."""

    topics: tuple[Topic, ...]
    principal: Principal


class Unwatch(Struct, frozen=True):
    """The session does not hear a topic any more."""

    topic: Topic


class Tell(Struct, frozen=True):
    """Pass a signal on to the others who hear the topic."""

    topic: Topic
    state: SignalState


class Acknowledge(Struct, frozen=True):
    """Keep how far a device has got."""

    device: str
    seq: int
    state: AckState


class Close(Struct, frozen=True):
    """Close the socket, after everything that was sent before."""

    code: CloseCode


Want = Any
