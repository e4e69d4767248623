"""WebSocket frames: what client and server say to each other, and why a socket is closed.

A frame is one object with its kind under ``frame`` (``type`` is taken: it names events). Inbound frames forbid unknown
fields; what is inside ``data`` is left undecoded until the name says which struct it is.

FrameError (ValueError)
├── Undecodable    not JSON (or whatever the subprotocol speaks): the client is broken, the socket is closed
└── NotAFrame      an object that is no known frame; answered by an ``error`` frame, a few times
"""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from msgspec import Meta, Raw, Struct

SUBPROTOCOL_JSON = "guildwire.v1.json"
SUBPROTOCOL_MSGPACK = "guildwire.v1.msgpack"

#: A command's or query's id, chosen by the client: printable ASCII without spaces. ``$`` alone would let a newline by.
FrameId = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$(?!\n)")]
FrameName = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(min_length=1, max_length=8_192)]
#: Names an app's installation, so that delivery is known for each device.
DeviceName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+$(?!\n)")]
#: ``epoch:seq``; one that does not parse is answered with a reset, like any other that leads nowhere.
Since = Annotated[str, Meta(max_length=64)]
#: ``typing/<conversation id>`` or ``presence/<user id>``.
TopicName = Annotated[str, Meta(max_length=64)]
Counter = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class FrameError(ValueError):
    """What came in is not a frame."""


class Undecodable(FrameError):
    """The bytes are not what the subprotocol speaks."""


class NotAFrame(FrameError):
    """Decodable, but no frame that a client may send. ``fields`` says what is wrong, ``id`` to whom the answer goes."""

    def __init__(self, frame_id: str | None, fields: dict[str, str]) -> None:
        super().__init__(frame_id, fields)
        self.id = frame_id
        self.fields = fields


class Position(NamedTuple):
    """A place in a user's stream of events, written ``epoch:seq``."""

    #: Numbers of different epochs have nothing to do with each other.
    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


def parse_position(text: str) -> Position | None:
    """Read ``epoch:seq``; None if it is not that."""
    epoch, _, seq = text.rpartition(":")
    return Position(epoch, int(seq)) if epoch and seq.isascii() and seq.isdigit() else None


class AckState(StrEnum):
    """What a device did with the events up to a number."""

    DELIVERED = "delivered"
    SEEN = "seen"


class OpenOutcome(StrEnum):
    """How a session begins."""

    #: No ``since`` was given.
    FRESH = "fresh"
    #: Every event after ``since`` follows.
    RESUMED = "resumed"
    #: That cannot be promised: fetch a snapshot.
    RESET = "reset"


class SignalState(StrEnum):
    """What somebody is doing in a conversation at this moment."""

    TYPING = "typing"
    IDLE = "idle"


class ClientFrame(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="frame", gc=False):
    """What a client may send."""


class ServerFrame(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="frame", gc=False):
    """What the server sends; a field at its default is left out."""


class Hello(ClientFrame, frozen=True, kw_only=True, tag="hello"):
    """Who I am; the first frame, within 10 s."""

    token: Token
    #: ``epoch:seq`` of the last event that was handled; None begins anew.
    since: Since | None = None
    device: DeviceName | None = None


class CommandFrame(ClientFrame, frozen=True, kw_only=True, tag="command"):
    """A wish to change something. The ``id`` makes a retry harmless, over either transport."""

    id: FrameId
    name: FrameName
    #: The entity, for a command that is sent to one; may also stand in ``data``.
    to: UUID | None = None
    #: Refuse unless the entity has this version.
    if_version: Counter | None = None
    data: Raw = Raw()


class QueryFrame(ClientFrame, frozen=True, kw_only=True, tag="query"):
    """A question."""

    id: FrameId
    name: FrameName
    data: Raw = Raw()


class Subscribe(ClientFrame, frozen=True, kw_only=True, tag="subscribe"):
    """Let me hear an ephemeral topic."""

    id: FrameId
    topic: TopicName


class Unsubscribe(ClientFrame, frozen=True, kw_only=True, tag="unsubscribe"):
    """No more of that topic."""

    id: FrameId
    topic: TopicName


class Signal(ClientFrame, frozen=True, kw_only=True, tag="signal"):
    """Tell the others on a subscribed typing topic; never answered, never kept."""

    topic: TopicName
    state: SignalState


class Ack(ClientFrame, frozen=True, kw_only=True, tag="ack"):
    """This device has all events up to ``seq``, or its user has seen them."""

    seq: Counter
    state: AckState


class Refresh(ClientFrame, frozen=True, kw_only=True, tag="refresh"):
    """A new token of the same user, before the old one expires."""

    token: Token
    id: FrameId | None = None


class Ping(ClientFrame, frozen=True, kw_only=True, tag="ping"):
    """Are you there? Either side asks."""


class Pong(ClientFrame, frozen=True, kw_only=True, tag="pong"):
    """Yes."""


Inbound = Hello | CommandFrame | QueryFrame | Subscribe | Unsubscribe | Signal | Ack | Refresh | Ping | Pong


class SocketLimits(Struct, frozen=True, kw_only=True):
    """What a client had better know beforehand; a rate is a token bucket: a burst, refilled with so many a second."""

    #: One frame of the client.
    frame_bytes: int
    #: Frames of any kind; past it the socket is closed.
    frames_per_s: float
    frames_burst: int
    #: Frames that are none, before the socket is closed.
    bad_frames: int
    #: The user's commands, over all transports and connections.
    commands_per_s: float
    commands_burst: int
    #: Commands of this session that have no answer yet.
    in_flight: int
    #: The user's queries, over all transports and connections; subscriptions and signals count too.
    queries_per_s: float
    queries_burst: int
    #: Queries of this session that run at once, and that may wait for those.
    queries: int
    queries_waiting: int
    topics: int
    #: Of one user; with one more an older one is closed.
    connections: int
    #: What may wait for a client that does not read.
    queue_bytes: int
    #: Missed events that are read at once; the next ones follow when those were taken.
    resume_page: int
    #: How long an answer to a ping may take; None: nobody has to answer.
    pong_s: float | None


class Welcome(ServerFrame, frozen=True, kw_only=True, tag="welcome"):
    """The session is open."""

    session: UUID
    user: UUID
    epoch: str
    #: The user's last event number as the session opens.
    seq: int
    outcome: OpenOutcome
    heartbeat_s: float
    limits: SocketLimits


class ReplyFrame(ServerFrame, frozen=True, kw_only=True, tag="reply"):
    """The answer to the frame with this id."""

    id: str
    data: Any
    #: The entity's version after the command.
    version: int | None = None
    #: The sender's number of the last event that the command caused; None if it caused none for them.
    seq: int | None = None
    #: The stored answer to a retry.
    replayed: bool = False


class ErrorFrame(ServerFrame, frozen=True, kw_only=True, tag="error"):
    """A refusal or a fault; without ``id`` it is about the session."""

    id: str | None = None
    code: str
    retry_after_s: float | None = None
    fields: dict[str, Any]


class EventFrame(ServerFrame, frozen=True, kw_only=True, tag="event"):
    """Something that happened. Ephemeral ones have neither ``seq``, ``version`` nor ``cause``."""

    seq: int | None = None
    type: str
    #: ``<kind>/<id>``.
    entity: str
    version: int | None = None
    at: datetime
    #: The id of the command that caused it.
    cause: str | None = None
    #: The event's fields, and under ``content`` the free text that belongs to it; ``{"redacted": true}`` for an event
    #: that the user may no longer see.
    data: Any


class Bye(ServerFrame, frozen=True, kw_only=True, tag="bye"):
    """The server closes the socket next."""

    code: int
    reason: str
    reconnect: bool
    #: How long to wait before reconnecting.
    after_s: float


class CloseCode(IntEnum):
    """Why the server closes a socket. Below 4500: reconnect and resume; from 4500 on: do not, something must change."""

    advice: str

    def __new__(cls, number: int, advice: str) -> "CloseCode":
        code = int.__new__(cls, number)
        code._value_ = number
        code.advice = advice
        return code

    SHUTDOWN = 4000, "The server stops or restarts. Reconnect after `after_s`."
    SLOW = 4001, "Frames were not read fast enough. Reconnect and resume."
    NO_PONG = 4002, "A ping was not answered in time. Reconnect and resume."
    TOKEN_EXPIRED = 4003, "The token expired or the user's rights changed. Get a new token, reconnect and resume."
    RATE_LIMITED = 4004, "Far too many frames. Reconnect after `after_s`, and send fewer."
    RESYNC = 4005, "The event log cannot be continued from here. Reconnect; the answer may be a reset."
    UNAVAILABLE = 4006, "The database does not answer. Reconnect after `after_s`."
    INTERNAL = 4007, "A bug of the server, which has logged it. Reconnect after `after_s`."
    BAD_FRAME = 4500, "Not a frame, not in its place, or too many wrong ones. Fix the client."
    INVALID_TOKEN = 4501, "The token does not hold. Sign in again."
    AUTH_TIMEOUT = 4502, "No hello in time. Fix the client."
    REVOKED = 4503, "The sign-in was revoked. Sign in again."
    VERSION = 4504, "No subprotocol was offered that this server speaks. Update the client."
    REPLACED = (
        4505,
        "The user has too many connections; this was the oldest of its device, or of all."
        " Reconnect when the user wants to.",
    )

    @property
    def reconnect(self) -> bool:
        """Whether the client should come back by itself."""
        return self < 4500

    @property
    def reason(self) -> str:
        """The stable name, which also travels in the close frame."""
        return self.name.lower()
