"""The requests of an authenticated session: commands, queries and topics, and their limits.

Like the session that it belongs to, it does no input or output: it appends frames to ``to_send`` and needs to
``effects``.
"""

from collections import deque
from collections.abc import Callable, Collection
from math import inf
from typing import Any, NamedTuple, cast

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
from protocol.rates import Rate
from protocol.registry import BY_NAME, Command, Declaration, Mode, Query
from protocol.roles import Principal
from protocol.topics import Topic, TopicKind, parse_topic
from server.edge.guards import invalid
from server.live.connection.codec import Codec
from server.live.limits import REQUEST_RETRY_AFTER_S, Limits
from server.live.session.effects import (
    Effect,
    RecheckTopics,
    RunQuery,
    SendSignal,
    SubmitCommand,
    SubscribeTopic,
    UnsubscribeTopic,
)
from server.live.session.subscriptions import Subscriptions

EMPTY: dict[str, Any] = {}


class Rates(NamedTuple):
    """The rate limits of a user, shared by all transports. Its functions raise LimitReached."""

    #: By the user's number, since ids hash and compare in Python.
    take_command: Callable[[int], None]
    take_query: Callable[[int], None]
    #: For a command or query that declares a rate of its own.
    take_own: Callable[[Declaration, UserId], None]
    #: The rates behind the first two, for the welcome.
    commands: Rate
    queries: Rate


class Requests:
    """One session's requests.

    Args:
        to_send: receives encoded frames.
        effects: receives what the connection is to carry out.
    """

    __slots__ = (
        "_codec",
        "_effects",
        "_limits",
        "_queries_running",
        "_queries_waiting",
        "_rates",
        "_to_send",
        "_topics",
        "closed",
        "commands_pending",
        "principal",
    )

    def __init__(
        self,
        principal: Principal,
        *,
        codec: Codec,
        limits: Limits,
        rates: Rates,
        to_send: list[bytes],
        effects: list[Effect],
    ) -> None:
        #: The client; a refreshed token may change its roles.
        self.principal = principal
        #: Commands that have not been answered yet.
        self.commands_pending = 0
        #: Set when the session ends: results that arrive later are dropped.
        self.closed = False
        self._codec = codec
        self._limits = limits
        self._rates = rates
        self._to_send = to_send
        self._effects = effects
        self._topics = Subscriptions(limits.topics_max)
        self._queries_running = 0
        self._queries_waiting: deque[RunQuery] | tuple[()] = ()

    # Commands

    def command(self, frame: CommandFrame) -> None:
        """Check and submit a command, or refuse it."""
        principal = self.principal
        try:
            if self.commands_pending >= self._limits.in_flight_max:
                raise LimitReached(limit="in_flight", retry_after_s=REQUEST_RETRY_AFTER_S)
            self._rates.take_command(principal.user_id.int)
            submit = decode_command(self._codec, frame, principal)
            if submit.declared.rate is not None:
                self._rates.take_own(submit.declared, principal.user_id)
        except Rejected as refusal:
            self.refuse(frame.id, refusal)
        else:
            self._effects.append(submit)
            self.commands_pending += 1

    def command_done(self, frame_id: str, outcome: Outcome) -> None:
        """Send the reply to a command, or its error."""
        if outcome.error is not None:
            self.refuse(frame_id, outcome.error)
        else:
            reply = self._codec.reply(frame_id, outcome.reply, outcome.version, outcome.seq, outcome.replayed)
            self._to_send.append(reply)

    # Queries

    def query(self, frame: QueryFrame) -> None:
        """Check a query and run it, now or after the others, or refuse it."""
        try:
            if len(self._queries_waiting) >= self._limits.queries_waiting_max:
                raise LimitReached(limit="queries", retry_after_s=REQUEST_RETRY_AFTER_S)
            self._rates.take_query(self.principal.user_id.int)
            run = decode_query(self._codec, frame, self.principal)
            if (declared := BY_NAME[frame.name]).rate is not None:
                self._rates.take_own(declared, self.principal.user_id)
        except Rejected as refusal:
            self.refuse(frame.id, refusal)
            return
        if self._queries_running < self._limits.queries_at_once:
            self._queries_running += 1
            self._effects.append(run)
        elif self._queries_waiting:
            self._queries_waiting.append(run)
        else:
            self._queries_waiting = deque([run])

    def query_done(self, frame_id: str, result: msgspec.Struct | GuildwireError) -> None:
        """Send the result of a query, and run the next one."""
        if self.closed:
            return
        if self._queries_waiting:
            self._effects.append(self._queries_waiting.popleft())
        else:
            self._queries_running -= 1
        if isinstance(result, GuildwireError):
            self.refuse(frame_id, result)
        else:
            self.send(ReplyFrame(id=frame_id, data=result))

    # Topics

    def subscribe(self, frame: Subscribe) -> None:
        """Have the right to a topic checked, or refuse it."""
        try:
            self._rates.take_query(self.principal.user_id.int)
            topic = parse_topic(frame.topic)
            if topic is None:
                raise invalid({"topic": "unknown_topic"})
            self._topics.request(topic)
        except Rejected as refusal:
            self.refuse(frame.id, refusal)
        else:
            self._effects.append(SubscribeTopic(frame.id, topic, self.principal))

    def topic_allowed(self, frame_id: str, topic: Topic) -> bool:
        """The subscription is allowed; returns False if the client does not want it any more."""
        wanted = not self.closed and self._topics.activate(topic)
        if wanted:
            self.send(ReplyFrame(id=frame_id, data=EMPTY))
        return wanted

    def topic_refused(self, frame_id: str, topic: Topic, refusal: GuildwireError) -> None:
        """The subscription is refused."""
        if not self.closed:
            self._remove_topic(topic)
            self.refuse(frame_id, refusal)

    def unsubscribe(self, frame: Unsubscribe) -> None:
        """End a subscription."""
        topic = parse_topic(frame.topic)
        if topic is not None:
            self._remove_topic(topic)
        self.send(ReplyFrame(id=frame.id, data=EMPTY))

    def signal(self, frame: Signal) -> None:
        """Send a signal to the other subscribers of a topic, or refuse it."""
        try:
            self._rates.take_query(self.principal.user_id.int)
            topic = parse_topic(frame.topic)
            if topic is None or topic.kind is not TopicKind.TYPING or not self._topics.is_active(topic):
                raise Forbidden(reason="not_subscribed")
        except Rejected as refusal:
            self.refuse(None, refusal)
        else:
            self._effects.append(SendSignal(topic, frame.state))

    def recheck_topics(self) -> None:
        """Have the rights to all subscribed topics checked again."""
        if topics := self._topics.active:
            self._effects.append(RecheckTopics(topics, self.principal))

    def topics_rechecked(self, topics: Collection[Topic], allowed: Collection[Topic]) -> None:
        """End the subscriptions that are not allowed any more, each with an error to the client."""
        if self.closed:
            return
        for topic in topics:
            if topic not in allowed and self._topics.is_active(topic):
                self._remove_topic(topic)
                self.refuse(None, Forbidden(reason="not_yours", topic=str(topic)))

    def _remove_topic(self, topic: Topic) -> None:
        if self._topics.remove(topic):
            self._effects.append(UnsubscribeTopic(topic))

    # Frames

    def send(self, frame: ServerFrame) -> None:
        """Send a frame."""
        self._to_send.append(self._codec.encode(frame))

    def refuse(self, frame_id: str | None, error: GuildwireError) -> None:
        """Send an error."""
        self.send(error_frame(frame_id, error))


def decode_command(codec: Codec, frame: CommandFrame, principal: Principal) -> SubmitCommand:
    """Decode a command and check the role. Raises: Invalid, Malformed, Forbidden."""
    declared = _declared(frame.name, Mode.COMMAND, principal)
    into: type[Command] = declared.type  # type: ignore[assignment]  # the mode says that it is one
    if frame.to is None:
        command = codec.decode_data(frame.data, into)
    elif declared.key is None:
        raise invalid({"to": "not_addressable"})
    else:
        command = codec.decode_addressed(frame.data, into, declared.key, str(frame.to))
    return SubmitCommand(frame.id, command, declared, principal, frame.if_version)


def decode_query(codec: Codec, frame: QueryFrame, principal: Principal) -> RunQuery:
    """Decode a query and check the role. Raises: Invalid, Malformed, Forbidden."""
    declared = _declared(frame.name, Mode.QUERY, principal)
    return RunQuery(frame.id, codec.decode_data(frame.data, cast(type[Query], declared.type)), principal)


def _declared(name: str, mode: Mode, principal: Principal) -> Declaration:
    declared = BY_NAME.get(name)
    if declared is None or declared.mode is not mode:
        raise invalid({"name": f"unknown_{mode.value}"})
    if principal.role not in declared.by and (declared.by or mode is Mode.COMMAND):
        raise Forbidden(reason="role", role=principal.role, roles=sorted(declared.by))
    return declared


def error_frame(frame_id: str | None, error: GuildwireError) -> ErrorFrame:
    """Make the frame of an error; without an id it is about the session."""
    fields = dict(error.fields)
    retry_after_s = fields.pop("retry_after_s", None)
    return ErrorFrame(id=frame_id, code=error.code, retry_after_s=retry_after_s, fields=fields)


def announced_limits(limits: Limits, rates: Rates) -> SocketLimits:
    """The limits of a session, for its welcome."""
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
