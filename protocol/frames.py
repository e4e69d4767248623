"""WebSocket frames, and the reasons why the server closes a connection.

A frame is one object with its kind in ``frame`` (``type`` is the type of an event). Inbound frames forbid unknown
fields; ``data`` is decoded once the name tells its struct.

FrameError (ValueError)
├── Undecodable    not the format of the subprotocol: the client is broken, and the connection is closed
└── NotAFrame      an object that is not a known frame; the reply is an ``error`` frame, a few times
"""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from msgspec import Meta, Raw, Struct

SUBPROTOCOL_JSON = "guildwire.v1.json"
SUBPROTOCOL_MSGPACK = "guildwire.v1.msgpack"

#: A command's or query's id, chosen by the client: printable ASCII. ``$`` alone would allow a final newline.
FrameId = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$(?!\n)")]
FrameName = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(min_length=1, max_length=8_192)]
#: The name of an app's installation, so that acks are stored for each device.
DeviceName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+$(?!\n)")]
#: ``epoch:seq``; an invalid one leads to a reset, like any other that cannot be resumed.
Since = Annotated[str, Meta(max_length=64)]
#: ``typing/<conversation id>`` or ``presence/<user id>``.
TopicName = Annotated[str, Meta(max_length=64)]
Counter = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class FrameError(ValueError):
    """The input is not a frame."""


class Undecodable(FrameError):
    """The bytes are not in the format of the subprotocol."""


class NotAFrame(FrameError):
    """Decodable, but not a frame that a client may send. ``fields`` has the problems, ``id`` is the frame's id."""

    def __init__(self, frame_id: str | None, fields: dict[str, str]) -> None:
        super().__init__(frame_id, fields)
        self.id = frame_id
        self.fields = fields


class Position(NamedTuple):
    """A position in a user's inbox, written ``epoch:seq``."""

    #: ``seq`` values of different epochs cannot be compared.
    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


def parse_position(text: str) -> Position | None:
    """Parse ``epoch:seq``; returns None if it is invalid."""
    epoch, _, seq = text.rpartition(":")
    return Position(epoch, int(seq)) if epoch and seq.isascii() and seq.isdigit() else None


class AckState(StrEnum):
    """The state of the events up to a ``seq`` on a device."""

    DELIVERED = "delivered"
    SEEN = "seen"


class OpenOutcome(StrEnum):
    """The outcome of opening a session."""

    #: No ``since`` was given.
    FRESH = "fresh"
    #: Every event after ``since`` follows.
    RESUMED = "resumed"
    #: The session cannot be resumed: fetch a snapshot.
    RESET = "reset"


class SignalState(StrEnum):
    """The state of a user in a conversation."""

    TYPING = "typing"
    IDLE = "idle"


class ClientFrame(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="frame", gc=False):
    """A frame from the client."""


class ServerFrame(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="frame", gc=False):
    """A frame from the server; fields with their default value are left out."""


class Hello(ClientFrame, frozen=True, kw_only=True, tag="hello"):
    """Authenticates the connection; the first frame, within 10 s."""

    token: Token
    #: ``epoch:seq`` of the last event that was handled; None: do not resume.
    since: Since | None = None
    device: DeviceName | None = None


class CommandFrame(ClientFrame, frozen=True, kw_only=True, tag="command"):
    """A command. Its ``id`` makes retries safe, over either transport."""

    id: FrameId
    name: FrameName
    #: The id of the entity, unless ``data`` has it.
    to: UUID | None = None
    #: Refuse unless the entity has this version.
    if_version: Counter | None = None
    data: Raw = Raw()


class QueryFrame(ClientFrame, frozen=True, kw_only=True, tag="query"):
    """A query."""

    id: FrameId
    name: FrameName
    data: Raw = Raw()


class Subscribe(ClientFrame, frozen=True, kw_only=True, tag="subscribe"):
    """Subscribe to an ephemeral topic."""

    id: FrameId
    topic: TopicName


class Unsubscribe(ClientFrame, frozen=True, kw_only=True, tag="unsubscribe"):
    """Unsubscribe from a topic."""

    id: FrameId
    topic: TopicName


class Signal(ClientFrame, frozen=True, kw_only=True, tag="signal"):
    """Signal one's state to the other subscribers of a typing topic; there is no reply, and it is not stored."""

    topic: TopicName
    state: SignalState


class Ack(ClientFrame, frozen=True, kw_only=True, tag="ack"):
    """This device has received all events up to ``seq``, or its user has seen them."""

    seq: Counter
    state: AckState


class Refresh(ClientFrame, frozen=True, kw_only=True, tag="refresh"):
    """A new token of the same user, before the old one expires."""

    token: Token
    id: FrameId | None = None


class Ping(ClientFrame, frozen=True, kw_only=True, tag="ping"):
    """A heartbeat, from either side."""


class Pong(ClientFrame, frozen=True, kw_only=True, tag="pong"):
    """The reply to a ping."""


Inbound = Hello | CommandFrame | QueryFrame | Subscribe | Unsubscribe | Signal | Ack | Refresh | Ping | Pong


class SocketLimits(Struct, frozen=True, kw_only=True):
    """The limits of a connection. A rate is a token bucket: a burst, refilled at ``…_per_s``."""

    #: Bytes of one frame of the client.
    frame_bytes: int
    #: Frames of any kind; above this rate the connection is closed.
    frames_per_s: float
    frames_burst: int
    #: Invalid frames, before the connection is closed.
    bad_frames: int
    #: The user's commands, over all transports and connections.
    commands_per_s: float
    commands_burst: int
    #: Commands of this session without a reply.
    in_flight: int
    #: The user's queries, over all transports and connections; subscriptions and signals count too.
    queries_per_s: float
    queries_burst: int
    #: Queries of this session that run at once, and that may wait.
    queries: int
    queries_waiting: int
    topics: int
    #: Connections of one user; with one more an older one is closed.
    connections: int
    #: Bytes that may wait for a client that does not read.
    queue_bytes: int
    #: Missed events of one page; the next page is read when the client has received this one.
    resume_page: int
    #: How long the reply to a ping may take; None: there need not be one.
    pong_s: float | None


class Welcome(ServerFrame, frozen=True, kw_only=True, tag="welcome"):
    """The session is open."""

    session: UUID
    user: UUID
    epoch: str
    #: The ``seq`` of the user's last event when the session opens.
    seq: int
    outcome: OpenOutcome
    heartbeat_s: float
    limits: SocketLimits


class ReplyFrame(ServerFrame, frozen=True, kw_only=True, tag="reply"):
    """The reply to the frame with this id."""

    id: str
    data: Any
    #: The entity's version after the command.
    version: int | None = None
    #: The ``seq`` of the last event that the command put into its sender's inbox; None: it put none there.
    seq: int | None = None
    #: Whether it is the stored reply to a retry.
    replayed: bool = False


class ErrorFrame(ServerFrame, frozen=True, kw_only=True, tag="error"):
    """A refusal or a fault; without ``id`` it concerns the session."""

    id: str | None = None
    code: str
    retry_after_s: float | None = None
    fields: dict[str, Any]


class EventFrame(ServerFrame, frozen=True, kw_only=True, tag="event"):
    """An event. Ephemeral events have neither ``seq``, ``version`` nor ``cause``."""

    seq: int | None = None
    type: str
    #: ``<kind>/<id>``.
    entity: str
    version: int | None = None
    at: datetime
    #: The id of the command that caused it.
    cause: str | None = None
    #: The event's fields, and its free text in ``content``; ``{"redacted": true}`` for an event that the user may no
    #: longer see.
    data: Any


class Bye(ServerFrame, frozen=True, kw_only=True, tag="bye"):
    """The server is about to close the connection."""

    code: int
    reason: str
    reconnect: bool
    #: How long to wait before reconnecting.
    after_s: float


class CloseCode(IntEnum):
    """Why the server closes a connection. Below 4500: reconnect and resume. From 4500 on: do not reconnect."""

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
        """Whether the client should reconnect by itself."""
        return self < 4500

    @property
    def reason(self) -> str:
        """The stable name, which is also in the close frame."""
        return self.name.lower()
