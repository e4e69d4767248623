"""One client's session, without input or output.

    HELLO ─hello─▶ AUTHENTICATING ─authenticated─▶ OPENING ─position_read (, page_read)─▶ OPEN ─drain─▶ DRAINING
      └──────────────────┴────────────────────────────┴──── close ──▶ CLOSED ◀─────────────┴──────────────┘

The connection calls one method for each thing that happens. After each call it sends the frames in ``to_send`` and
carries out the ``effects``, both in order, and empties them. ``now`` is seconds on the event loop's clock.
"""

from enum import Enum, IntEnum
from math import inf
from typing import assert_never
from uuid import UUID

from actors.runtime.call import Outcome
from protocol.errors import Fault, GuildwireError, LimitReached, Unauthenticated
from protocol.frames import (
    Ack,
    AckState,
    Bye,
    CloseCode,
    CommandFrame,
    Hello,
    Inbound,
    NotAFrame,
    OpenOutcome,
    Ping,
    Pong,
    Position,
    QueryFrame,
    Refresh,
    ReplyFrame,
    ServerFrame,
    Signal,
    Subscribe,
    Undecodable,
    Unsubscribe,
    Welcome,
    parse_position,
)
from protocol.rates import Rate
from protocol.roles import Principal
from server.edge.guards import invalid
from server.edge.token_bucket import TokenBucket
from server.live.connection.codec import Codec
from server.live.limits import REQUEST_RETRY_AFTER_S, Limits
from server.live.session.effects import (
    Authenticate,
    Close,
    Effect,
    Probe,
    ReadPage,
    ReadPosition,
    Reauthenticate,
    StoreAck,
    TokenClaims,
)
from server.live.session.requests import EMPTY, Rates, Requests, announced_limits, error_frame
from server.live.session.stream import LogBroken, Page, Stream


class State(Enum):
    """The state of a session."""

    HELLO = "hello"
    AUTHENTICATING = "authenticating"
    OPENING = "opening"
    OPEN = "open"
    #: The server stops; commands under way are still answered.
    DRAINING = "draining"
    CLOSED = "closed"


class Timer(IntEnum):
    """The timers of a session."""

    OPEN = 0
    TOKEN = 1
    PONG = 2
    DRAIN = 3
    PING = 4
    GAP = 5
    RECHECK = 6

    __hash__ = int.__hash__  # in C, unlike Enum's; needed for each frame


class Session:
    """The state of one session.

    Args:
        session_id: names it in logs and in the welcome.
        jitter: a random number of [0, 1), so that sessions do not ping together.
    """

    __slots__ = (
        "_acked",
        "_bad_frames",
        "_codec",
        "_deadlines",
        "_flood",
        "_head",
        "_head_seq",
        "_heartbeat_s",
        "_limits",
        "_rates",
        "_refreshing",
        "_requests",
        "_since",
        "_stream",
        "deadline_changed",
        "device",
        "effects",
        "epoch",
        "outcome",
        "session_id",
        "state",
        "to_send",
    )

    def __init__(
        self, *, session_id: UUID, codec: Codec, limits: Limits, rates: Rates, jitter: float, now: float
    ) -> None:
        self.session_id = session_id
        self.state = State.HELLO
        self.device = ""
        #: Set when the session opens: how, and the epoch of its numbers.
        self.outcome: OpenOutcome | None = None
        self.epoch = ""
        #: Frames for the client, in order.
        self.to_send: list[bytes] = []
        #: What the connection is to carry out, in order.
        self.effects: list[Effect] = []
        #: Set when a timer was set; the connection looks at ``deadline`` again, and unsets it.
        self.deadline_changed = True
        self._requests: Requests | None = None
        self._stream: Stream | None = None
        self._codec = codec
        self._limits = limits
        self._rates = rates
        self._flood = TokenBucket(Rate(limits.frames_per_s, int(limits.frames_burst)))
        self._heartbeat_s = limits.heartbeat_s * (1.0 - limits.heartbeat_jitter * jitter)
        self._deadlines = {Timer.OPEN: now + limits.hello_s}
        #: From the hello; then where the log ended while the session opened.
        self._since: Position | None = None
        self._head: Position | None = None
        #: The highest number of an event that arrived while the session opened.
        self._head_seq = 0
        #: The highest numbers that were acknowledged; None before the first.
        self._acked: dict[AckState, int] | None = None
        self._bad_frames = 0
        self._refreshing = False

    @property
    def deadline(self) -> float:
        """When ``tick`` is needed next; ``inf`` for a closed session."""
        return inf if self.state is State.CLOSED else min(self._deadlines.values(), default=inf)

    @property
    def principal(self) -> Principal | None:
        """The client, once it is authenticated."""
        return None if self._requests is None else self._requests.principal

    @property
    def requests(self) -> Requests:
        """The requests of an authenticated session."""
        assert self._requests is not None
        return self._requests

    @property
    def seq(self) -> int:
        """The number of the last event that was sent."""
        return 0 if self._stream is None else self._stream.seq

    # Frames of the client

    def receive(self, data: bytes, now: float) -> None:
        """Handle one message of the client."""
        if self.state is State.CLOSED or not self.note_activity(now):
            return
        try:
            frame = self._codec.decode(data)
        except Undecodable:
            self.close(CloseCode.BAD_FRAME)
        except NotAFrame as error:
            self._refuse_bad_frame(error)
        else:
            if self.state is State.OPEN:
                self._handle(frame)
            elif self.state is State.HELLO and isinstance(frame, Hello):
                self._hello(frame, now)
            elif self.state is not State.DRAINING:
                self.close(CloseCode.BAD_FRAME)

    def note_activity(self, now: float) -> bool:
        """Note that the client is alive; closes the session and returns False if it sends too much."""
        self._deadlines.pop(Timer.PONG, None)
        if self._flood.take(now):
            self.close(CloseCode.RATE_LIMITED, self._limits.reconnect_spread_s)
            return False
        return True

    def _handle(self, frame: Inbound) -> None:
        """Handle a frame of an open session."""
        match frame:
            case CommandFrame():
                self.requests.command(frame)
            case Ack():
                self._ack(frame)
            case QueryFrame():
                self.requests.query(frame)
            case Signal():
                self.requests.signal(frame)
            case Subscribe():
                self.requests.subscribe(frame)
            case Unsubscribe():
                self.requests.unsubscribe(frame)
            case Refresh():
                self._refresh(frame)
            case Ping():
                self._send(Pong())
            case Pong():
                pass  # any message shows that the client is alive
            case Hello():
                self.close(CloseCode.BAD_FRAME)
            case _:
                assert_never(frame)

    def _refuse_bad_frame(self, error: NotAFrame) -> None:
        self._bad_frames += 1
        if self.state is not State.OPEN or self._bad_frames > self._limits.bad_frames_max:
            self.close(CloseCode.BAD_FRAME)
        else:
            self._refuse(error.id, invalid(error.fields))

    def _hello(self, frame: Hello, now: float) -> None:
        self.state = State.AUTHENTICATING
        self.device = frame.device or ""
        if frame.since is not None:
            self._since = parse_position(frame.since) or Position("", 0)  # no epoch is empty: the session resets
        self._set_timer(Timer.OPEN, now + self._limits.opening_s)
        self.effects.append(Authenticate(frame.token))

    def _ack(self, frame: Ack) -> None:
        if frame.seq > self.seq:
            self._refuse(None, invalid({"seq": "not_sent_yet"}))
            return
        acked = self._acked
        if acked is None:
            acked = self._acked = {}
        if frame.seq > acked.get(frame.state, 0):
            acked[frame.state] = frame.seq
            self.effects.append(StoreAck(self.device, frame.seq, frame.state))

    def _refresh(self, frame: Refresh) -> None:
        if self._refreshing:
            self._refuse(frame.id, LimitReached(limit="refreshes", retry_after_s=REQUEST_RETRY_AFTER_S))
            return
        self._refreshing = True
        self.effects.append(Reauthenticate(frame.token, frame.id))

    # Opening

    def authenticated(self, claims: TokenClaims) -> None:
        """The hello's token is valid."""
        if self.state is not State.AUTHENTICATING:
            return
        self.state = State.OPENING
        self._requests = Requests(
            claims.principal,
            codec=self._codec,
            limits=self._limits,
            rates=self._rates,
            to_send=self.to_send,
            effects=self.effects,
        )
        self._set_timer(Timer.TOKEN, claims.expires_at_s)
        self.effects.append(ReadPosition(claims.principal.user_id))

    def authentication_failed(self, error: GuildwireError) -> None:
        """The hello's token is not valid, or cannot be verified now."""
        if self.state is not State.AUTHENTICATING:
            return
        self._refuse(None, error)
        if isinstance(error, Fault):
            self.close(CloseCode.UNAVAILABLE, self._limits.reconnect_spread_s)
        elif isinstance(error, Unauthenticated) and error.fields.get("reason") == "expired":
            self.close(CloseCode.TOKEN_EXPIRED)
        else:
            self.close(CloseCode.INVALID_TOKEN)

    def refreshed(self, frame_id: str | None, claims: TokenClaims) -> None:
        """The token of a refresh is valid."""
        self._refreshing = False
        if self.state is not State.OPEN:
            return
        if claims.principal.user_id != self.requests.principal.user_id:
            self.close(CloseCode.INVALID_TOKEN)
            return
        if claims.principal != self.requests.principal:
            self.requests.principal = claims.principal
            self.requests.recheck_topics()
        self._set_timer(Timer.TOKEN, claims.expires_at_s)
        if frame_id is not None:
            self._send(ReplyFrame(id=frame_id, data=EMPTY))

    def refresh_failed(self, frame_id: str | None, error: GuildwireError) -> None:
        """The token of a refresh is not valid; the old one is used until it expires."""
        self._refreshing = False
        self._refuse(frame_id, error)

    def position_read(self, head: Position, now: float) -> None:
        """The end of the log is known; live events arrive already, and are counted in ``event``."""
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
            self.effects.append(ReadPage(since.seq))

    def page_read(self, page: Page, now: float) -> None:
        """The page of the log that ``ReadPage`` asked for."""
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
            self.effects.append(ReadPage(stream.seq))
        elif stream.empty_reads >= self._limits.gap_reads_max:
            self.close(CloseCode.RESYNC)
        else:
            self._check_gap(stream, now)

    def read_failed(self, error: GuildwireError) -> None:
        """The log cannot be read now."""
        code = CloseCode.UNAVAILABLE if isinstance(error, Fault) else CloseCode.INTERNAL
        self.close(code, self._limits.reconnect_spread_s)

    def _open(self, outcome: OpenOutcome, head: Position, seq: int, now: float) -> None:
        self.state = State.OPEN
        self.outcome = outcome
        self.epoch = head.epoch
        self._deadlines.pop(Timer.OPEN, None)
        self._set_timer(Timer.PING, now + self._heartbeat_s)
        self._set_timer(Timer.RECHECK, now + self._limits.recheck_s)
        self._send(
            Welcome(
                session=self.session_id,
                user=self.requests.principal.user_id,
                epoch=head.epoch,
                seq=head.seq,
                outcome=outcome,
                heartbeat_s=self._limits.heartbeat_s,
                limits=announced_limits(self._limits, self._rates),
            )
        )
        stream = self._stream = Stream(self.to_send, seq, self._limits)
        stream.note_head(max(self._head_seq, head.seq))
        stream.reading = seq < head.seq
        self._check_gap(stream, now)

    # Events and replies

    def event(self, seq: int, frame: bytes, now: float) -> None:
        """A committed event of this user; in any order."""
        stream = self._stream
        if stream is None:
            self._head_seq = max(self._head_seq, seq)
        elif self.state is not State.CLOSED and stream.push(seq, frame):
            self._check_gap(stream, now)

    def note_head(self, seq: int, now: float) -> None:
        """Note that the user's log goes on to this number."""
        if self._stream is not None and self.state is not State.CLOSED:
            self._stream.note_head(seq)
            self._check_gap(self._stream, now)

    def _check_gap(self, stream: Stream, now: float) -> None:
        """Wait a moment for a missing event, then read the log."""
        if stream.gap and not stream.reading and Timer.GAP not in self._deadlines:
            self._set_timer(Timer.GAP, now + self._limits.gap_grace_s)

    def command_done(self, frame_id: str, outcome: Outcome) -> None:
        """A command was decided and committed, or failed."""
        requests = self.requests
        requests.commands_pending -= 1
        if self.state is not State.CLOSED:
            requests.command_done(frame_id, outcome)
            if self.state is State.DRAINING and not requests.commands_pending:
                self._finish(CloseCode.SHUTDOWN)

    # Timers

    def tick(self, now: float) -> None:
        """Handle the timers that are due."""
        for timer in [timer for timer, at in self._deadlines.items() if at <= now]:
            if self.state is State.CLOSED:
                return
            del self._deadlines[timer]
            self._expire(timer, now)

    def _expire(self, timer: Timer, now: float) -> None:
        match timer:
            case Timer.OPEN if self.state is State.HELLO:
                self.close(CloseCode.AUTH_TIMEOUT)
            case Timer.OPEN:
                self.close(CloseCode.UNAVAILABLE, self._limits.reconnect_spread_s)
            case Timer.TOKEN:
                self.close(CloseCode.TOKEN_EXPIRED)
            case Timer.PONG:
                self.close(CloseCode.NO_PONG)
            case Timer.DRAIN:
                self._finish(CloseCode.SHUTDOWN)
            case Timer.PING:
                self._send(Ping())
                self.effects.append(Probe())
                self._deadlines.setdefault(Timer.PONG, now + self._limits.pong_s)
                self._set_timer(Timer.PING, now + self._heartbeat_s)
            case Timer.GAP:
                self._read_gap()
            case Timer.RECHECK:
                self.requests.recheck_topics()
                self._set_timer(Timer.RECHECK, now + self._limits.recheck_s)
            case _:
                assert_never(timer)

    def _read_gap(self) -> None:
        stream = self._stream
        if stream is not None and stream.gap and not stream.reading:
            stream.reading = True
            self.effects.append(ReadPage(stream.seq))

    def _set_timer(self, timer: Timer, at: float) -> None:
        self._deadlines[timer] = at
        self.deadline_changed = True

    # The end

    def drain(self, after_s: float, now: float) -> None:
        """The server stops: send the goodbye, answer the commands under way, close."""
        if self.state is State.OPEN:
            self.state = State.DRAINING
            self._bye(CloseCode.SHUTDOWN, after_s)
            self._set_timer(Timer.DRAIN, now + self._limits.drain_s)
            if not self.requests.commands_pending:
                self._finish(CloseCode.SHUTDOWN)
        elif self.state is not State.DRAINING:
            self.close(CloseCode.SHUTDOWN, after_s)

    def close(self, code: CloseCode, after_s: float = 0.0) -> None:
        """Close the session for this reason; what was sent before is still delivered."""
        if self.state is State.CLOSED:
            return
        if self.state is not State.DRAINING:
            self._bye(code, after_s)
        self._finish(code)

    def _finish(self, code: CloseCode) -> None:
        self._end()
        self.effects.append(Close(code))

    def connection_lost(self) -> None:
        """The connection is gone."""
        self._end()

    def _end(self) -> None:
        self.state = State.CLOSED
        if self._requests is not None:
            self._requests.closed = True

    # Frames for the client

    def _bye(self, code: CloseCode, after_s: float) -> None:
        self._send(Bye(code=code, reason=code.reason, reconnect=code.reconnect, after_s=after_s))

    def _refuse(self, frame_id: str | None, error: GuildwireError) -> None:
        self._send(error_frame(frame_id, error))

    def _send(self, frame: ServerFrame | Ping | Pong) -> None:
        if self.state is not State.CLOSED:
            self.to_send.append(self._codec.encode(frame))
