"""One client's session, without input or output: what happens goes in, frames and wants come out.

    HELLO ──hello──▶ SIGNING_IN ──authenticated──▶ OPENING ──positioned (, paged)──▶ OPEN ──drain──▶ LEAVING
      └─────────────────┴────────────────────────────┴──── close ──▶ CLOSED ◀─────────┴────────────────┘

The shell (``socket.py``) calls one method for each thing that happens, then takes ``sends`` (encoded frames, in order)
and ``wants`` (what the session needs from outside) away. ``now`` is seconds on a clock that never goes back.
"""

from collections.abc import Callable, Collection
from math import inf
from typing import Any
from uuid import UUID

import msgspec

from actors.runtime.call import Outcome
from protocol.errors import Fault, GuildwireError, LimitReached, Unauthenticated
from protocol.frames import (
    Ack,
    AckState,
    Bye,
    CloseCode,
    Hello,
    Inbound,
    NotAFrame,
    OpenOutcome,
    Ping,
    Pong,
    Position,
    Refresh,
    ReplyFrame,
    ServerFrame,
    Undecodable,
    Welcome,
    parse_position,
)
from protocol.roles import Principal
from protocol.topics import Topic
from server.edge.guards import invalid
from server.edge.token_bucket import TokenBucket
from server.live.connection.codec import Codec
from server.live.limits import Limits
from server.live.session.effects import (
    Acknowledge,
    Authenticate,
    Close,
    ReadPage,
    ReadPosition,
    Reauthenticate,
    TokenClaims,
    Want,
)
from server.live.session.requests import EMPTY, REQUEST_RETRY_AFTER_S, REQUESTS, Rates, Requests, announced, error_frame
from server.live.session.states import Alarm, State
from server.live.session.stream import LogBroken, Page, Stream


class Session:
    """One socket's state.

    Args:
        session_id: names it in logs and in the welcome.
        jitter: a random number of [0, 1), so that sessions do not ping together.
    """

    __slots__ = (
        "_acked",
        "_alarms",
        "_bad_frames",
        "_codec",
        "_flood",
        "_head",
        "_heard",
        "_heartbeat_s",
        "_limits",
        "_rates",
        "_refreshing",
        "_requests",
        "_since",
        "_stream",
        "alarmed",
        "device",
        "epoch",
        "outcome",
        "sends",
        "session_id",
        "state",
        "wants",
    )

    def __init__(
        self, *, session_id: UUID, codec: Codec, limits: Limits, rates: Rates, jitter: float, now: float
    ) -> None:
        self.session_id = session_id
        self.state = State.HELLO
        self.device = ""
        #: Set when it opens: how, and which epoch its numbers belong to.
        self.outcome: OpenOutcome | None = None
        self.epoch = ""
        #: Frames for the client, in order; the shell takes them away.
        self.sends: list[bytes] = []
        #: What the shell is to do, in order; the shell takes them away.
        self.wants: list[Want] = []
        #: Set when an alarm was added: the shell looks at ``wakes_at`` again, and unsets it.
        self.alarmed = True
        self._requests: Requests | None = None
        self._stream: Stream | None = None
        self._codec = codec
        self._limits = limits
        self._rates = rates
        self._flood = TokenBucket(limits.frames_per_s, limits.frames_burst, now)
        self._heartbeat_s = limits.heartbeat_s * (1.0 - limits.heartbeat_jitter * jitter)
        self._alarms = {Alarm.OPENED: now + limits.hello_s}
        self._since: Position | None = None
        self._head: Position | None = None
        #: The highest number that went by while the session was opening.
        self._heard = 0
        #: The highest numbers that were acknowledged; None before the first.
        self._acked: dict[AckState, int] | None = None
        self._bad_frames = 0
        self._refreshing = False

    @property
    def wakes_at(self) -> float:
        """When ``tick`` is next needed."""
        return min(self._alarms.values(), default=inf)

    @property
    def principal(self) -> Principal | None:
        """Whose session it is, once that is known."""
        return None if self._requests is None else self._requests.principal

    @property
    def seq(self) -> int:
        """The number of the last event that was sent."""
        return 0 if self._stream is None else self._stream.seq

    # What the client says

    def receive(self, data: bytes, now: float) -> None:
        """Take one message of the client."""
        if self.state is State.CLOSED or not self.touch(now):
            return
        try:
            frame = self._codec.decode(data)
        except Undecodable:
            self.close(CloseCode.BAD_FRAME)
        except NotAFrame as error:
            self._answer_bad_frame(error)
        else:
            self._dispatch(frame, now)

    def touch(self, now: float) -> bool:
        """Note that the client is there; answers whether it says no more than it may."""
        self._alarms.pop(Alarm.PONG, None)
        if self._flood.take(now):
            self.close(CloseCode.RATE_LIMITED, self._limits.reconnect_spread_s)
            return False
        return True

    def _dispatch(self, frame: Inbound, now: float) -> None:
        if self.state is State.OPEN:
            request = REQUESTS.get(type(frame))
            if request is not None:
                request(self._requests, frame)  # type: ignore[arg-type]  # an open session has its requests
                return
            about_session = _ABOUT_SESSION.get(type(frame))
            if about_session is not None:
                about_session(self, frame)
                return
        elif self.state is State.LEAVING:
            return
        elif self.state is State.HELLO and type(frame) is Hello:
            self._hello(frame, now)
            return
        self.close(CloseCode.BAD_FRAME)

    def _answer_bad_frame(self, error: NotAFrame) -> None:
        self._bad_frames += 1
        if self.state is not State.OPEN or self._bad_frames > self._limits.bad_frames_max:
            self.close(CloseCode.BAD_FRAME)
        else:
            self._refuse(error.id, invalid(error.fields))

    def _hello(self, frame: Hello, now: float) -> None:
        self.state = State.SIGNING_IN
        self.device = frame.device or ""
        self._since = None if frame.since is None else parse_position(frame.since) or _NOWHERE
        self._wake(Alarm.OPENED, now + self._limits.opening_s)
        self.wants.append(Authenticate(frame.token))

    def _ack(self, frame: Ack) -> None:
        if frame.seq > self.seq:
            self._refuse(None, invalid({"seq": "not_sent_yet"}))
            return
        acked = self._acked
        if acked is None:
            acked = self._acked = {}
        if frame.seq > acked.get(frame.state, 0):
            acked[frame.state] = frame.seq
            self.wants.append(Acknowledge(self.device, frame.seq, frame.state))

    def _refresh(self, frame: Refresh) -> None:
        if self._refreshing:
            self._refuse(frame.id, LimitReached(limit="refreshes", retry_after_s=REQUEST_RETRY_AFTER_S))
            return
        self._refreshing = True
        self.wants.append(Reauthenticate(frame.token, frame.id))

    def _ping(self, frame: Ping) -> None:
        self._send(_PONG)

    def _pong(self, frame: Pong) -> None:
        """Whatever the client sends shows that it is there."""

    # How it opens

    def authenticated(self, grant: TokenClaims) -> None:
        """The hello's token holds."""
        if self.state is not State.SIGNING_IN:
            return
        self.state = State.OPENING
        self._requests = Requests(
            grant.principal,
            codec=self._codec,
            limits=self._limits,
            rates=self._rates,
            sends=self.sends,
            wants=self.wants,
        )
        self._wake(Alarm.TOKEN, grant.expires_at_s)
        self.wants.append(ReadPosition(grant.principal.user_id))

    def refused(self, error: GuildwireError) -> None:
        """The hello's token does not hold, or nobody can tell."""
        if self.state is not State.SIGNING_IN:
            return
        self._refuse(None, error)
        if isinstance(error, Fault):
            self.close(CloseCode.UNAVAILABLE, self._limits.reconnect_spread_s)
        elif isinstance(error, Unauthenticated) and error.fields.get("reason") == "expired":
            self.close(CloseCode.TOKEN_EXPIRED)
        else:
            self.close(CloseCode.INVALID_TOKEN)

    def refreshed(self, frame_id: str | None, grant: TokenClaims) -> None:
        """The new token holds."""
        self._refreshing = False
        if self.state is not State.OPEN or self._requests is None:
            return
        if grant.principal.user_id != self._requests.principal.user_id:
            self.close(CloseCode.INVALID_TOKEN)
            return
        if grant.principal != self._requests.principal:
            self._requests.principal = grant.principal
            self._requests.recheck()
        self._wake(Alarm.TOKEN, grant.expires_at_s)
        if frame_id is not None:
            self._send(ReplyFrame(id=frame_id, data=EMPTY))

    def not_refreshed(self, frame_id: str | None, error: GuildwireError) -> None:
        """The new token does not hold; the old one runs on until it expires."""
        self._refreshing = False
        self._refuse(frame_id, error)

    def positioned(self, head: Position, now: float) -> None:
        """The end of the log is known; live events come in already, and wait."""
        if self.state is not State.OPENING:
            return
        since = self._since
        if since is None:
            self._open(OpenOutcome.FRESH, head, head.seq, now)
        elif since.epoch != head.epoch or since.seq > head.seq:
            self._open(OpenOutcome.RESET, head, head.seq, now)
        elif since.seq == head.seq:
            self._open(OpenOutcome.RESUMED, head, head.seq, now)
        else:
            self._head = head
            self.wants.append(ReadPage(since.seq))

    def paged(self, page: Page, now: float) -> None:
        """A page of the log, asked for by ``ReadPage``."""
        if self.state is State.OPENING:
            assert self._head is not None
            assert self._since is not None
            if not page.rows or page.rows[0][0] != self._since.seq + 1:
                self._open(OpenOutcome.RESET, self._head, self._head.seq, now)
                return
            self._open(OpenOutcome.RESUMED, self._head, self._since.seq, now)
        if self._stream is not None and self.state is not State.CLOSED:
            self._feed(self._stream, page, now)

    def _feed(self, stream: Stream, page: Page, now: float) -> None:
        try:
            stream.feed(page)
        except LogBroken:
            self.close(CloseCode.RESYNC)
            return
        if stream.reading:
            self.wants.append(ReadPage(stream.seq))
        elif stream.empty_reads >= self._limits.gap_reads_max:
            self.close(CloseCode.RESYNC)
        else:
            self._look_for_gap(stream, now)

    def failed(self, error: GuildwireError) -> None:
        """The log cannot be read now."""
        code = CloseCode.UNAVAILABLE if isinstance(error, Fault) else CloseCode.INTERNAL
        self.close(code, self._limits.reconnect_spread_s)

    def _open(self, outcome: OpenOutcome, head: Position, seq: int, now: float) -> None:
        assert self._requests is not None
        self.state = State.OPEN
        self.outcome = outcome
        self.epoch = head.epoch
        self._alarms.pop(Alarm.OPENED, None)
        self._wake(Alarm.PING, now + self._heartbeat_s)
        self._wake(Alarm.RECHECK, now + self._limits.recheck_s)
        self._send(
            Welcome(
                session=self.session_id,
                user=self._requests.principal.user_id,
                epoch=head.epoch,
                seq=head.seq,
                outcome=outcome,
                heartbeat_s=self._limits.heartbeat_s,
                limits=announced(self._limits, self._rates),
            )
        )
        stream = self._stream = Stream(self.sends, seq, self._limits)
        stream.hear(max(self._heard, head.seq))
        stream.reading = seq < head.seq
        self._look_for_gap(stream, now)

    # What happens meanwhile

    def event(self, seq: int, frame: bytes, now: float) -> None:
        """A committed event of this user; in any order."""
        stream = self._stream
        if stream is None:
            self._heard = max(self._heard, seq)
        elif self.state is not State.CLOSED and stream.push(seq, frame):
            self._look_for_gap(stream, now)

    def heard(self, seq: int, now: float) -> None:
        """The user's log is known to go on to this number."""
        if self._stream is not None and self.state is not State.CLOSED:
            self._stream.hear(seq)
            self._look_for_gap(self._stream, now)

    def _look_for_gap(self, stream: Stream, now: float) -> None:
        """Give what is missing a moment to come by itself, then read the log."""
        if stream.gap and not stream.reading and Alarm.GAP not in self._alarms:
            self._wake(Alarm.GAP, now + self._limits.gap_grace_s)

    def answered(self, frame_id: str, outcome: Outcome) -> None:
        """What came of a command."""
        requests = self._requests
        assert requests is not None
        requests.in_flight -= 1
        if self.state is not State.CLOSED:
            requests.answered(frame_id, outcome)
            if self.state is State.LEAVING and not requests.in_flight:
                self._leave()

    def queried(self, frame_id: str, answer: msgspec.Struct | GuildwireError) -> None:
        """The answer to a query."""
        if self._requests is not None and self.state is not State.CLOSED:
            self._requests.queried(frame_id, answer)

    def watched(self, frame_id: str, topic: Topic) -> bool:
        """A topic may be heard; answers whether the client still wants it."""
        if self._requests is None or self.state is State.CLOSED:
            return False
        return self._requests.watched(frame_id, topic)

    def not_watched(self, frame_id: str, topic: Topic, refusal: GuildwireError) -> None:
        """A topic may not be heard."""
        if self._requests is not None and self.state is not State.CLOSED:
            self._requests.not_watched(frame_id, topic, refusal)

    def rechecked(self, asked: Collection[Topic], allowed: Collection[Topic]) -> None:
        """Which of these topics may still be heard."""
        if self._requests is not None and self.state is not State.CLOSED:
            self._requests.rechecked(asked, allowed)

    # The clock, and the end

    def tick(self, now: float) -> None:
        """Do what is due."""
        for alarm in [alarm for alarm, at in self._alarms.items() if at <= now]:
            if self.state is State.CLOSED:
                return
            del self._alarms[alarm]
            _DUE[alarm](self, now)

    def _due_opened(self, now: float) -> None:
        if self.state is State.HELLO:
            self.close(CloseCode.AUTH_TIMEOUT)
        else:
            self.close(CloseCode.UNAVAILABLE, self._limits.reconnect_spread_s)

    def _due_ping(self, now: float) -> None:
        self._send(_PING)
        self._alarms.setdefault(Alarm.PONG, now + self._limits.pong_s)
        self._wake(Alarm.PING, now + self._heartbeat_s)

    def _due_gap(self, now: float) -> None:
        stream = self._stream
        if stream is not None and stream.gap and not stream.reading:
            stream.reading = True
            self.wants.append(ReadPage(stream.seq))

    def _due_recheck(self, now: float) -> None:
        assert self._requests is not None
        self._requests.recheck()
        self._wake(Alarm.RECHECK, now + self._limits.recheck_s)

    def drain(self, after_s: float, now: float) -> None:
        """The server stops: say goodbye, answer what is under way, close."""
        if self.state is State.OPEN:
            assert self._requests is not None
            self.state = State.LEAVING
            self._bye(CloseCode.SHUTDOWN, after_s)
            self._wake(Alarm.LEFT, now + self._limits.drain_s)
            if not self._requests.in_flight:
                self._leave()
        elif self.state is not State.LEAVING:
            self.close(CloseCode.SHUTDOWN, after_s)

    def _leave(self) -> None:
        self.state = State.CLOSED
        self.wants.append(Close(CloseCode.SHUTDOWN))

    def close(self, code: CloseCode, after_s: float = 0.0) -> None:
        """End the session for this reason; what was sent before still goes out."""
        if self.state is State.CLOSED:
            return
        if self.state is not State.LEAVING:
            self._bye(code, after_s)
        self.state = State.CLOSED
        self.wants.append(Close(code))

    def lost(self) -> None:
        """The connection is gone."""
        self.state = State.CLOSED

    # Small things

    def _bye(self, code: CloseCode, after_s: float) -> None:
        self._send(Bye(code=code, reason=code.reason, reconnect=code.reconnect, after_s=after_s))

    def _refuse(self, frame_id: str | None, error: GuildwireError) -> None:
        self._send(error_frame(frame_id, error))

    def _send(self, frame: ServerFrame | Ping | Pong) -> None:
        if self.state is not State.CLOSED:
            self.sends.append(self._codec.encode(frame))

    def _wake(self, alarm: Alarm, at: float) -> None:
        self._alarms[alarm] = at
        self.alarmed = True


_PING, _PONG = Ping(), Pong()
#: A ``since`` that does not parse: no epoch is empty, so it resets.
_NOWHERE = Position("", 0)

_ABOUT_SESSION: dict[type, Callable[[Session, Any], None]] = {
    Ack: Session._ack,
    Refresh: Session._refresh,
    Ping: Session._ping,
    Pong: Session._pong,
}

_DUE: dict[Alarm, Callable[[Session, float], None]] = {
    Alarm.OPENED: Session._due_opened,
    Alarm.TOKEN: lambda session, now: session.close(CloseCode.TOKEN_EXPIRED),
    Alarm.PONG: lambda session, now: session.close(CloseCode.NO_PONG),
    Alarm.LEFT: lambda session, now: session._leave(),
    Alarm.PING: Session._due_ping,
    Alarm.GAP: Session._due_gap,
    Alarm.RECHECK: Session._due_recheck,
}
