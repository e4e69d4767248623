"""One WebSocket connection: the thin shell that gives a session its input and output.

Whatever happens goes into the session; what the session wants is done here, one small method a want. Frames gather and
leave in one write at the end of the loop tick. A socket has no task and no timer of its own: what comes in is handled
where it is read, a command is answered by a callback, and the hub's wheel wakes it.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, cast

import structlog

from actors.runtime.call import Call, Outcome
from protocol.errors import RETRY_AFTER_S, Forbidden, GuildwireError, Internal, Unavailable
from protocol.frames import CloseCode
from protocol.ids import UserId
from protocol.topics import Topic
from server.edge.target import target_of
from server.live.connection.codec import Codec
from server.live.connection.messages import CLOSE, PING, PONG, BrokenMessage, Message, MessageReader
from server.live.connection.outgoing import Outgoing, Slow
from server.live.connection.ports import HubProtocol, Ports
from server.live.connection.tasks import Tasks, Work
from server.live.hub.timer_wheel import AWAKE
from server.live.hub.traffic import Traffic
from server.live.limits import Limits
from server.live.session.effects import (
    Acknowledge,
    Ask,
    Authenticate,
    Close,
    ReadPage,
    ReadPosition,
    Reauthenticate,
    Recheck,
    Submit,
    Tell,
    Unwatch,
    Watch,
)
from server.live.session.session import Session
from server.live.session.states import State
from storage.database import OUTAGES

log = structlog.get_logger()

NORMAL = 1000
_WAITING = (State.SIGNING_IN, State.OPENING)
_SETTLED = (State.OPEN, State.LEAVING, State.CLOSED)


class Socket(asyncio.Protocol):
    """One connection, from its handshake to its end.

    Args:
        wall: seconds since 1970.
        place: what it counts under, as ``limited_as`` gives it for the client's address.
    """

    __slots__ = (
        "_doing",
        "_ending",
        "_hub",
        "_limits",
        "_loop",
        "_opened",
        "_ports",
        "_reader",
        "_releasing",
        "_tasks",
        "_transport",
        "_wakes_at",
        "_wall",
        "_writable",
        "close_code",
        "codec",
        "dirty",
        "outgoing",
        "place",
        "session",
        "slot",
        "topics",
        "traffic",
        "unread",
    )

    def __init__(
        self,
        *,
        session: Session,
        codec: Codec,
        traffic: Traffic,
        ports: Ports,
        hub: "HubProtocol[Socket]",
        limits: Limits,
        wall: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        place: str | None,
    ) -> None:
        self.session = session
        self.codec = codec
        self.traffic = traffic
        self.topics: set[Topic] | None = None
        #: Set while the hub has it on its list for the next write.
        self.dirty = False
        #: Set while the hub has it on its list of those that have something to say.
        self.unread = False
        self.close_code: CloseCode | None = None
        self.place = place
        #: Where the hub's wheel has it.
        self.slot = AWAKE
        self._ports = ports
        self._hub = hub
        self._limits = limits
        self._wall = wall
        self._loop = loop
        #: None once nothing that comes in can be understood any more.
        self._reader: MessageReader | None = MessageReader(limits.frame_bytes_max)
        self._opened = False
        self._tasks = Tasks()
        self._wakes_at = inf
        #: Set when the connection is to be over in a while.
        self._ending = False
        #: There while the client does not take what was written.
        self._writable: asyncio.Event | None = None
        self._doing = False
        self._releasing = False

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the handshake has been answered."""
        self._transport = cast(asyncio.Transport, transport)
        self.outgoing = Outgoing(self._transport, self.codec.opcode, self._limits)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Take what came in; it is looked at when it is this socket's turn."""
        if self._reader is not None:
            self._reader.feed(data)
            if self._reader.held_bytes > self._limits.frame_bytes_max:
                self.read()
            else:
                self._hub.read_soon(self)

    def read(self) -> None:
        """Take the messages that have come in."""
        self.unread = False
        if self._reader is not None:
            self._read(self._reader)

    def _read(self, reader: MessageReader) -> None:
        """Take the messages that are there; while the session opens, what is behind its hello waits."""
        session, take, now = self.session, reader.take, self._loop.time()
        try:
            while session.state not in _WAITING and (message := take()) is not None:
                if message.opcode == self.codec.opcode:
                    self.traffic.frames_in += 1
                    session.receive(message.payload, now)
                else:
                    self._take_other(message, now)
                if session.wants:
                    self._do()
        except BrokenMessage as error:
            self._refuse(error)
        except Exception as error:
            self._crashed(error)
        if session.state in _WAITING and reader.held_bytes > self._limits.frame_bytes_max:
            self._transport.pause_reading()
        if session.sends or session.alarmed or not self._opened:
            self._hub.flush_soon(self)

    def _take_other(self, message: Message, now: float) -> None:
        """Take a message that is no frame of the subprotocol."""
        if message.opcode == CLOSE:
            self._answer_close(message.payload)
        elif message.opcode == PING:
            self.session.touch(now)
            self.outgoing.add_pong(message.payload)
            self._hub.flush_soon(self)
        elif message.opcode == PONG:
            self.session.touch(now)
        else:
            self.session.close(CloseCode.BAD_FRAME)

    def pause_writing(self) -> None:
        """The client lags behind."""
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    async def _drained(self) -> None:
        """Wait until the client has caught up."""
        if self._writable is not None:
            await self._writable.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; what came before the end still counts."""
        if self.unread:
            self.read()
        self.session.lost()
        self._tasks.cancel()
        self._hub.left(self)

    # Going out

    def event(self, seq: int, frame: bytes, now: float) -> None:
        """Take a committed event of this user."""
        self.session.event(seq, frame, now)
        self._hub.flush_soon(self)

    def whisper(self, key: tuple[str, UserId], frame: bytes) -> None:
        """Take an ephemeral event; of each key only the latest if the client lags behind."""
        if self.session.state is not State.OPEN:
            return
        if not self.outgoing.hold(key, frame):
            self.session.sends.append(frame)
            self._hub.flush_soon(self)
        elif not self._releasing:
            self._releasing = True
            self._spawn(self._release())

    async def _release(self) -> None:
        await self._drained()
        self._releasing = False
        self.traffic.frames_out += self.outgoing.held
        self.outgoing.release()
        self._hub.flush_soon(self)

    def drain(self, after_s: float) -> None:
        """The server stops."""
        self.session.drain(after_s, self._loop.time())
        self._hub.flush_soon(self)

    def close(self, code: CloseCode, after_s: float = 0.0) -> None:
        """End the session for this reason."""
        self.session.close(code, after_s)
        self._hub.flush_soon(self)

    def heard(self, seq: int) -> None:
        """The user's log goes on to this number."""
        self.session.heard(seq, self._loop.time())
        self._hub.flush_soon(self)

    def flush(self) -> None:
        """Write what has gathered, in one piece, and do what is wanted."""
        self.dirty = False
        session, outgoing = self.session, self.outgoing
        self._take_sends()
        try:
            outgoing.flush()
        except Slow:
            session.close(CloseCode.SLOW)
            self._take_sends()
            outgoing.flush(beyond_bound=True)
        if session.wants:
            self._do()
        if session.alarmed:
            self._arm()
        if not self._opened and session.state in _SETTLED:
            self._go_on()

    def _go_on(self) -> None:
        """The session has opened, or never will: read what came in behind its hello."""
        self._opened = True
        if self.session.outcome is not None:
            self._hub.opened(self.session.outcome)
        if self._reader is not None and self._reader.held_bytes:
            self._transport.resume_reading()
            self._read(self._reader)

    def _take_sends(self) -> None:
        sends = self.session.sends
        if sends:
            self.traffic.frames_out += len(sends)
            self.outgoing.add(sends)
            sends.clear()

    # The clock

    def _arm(self) -> None:
        self.session.alarmed = False
        at = self.session.wakes_at
        if at < self._wakes_at and not self._ending:
            self._wakes_at = at
            self._hub.wake(self, at)

    def wake(self) -> None:
        """Do what is due."""
        if self._ending:
            self._transport.abort()
            return
        self._wakes_at = inf
        self.session.tick(self._loop.time())
        self.session.alarmed = True
        self.flush()

    # What the session wants

    def _do(self) -> None:
        wants = self.session.wants
        if not wants or self._doing:
            return
        self._doing = True
        try:
            for want in wants:  # a want that is answered at once may add another
                _DO[type(want)](self, want)
        except Exception as error:
            self._crashed(error)
        finally:
            wants.clear()
            self._doing = False
        if self.session.sends or self.session.alarmed:
            self._hub.flush_soon(self)

    def _crashed(self, error: Exception) -> None:
        session = self.session
        log.exception("gateway.crashed", action="close", session=str(session.session_id), error=repr(error))
        if self.close_code is None:
            session.close(CloseCode.INTERNAL, self._limits.reconnect_spread_s)
            self._close(Close(CloseCode.INTERNAL))

    def _spawn(self, work: Work) -> None:
        self._tasks.spawn(work, self._supervise)

    async def _supervise(self, work: Work) -> None:
        try:
            await work
        except Exception as error:
            self._crashed(error)
        self._hub.flush_soon(self)

    def _authenticate(self, want: Authenticate) -> None:
        try:
            grant = self._ports.grant(want.token, self._loop.time(), self._wall())
        except GuildwireError as error:
            self.session.refused(error)
        else:
            self.session.authenticated(grant)

    def _reauthenticate(self, want: Reauthenticate) -> None:
        try:
            grant = self._ports.grant(want.token, self._loop.time(), self._wall())
        except GuildwireError as error:
            self.session.not_refreshed(want.id, error)
        else:
            self.session.refreshed(want.id, grant)

    def _read_position(self, want: ReadPosition) -> None:
        self._hub.join(self, want.user_id)
        self._spawn(self._position(want.user_id))

    async def _position(self, user_id: UserId) -> None:
        try:
            head = await self._ports.log.position(user_id)
        except GuildwireError as error:
            self.session.failed(error)
        else:
            self.session.positioned(head, self._loop.time())

    def _read_page(self, want: ReadPage) -> None:
        self._spawn(self._page(want.after))

    async def _page(self, after: int) -> None:
        principal = self.session.principal
        assert principal is not None
        await self._drained()
        try:
            page = await self._ports.log.page(principal.user_id, after, self.codec)
        except GuildwireError as error:
            self.session.failed(error)
        else:
            self.session.paged(page, self._loop.time())
            self.flush()

    def _submit(self, want: Submit) -> None:
        to = target_of(want.declared, want.command, want.principal, self._ports.new_id)
        done = partial(self._answered, want.id)
        try:
            self._ports.submit(Call(want.command, to, want.principal, want.id, done, want.if_version))
        except Exception as error:
            log.exception("gateway.submit_failed", command=want.declared.name, id=want.id, error=repr(error))
            done(Outcome(to, error=Internal(incident=want.id)))

    def _answered(self, frame_id: str, outcome: Outcome) -> None:
        self.session.answered(frame_id, outcome)
        self._hub.flush_soon(self)

    async def _query(self, want: Ask) -> None:
        answer: Any
        try:
            async with asyncio.timeout(self._limits.query_timeout_s):
                answer = await self._ports.answer(want.query, want.principal)
        except GuildwireError as error:
            answer = error
        except OUTAGES:
            answer = Unavailable(retry_after_s=RETRY_AFTER_S)
        except Exception as error:
            log.exception("gateway.query_failed", query=type(want.query).__name__, id=want.id, error=repr(error))
            answer = Internal(incident=want.id)
        self.session.queried(want.id, answer)

    def _watch(self, want: Watch) -> None:
        self._spawn(self._subscribe(want))

    async def _subscribe(self, want: Watch) -> None:
        try:
            allowed = await self._ports.may_hear(want.principal, [want.topic])
        except OUTAGES:
            self.session.not_watched(want.id, want.topic, Unavailable(retry_after_s=RETRY_AFTER_S))
            return
        if want.topic not in allowed:
            self.session.not_watched(want.id, want.topic, Forbidden(reason="not_yours"))
        elif self.session.watched(want.id, want.topic):
            self._hub.watch(self, want.topic)

    async def _recheck_topics(self, want: Recheck) -> None:
        try:
            allowed = await self._ports.may_hear(want.principal, want.topics)
        except OUTAGES:
            return  # asked again in a minute; nobody is thrown out because the database is away
        self.session.rechecked(want.topics, allowed)

    def _unwatch(self, want: Unwatch) -> None:
        self._hub.unwatch(self, want.topic)

    def _tell(self, want: Tell) -> None:
        assert self.session.principal is not None
        self._hub.tell(want.topic, self.session.principal.user_id, want.state)

    def _acknowledge(self, want: Acknowledge) -> None:
        assert self.session.principal is not None
        self._hub.acknowledge(self.session.principal.user_id, want.device, want.seq, want.state)

    # The end

    def _close(self, want: Close) -> None:
        """Close the socket behind everything that was sent; a client that does not read is cut after a while."""
        self.close_code = want.code
        self._take_sends()
        self._say_close(want.code, want.code.reason)
        self._end()

    def cut(self) -> None:
        """End the connection at once."""
        self.session.lost()
        self._transport.abort()

    def _answer_close(self, payload: bytes) -> None:
        """The client closes, or agrees to: say so too if we have not, and let go."""
        self.session.lost()
        self._say_close(int.from_bytes(payload[:2], "big") or NORMAL, "")
        self._end()
        self._transport.close()

    def _refuse(self, error: BrokenMessage) -> None:
        """What came in cannot be understood: say so. What else comes is thrown away, so that this still arrives."""
        self._reader = None
        self.session.lost()
        self._say_close(error.code, error.reason)
        self._end()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def _end(self) -> None:
        """The connection is over in a while, whatever the client does."""
        if self._ending:
            return
        self._ending = True
        self._hub.wake(self, self._loop.time() + self._limits.close_s)

    def _say_close(self, code: int, reason: str) -> None:
        if not self.outgoing.closed:
            self.outgoing.add_close(code, reason)
            self.outgoing.flush(beyond_bound=True)
            self.outgoing.closed = True


_DO: dict[type, Callable[[Socket, Any], None]] = {
    Authenticate: Socket._authenticate,
    Reauthenticate: Socket._reauthenticate,
    ReadPosition: Socket._read_position,
    ReadPage: Socket._read_page,
    Submit: Socket._submit,
    Ask: lambda socket, want: socket._spawn(socket._query(want)),
    Watch: Socket._watch,
    Recheck: lambda socket, want: socket._spawn(socket._recheck_topics(want)),
    Unwatch: Socket._unwatch,
    Tell: Socket._tell,
    Acknowledge: Socket._acknowledge,
    Close: Socket._close,
}
