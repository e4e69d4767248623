"""What a session needs from outside: its connection carries out these effects, in order.

The result of an effect, where it has one, comes back by the method of ``Session`` that is named here.
"""

from msgspec import Struct

from protocol.frames import AckState, CloseCode, SignalState
from protocol.ids import UserId
from protocol.registry import Command, Declaration, Query
from protocol.roles import Principal
from protocol.topics import Topic


class TokenClaims(Struct, frozen=True):
    """The content of a valid token."""

    principal: Principal
    #: On the event loop's clock.
    expires_at_s: float


class SubmitCommand(Struct, frozen=True, gc=False):
    """Submit a command to the runtime; then ``command_done``."""

    id: str
    command: Command
    declared: Declaration
    principal: Principal
    if_version: int | None


class RunQuery(Struct, frozen=True):
    """Run a query; then ``requests.query_done``."""

    id: str
    query: Query
    principal: Principal


class StoreAck(Struct, frozen=True):
    """Store the number up to which a device has acknowledged events."""

    device: str
    seq: int
    state: AckState


class SendSignal(Struct, frozen=True):
    """Send a signal to the other subscribers of the topic."""

    topic: Topic
    state: SignalState


class SubscribeTopic(Struct, frozen=True):
    """Check the right to a topic; then ``requests.topic_allowed`` or ``requests.topic_refused``."""

    id: str
    topic: Topic
    principal: Principal


class UnsubscribeTopic(Struct, frozen=True):
    """End the subscription to a topic."""

    topic: Topic


class RecheckTopics(Struct, frozen=True):
    """Check the rights to subscribed topics again; then ``requests.topics_rechecked``."""

    topics: tuple[Topic, ...]
    principal: Principal


class Authenticate(Struct, frozen=True):
    """Verify the token of a hello; then ``authenticated`` or ``authentication_failed``."""

    token: str


class Reauthenticate(Struct, frozen=True):
    """Verify the token of a refresh; then ``refreshed`` or ``refresh_failed``."""

    token: str
    id: str | None


class ReadPosition(Struct, frozen=True):
    """Attach the connection to the user's events, then read where their log ends; then ``position_read``.

    In this order, so that no event is missed between the two.
    """

    user_id: UserId


class ReadPage(Struct, frozen=True):
    """Wait until the client has taken what was sent, then read the log after this number; then ``page_read``."""

    after: int


class Probe(Struct, frozen=True):
    """Ask the transport itself for a sign of life, beside the frame ``ping``: libraries answer it by themselves."""


class Close(Struct, frozen=True):
    """Close the connection after everything that was sent before."""

    code: CloseCode


Effect = (
    SubmitCommand
    | RunQuery
    | StoreAck
    | SendSignal
    | SubscribeTopic
    | UnsubscribeTopic
    | RecheckTopics
    | Authenticate
    | Reauthenticate
    | ReadPosition
    | ReadPage
    | Probe
    | Close
)
