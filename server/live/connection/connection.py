"""One client's connection: it carries out its session's effects and writes what the session sends.

Subclasses own the transport: ``WebSocket``, and over plain HTTP ``EventStream`` and ``LongPoll``. Frames gather and are
written together at the end of the event loop's iteration. A connection has no task of its own except while it reads the
log or runs a query, and no timer of its own: the hub's wheel calls ``tick``.
"""

import asyncio
from collections.abc import Coroutine
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, assert_never

import structlog
from msgspec import Struct

from actors.runtime.call import Call, Outcome
from protocol.errors import RETRY_AFTER_S, Forbidden, GuildwireError, Internal, Unauthenticated, Unavailable
from protocol.frames import CloseCode
from protocol.ids import UserId
from protocol.topics import Topic
from server.edge.target import target_of
from server.live.connection.codec import Codec
from server.live.connection.outgoing import Outgoing, Slow
from server.live.hub.timer_wheel import UNSCHEDULED
from server.live.limits import Limits
from server.live.session.effects import (
    Authenticate,
    Close,
    Probe,
    ReadPage,
    ReadPosition,
    Reauthenticate,
    RecheckTopics,
    RunQuery,
    SendSignal,
    StoreAck,
    SubmitCommand,
    SubscribeTopic,
    UnsubscribeTopic,
)
from server.live.session.session import State
from server.live.session.stream import Page
from storage.database import OUTAGES

if TYPE_CHECKING:  # the hub imports connections
    from server.live.hub.hub import Hub

log = structlog.get_logger()

Work = Coroutine[Any, Any, None]

#: WebSockets with JSON and with MessagePack, event streams, long polls.
TRANSPORTS = ("json", "msgpack", "sse", "poll")
_SETTLED = (State.OPEN, State.DRAINING, State.CLOSED)


class Traffic:
    """The counters of one transport, for the metrics."""

    __slots__ = ("frames_in", "frames_out", "open")

    def __init__(self) -> None:
        #: Open connections.
        self.open = 0
        #: Messages of clients; none over plain HTTP.
        self.frames_in = 0
        #: Frames for clients.
        self.frames_out = 0


class Connection:
    """One connection, from its start to its end; base class of the transports."""

    __slots__ = (
        "_hub",
        "_limits",
        "_loop",
        "_releasing",
        "_scheduled_at",
        "_settled",
        "_tasks",
        "close_code",
        "codec",
        "dirty",
        "outgoing",
        "session",
        "slot",
        "topics",
        "traffic",
    )

    #: Set by the subclass once it has its transport.
    outgoing: Outgoing

    def __init__(self, *, hub: "Hub", codec: Codec, limits: Limits, traffic: Traffic) -> None:
        self.session = hub.new_session(codec, limits)
        self.codec = codec
        self.traffic = traffic
        #: Why the server closes the connection; None while it does not.
        self.close_code: CloseCode | None = None
        #: The topics under which the hub has it; None before the first.
        self.topics: set[Topic] | None = None
        #: Set while the hub has it on the list of connections to flush.
        self.dirty = False
        #: Kept by the hub's timer wheel.
        self.slot = UNSCHEDULED
        self._hub = hub
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        #: Work under way; None for most of the time.
        self._tasks: set[asyncio.Task[None]] | None = None
        #: When the wheel calls ``tick``.
        self._scheduled_at = inf
        #: Whether it is known that the session has opened, or will not.
        self._settled = False
        #: Whether held-back frames wait for the client to catch up.
        self._releasing = False

    # Called by the hub

    def event(self, seq: int, frame: bytes, now: float) -> None:
        """Send a committed event of this user."""
        self.session.event(seq, frame, now)
        self._hub.flush_soon(self)

    def note_head(self, seq: int) -> None:
        """Note that the user's log goes on to this number."""
        self.session.note_head(seq, self._loop.time())
        self._hub.flush_soon(self)

    def send_ephemeral(self, key: tuple[str, UserId], frame: bytes) -> None:
        """Send an ephemeral event; while the client lags behind, only the latest of each key is kept."""
        if self.session.state is not State.OPEN:
            return
        if not self.outgoing.hold(key, frame):
            self.session.to_send.append(frame)
            self._hub.flush_soon(self)
        elif not self._releasing:
            self._releasing = True
            self._spawn(self._release_held())

    async def _release_held(self) -> None:
        await self._drained()
        self._releasing = False
        self.traffic.frames_out += self.outgoing.held
        self.outgoing.release()
        self._hub.flush_soon(self)

    def drain(self, after_s: float) -> None:
        """The server stops: close once the commands under way are answered."""
        self.session.drain(after_s, self._loop.time())
        self._hub.flush_soon(self)

    def close(self, code: CloseCode, after_s: float = 0.0) -> None:
        """Close the session for this reason."""
        self.session.close(code, after_s)
        self._hub.flush_soon(self)

    def flush(self) -> None:
        """Write the gathered frames at once, and carry out the session's effects."""
        self.dirty = False
        session = self.session
        self._write()
        if session.effects:
            self._carry_out()
        if session.deadline_changed:
            self._schedule()
        if not self._settled and session.state in _SETTLED:
            self._settled = True
            self._settle()

    def tick(self) -> None:
        """Handle the timers that are due."""
        self._scheduled_at = inf
        self.session.tick(self._loop.time())
        self.session.deadline_changed = True
        self.flush()

    def _schedule(self) -> None:
        self.session.deadline_changed = False
        at = self.session.deadline
        if at < self._scheduled_at:
            self._scheduled_at = at
            self._hub.schedule(self, at)

    @property
    def backlog_bytes(self) -> int:
        """Bytes that were written and are not sent yet."""
        return self.outgoing.backlog_bytes

    # The transport

    def cut(self) -> None:
        """End the connection at once."""
        raise NotImplementedError

    def _end(self, code: CloseCode) -> None:
        """End the connection after what was sent before."""
        raise NotImplementedError

    def _probe(self) -> None:
        """Ask the client's library for a sign of life, where the transport has one."""

    async def _drained(self) -> None:
        """Wait until the client has caught up."""

    def _settle(self) -> None:
        """The session has opened, or will not."""
        outcome = self.session.outcome
        if outcome is not None:
            self._hub.opened_total[outcome.value] += 1

    def _write(self) -> None:
        self._take_frames()
        try:
            self.outgoing.flush()
        except Slow:
            self.session.close(CloseCode.SLOW)
            self._take_frames()
            self.outgoing.flush(beyond_bound=True)

    def _take_frames(self) -> None:
        """Move the session's frames to the transport."""
        frames = self.session.to_send
        if frames:
            self.traffic.frames_out += len(frames)
            self.outgoing.add(frames)
            frames.clear()

    # The session's effects

    def _carry_out(self) -> None:  # noqa: PLR0912  # a branch for each effect
        """Carry out the session's effects."""
        session, hub = self.session, self._hub
        effects = session.effects
        try:
            for effect in effects:  # one that completes at once may append another
                match effect:
                    case SubmitCommand():
                        self._submit(effect)
                    case StoreAck():
                        hub.acks.add(session.requests.principal.user_id, effect.device, effect.seq, effect.state)
                    case RunQuery():
                        self._spawn(self._run_query(effect))
                    case SendSignal():
                        hub.topics.signal(effect.topic, session.requests.principal.user_id, effect.state)
                    case SubscribeTopic():
                        self._spawn(self._subscribe(effect))
                    case UnsubscribeTopic():
                        hub.topics.unsubscribe(self, effect.topic)
                    case RecheckTopics():
                        self._spawn(self._recheck_topics(effect))
                    case Authenticate():
                        self._authenticate(effect)
                    case Reauthenticate():
                        self._reauthenticate(effect)
                    case ReadPosition():
                        hub.attach(self, effect.user_id)
                        self._spawn(self._read_position(effect))
                    case ReadPage():
                        self._spawn(self._read_page(effect))
                    case Probe():
                        self._probe()
                    case Close():
                        self._close(effect.code)
                    case _:
                        assert_never(effect)
        except Exception as error:
            self._crashed(error)
        finally:
            effects.clear()
        if session.to_send or session.deadline_changed:
            hub.flush_soon(self)

    def _submit(self, effect: SubmitCommand) -> None:
        to = target_of(effect.declared, effect.command, effect.principal, self._hub.new_id)
        done = partial(self._command_done, effect.id)
        try:
            self._hub.submit(Call(effect.command, to, effect.principal, effect.id, done, effect.if_version))
        except Exception as error:
            log.exception("live.submit_failed", command=effect.declared.name, id=effect.id, error=repr(error))
            done(Outcome(to, error=Internal(incident=effect.id)))

    def _command_done(self, frame_id: str, outcome: Outcome) -> None:
        self.session.command_done(frame_id, outcome)
        self._hub.flush_soon(self)

    async def _run_query(self, effect: RunQuery) -> None:
        result: Struct | GuildwireError
        try:
            async with asyncio.timeout(self._limits.query_timeout_s):
                result = await self._hub.run_query(effect.query, effect.principal)
        except GuildwireError as error:
            result = error
        except OUTAGES:
            result = Unavailable(retry_after_s=RETRY_AFTER_S)
        except Exception as error:
            log.exception("live.query_failed", query=type(effect.query).__name__, id=effect.id, error=repr(error))
            result = Internal(incident=effect.id)
        self.session.requests.query_done(effect.id, result)

    async def _subscribe(self, effect: SubscribeTopic) -> None:
        requests, topics = self.session.requests, self._hub.topics
        try:
            allowed = await topics.allowed(effect.principal, [effect.topic])
        except OUTAGES:
            requests.topic_refused(effect.id, effect.topic, Unavailable(retry_after_s=RETRY_AFTER_S))
            return
        if effect.topic not in allowed:
            requests.topic_refused(effect.id, effect.topic, Forbidden(reason="not_yours"))
        elif requests.topic_allowed(effect.id, effect.topic):
            topics.subscribe(self, effect.topic)

    async def _recheck_topics(self, effect: RecheckTopics) -> None:
        try:
            allowed = await self._hub.topics.allowed(effect.principal, effect.topics)
        except OUTAGES:
            return  # the subscriptions stay; the next check is in a minute
        self.session.requests.topics_rechecked(effect.topics, allowed)

    def _origin(self) -> str:
        """The client's address or network, for the log."""
        return ""

    def _authenticate(self, effect: Authenticate) -> None:
        try:
            claims = self._hub.authenticate(effect.token)
        except Unauthenticated as error:
            self._hub.refusals.note("token", error, self._origin())
            self.session.authentication_failed(error)
        else:
            self.session.authenticated(claims)

    def _reauthenticate(self, effect: Reauthenticate) -> None:
        try:
            claims = self._hub.authenticate(effect.token)
        except Unauthenticated as error:
            self._hub.refusals.note("token", error, self._origin())
            self.session.refresh_failed(effect.id, error)
        else:
            self.session.refreshed(effect.id, claims)

    async def _read_position(self, effect: ReadPosition) -> None:
        try:
            head = await self._hub.log.position(effect.user_id)
        except GuildwireError as error:
            self.session.read_failed(error)
        else:
            self.session.position_read(head, self._loop.time())

    async def _read_page(self, effect: ReadPage) -> None:
        await self._drained()
        if self.session.state is State.CLOSED:
            return
        try:
            page = await self._load_page(self.session.requests.principal.user_id, effect.after)
        except GuildwireError as error:
            self.session.read_failed(error)
        else:
            self.session.page_read(page, self._loop.time())
            self.flush()

    async def _load_page(self, user_id: UserId, after: int) -> Page:
        return await self._hub.log.page(user_id, after, self.codec)

    def _close(self, code: CloseCode) -> None:
        self.close_code = code
        self._take_frames()
        self._end(code)

    # Tasks, which end with the connection

    def _spawn(self, work: Work) -> None:
        task = self._loop.create_task(self._supervise(work))
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(partial(self._task_done, work))

    async def _supervise(self, work: Work) -> None:
        try:
            await work
        except Exception as error:
            self._crashed(error)
        self._hub.flush_soon(self)

    def _task_done(self, work: Work, task: asyncio.Task[None]) -> None:
        work.close()  # a task that is cancelled before its first step never awaits it
        if self._tasks is not None:
            self._tasks.discard(task)
            self._tasks = self._tasks or None

    def _lose(self) -> None:
        """The connection is gone: end the session and its tasks."""
        self.session.connection_lost()
        for task in self._tasks or ():
            task.cancel()

    def _crashed(self, error: Exception) -> None:
        session = self.session
        log.exception("live.crashed", action="close", session=str(session.session_id), error=repr(error))
        if self.close_code is None:
            session.close(CloseCode.INTERNAL, self._limits.reconnect_spread_s)
            self._close(CloseCode.INTERNAL)
