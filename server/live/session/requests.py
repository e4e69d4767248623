"""What a client of an open session asks for, and the bounds of it: commands, queries, topics.

Like the session that it is a part of, it does nothing itself: it puts frames and wants on the session's lists.
"""

from collections import deque
from collections.abc import Callable, Collection
from math import inf
from typing import Any, NamedTuple

import msgspec

from actors.runtime.call import Outcome
from protocol.errors import Forbidden, GuildwireError, LimitReached, Rejected
from protocol.frames import (
    CommandFrame,
    ErrorFrame,
    QueryFrame,
    ReplyFrame,
    ServerFrame,
    Signal,
    SocketLimits,
    Subscribe,
    Unsubscribe,
)
from protocol.ids import UserId
from protocol.registry import Declaration
from protocol.roles import Principal
from protocol.topics import Topic, TopicKind, parse_topic
from server.edge.guards import invalid
from server.edge.rates import Rate
from server.live.connection.codec import Codec
from server.live.limits import Limits
from server.live.session.decode_request import read_command, read_query
from server.live.session.effects import Ask, Recheck, Tell, Unwatch, Want, Watch
from server.live.session.subscriptions import Subscriptions

EMPTY: dict[str, Any] = {}
#: What a client waits that had too much under way.
REQUEST_RETRY_AFTER_S = 0.2


class Rates(NamedTuple):
    """The rates of a user, whatever the transport. Raise: LimitReached."""

    #: By the user's number, since ids hash and compare in Python.
    command: Callable[[int], None]
    query: Callable[[int], None]
    #: For a command that has a rate of its own.
    own: Callable[[Declaration, UserId], None]
    #: What clients are told of the first two.
    commands: Rate
    queries: Rate


class Requests:
    """One session's requests.

    Args:
        sends: takes encoded frames.
        wants: takes what the shell is to do.
    """

    __slots__ = (
        "_codec",
        "_limits",
        "_rates",
        "_running",
        "_sends",
        "_topics",
        "_waiting",
        "_wants",
        "in_flight",
        "principal",
    )

    def __init__(
        self,
        principal: Principal,
        *,
        codec: Codec,
        limits: Limits,
        rates: Rates,
        sends: list[bytes],
        wants: list[Want],
    ) -> None:
        #: Whoever asks; a refreshed token may change what they may do.
        self.principal = principal
        #: Commands that have no answer yet.
        self.in_flight = 0
        self._codec = codec
        self._limits = limits
        self._rates = rates
        self._sends = sends
        self._wants = wants
        self._topics = Subscriptions(limits.topics_max)
        self._running = 0
        self._waiting: deque[Ask] | tuple[()] = ()

    # Commands

    def command(self, frame: CommandFrame) -> None:
        """Send a command on its way, or say why not."""
        principal = self.principal
        try:
            if self.in_flight >= self._limits.in_flight_max:
                raise LimitReached(limit="in_flight", retry_after_s=REQUEST_RETRY_AFTER_S)
            self._rates.command(principal.user_id.int)
            submit = read_command(self._codec, frame, principal)
            if submit.declared.rate is not None:
                self._rates.own(submit.declared, principal.user_id)
            self._wants.append(submit)
        except Rejected as refusal:
            self.refuse(frame.id, refusal)
        else:
            self.in_flight += 1

    def answered(self, frame_id: str, outcome: Outcome) -> None:
        """What came of a command."""
        if outcome.error is not None:
            self.refuse(frame_id, outcome.error)
        else:
            reply = self._codec.reply(frame_id, outcome.reply, outcome.version, outcome.seq, outcome.replayed)
            self._sends.append(reply)

    # Queries

    def query(self, frame: QueryFrame) -> None:
        """Run a query, now or behind the others, or say why not."""
        try:
            if len(self._waiting) >= self._limits.queries_waiting_max:
                raise LimitReached(limit="queries", retry_after_s=REQUEST_RETRY_AFTER_S)
            self._rates.query(self.principal.user_id.int)
            ask = read_query(self._codec, frame, self.principal)
        except Rejected as refusal:
            self.refuse(frame.id, refusal)
            return
        if self._running < self._limits.queries_at_once:
            self._running += 1
            self._wants.append(ask)
        elif self._waiting:
            self._waiting.append(ask)
        else:
            self._waiting = deque([ask])

    def queried(self, frame_id: str, answer: msgspec.Struct | GuildwireError) -> None:
        """The answer to a query; the next one may run."""
        if self._waiting:
            self._wants.append(self._waiting.popleft())
        else:
            self._running -= 1
        if isinstance(answer, GuildwireError):
            self.refuse(frame_id, answer)
        else:
            self.send(ReplyFrame(id=frame_id, data=answer))

    # Topics

    def subscribe(self, frame: Subscribe) -> None:
        """Ask whether the topic may be heard."""
        try:
            self._rates.query(self.principal.user_id.int)
            topic = parse_topic(frame.topic)
            if topic is None:
                raise invalid({"topic": "unknown_topic"})
            self._topics.ask(topic)
        except Rejected as refusal:
            self.refuse(frame.id, refusal)
        else:
            self._wants.append(Watch(frame.id, topic, self.principal))

    def watched(self, frame_id: str, topic: Topic) -> bool:
        """A topic may be heard; answers whether the client still wants it."""
        wanted = self._topics.confirm(topic)
        if wanted:
            self.send(ReplyFrame(id=frame_id, data=EMPTY))
        return wanted

    def not_watched(self, frame_id: str, topic: Topic, refusal: GuildwireError) -> None:
        """A topic may not be heard."""
        if self._topics.drop(topic):
            self._wants.append(Unwatch(topic))
        self.refuse(frame_id, refusal)

    def unsubscribe(self, frame: Unsubscribe) -> None:
        """Hear no more of a topic."""
        topic = parse_topic(frame.topic)
        if topic is not None and self._topics.drop(topic):
            self._wants.append(Unwatch(topic))
        self.send(ReplyFrame(id=frame.id, data=EMPTY))

    def signal(self, frame: Signal) -> None:
        """Tell the others on a topic."""
        try:
            self._rates.query(self.principal.user_id.int)
            topic = parse_topic(frame.topic)
            if topic is None or topic.kind is not TopicKind.TYPING or not self._topics.hears(topic):
                raise Forbidden(reason="not_subscribed")
        except Rejected as refusal:
            self.refuse(None, refusal)
        else:
            self._wants.append(Tell(topic, frame.state))

    def recheck(self) -> None:
        """Ask again which of the topics may be heard."""
        if topics := self._topics.heard:
            self._wants.append(Recheck(topics, self.principal))

    def rechecked(self, asked: Collection[Topic], allowed: Collection[Topic]) -> None:
        """Which of these topics may still be heard; the others end, and the client is told."""
        for topic in asked:
            if topic not in allowed and self._topics.hears(topic):
                self._topics.drop(topic)
                self._wants.append(Unwatch(topic))
                self.refuse(None, Forbidden(reason="not_yours", topic=str(topic)))

    # Answers

    def send(self, frame: ServerFrame) -> None:
        """Send a frame."""
        self._sends.append(self._codec.encode(frame))

    def refuse(self, frame_id: str | None, error: GuildwireError) -> None:
        """Send an error."""
        self.send(error_frame(frame_id, error))


def error_frame(frame_id: str | None, error: GuildwireError) -> ErrorFrame:
    """Render an error; without an id it is about the session."""
    fields = dict(error.fields)
    retry_after_s = fields.pop("retry_after_s", None)
    return ErrorFrame(id=frame_id, code=error.code, retry_after_s=retry_after_s, fields=fields)


def announced(limits: Limits, rates: Rates) -> SocketLimits:
    """Say to a client what it is held to."""
    return SocketLimits(
        frame_bytes=limits.frame_bytes_max,
        frames_per_s=limits.frames_per_s,
        frames_burst=int(limits.frames_burst),
        bad_frames=limits.bad_frames_max,
        commands_per_s=rates.commands.per_s,
        commands_burst=rates.commands.burst,
        in_flight=limits.in_flight_max,
        queries_per_s=rates.queries.per_s,
        queries_burst=rates.queries.burst,
        queries=limits.queries_at_once,
        queries_waiting=limits.queries_waiting_max,
        topics=limits.topics_max,
        connections=limits.connections_per_user_max,
        queue_bytes=limits.queue_bytes_max,
        resume_page=limits.page_rows,
        pong_s=limits.pong_s if limits.pong_s < inf else None,
    )


#: What an open session leaves to its requests.
REQUESTS: dict[type, Callable[[Requests, Any], None]] = {
    CommandFrame: Requests.command,
    QueryFrame: Requests.query,
    Subscribe: Requests.subscribe,
    Unsubscribe: Requests.unsubscribe,
    Signal: Requests.signal,
}
