"""One WebSocket connection: the thin shell that gives a session its input and output.

Whatever happens goes into the session; what the session wants is done here, one small method a want. Frames gather and
leave in one write at the end of the loop tick. A command costs no task: it is submitted where it is read, and answered
by a callback.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from math import inf
from typing import Any

import structlog
from aiohttp import ClientConnectionResetError, WSMsgType
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import WebSocketResponse

from actors.runtime.call import Call, Outcome
from protocol.errors import Forbidden, GuildwireError, Internal, Unavailable
from protocol.frames import CloseCode
from protocol.ids import UserId
from server.gateway.codec import TEXT, Codec
from server.gateway.limits import Limits
from server.gateway.outgoing import Outgoing, Slow
from server.gateway.ports import Ports, Switchboard
from server.gateway.session import Session, State
from server.gateway.topics import Topic
from server.gateway.wants import (
    Acknowledge,
    Ask,
    Authenticate,
    Close,
    Grant,
    ReadPage,
    ReadPosition,
    Reauthenticate,
    Recheck,
    Submit,
    Tell,
    Unwatch,
    Watch,
)
from server.http.endpoints import target_of
from storage.database import OUTAGES

log = structlog.get_logger()

RETRY_AFTER_S = 1.0
NORMAL = 1000
_WAITING = (State.SIGNING_IN, State.OPENING)
_SETTLED = (State.OPEN, State.LEAVING, State.CLOSED)


class Socket:
    """One connection, from its handshake to its end.

    Args:
        writer: aiohttp's, for its flow control.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        *,
        session: Session,
        codec: Codec,
        response: "WebSocketResponse[bool]",
        writer: AbstractStreamWriter,
        transport: asyncio.Transport,
        ports: Ports,
        hub: "Switchboard[Socket]",
        limits: Limits,
        wall: Callable[[], float],
    ) -> None:
        self.session = session
        self.codec = codec
        self.outgoing = Outgoing(transport, codec.opcode, limits)
        self.topics: set[Topic] = set()
        #: Set while the hub has it on its list for the next write.
        self.dirty = False
        self.close_code: CloseCode | None = None
        self._response = response
        self._writer = writer
        self._transport = transport
        self._ports = ports
        self._hub = hub
        self._limits = limits
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._opened = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._doing = False
        self._releasing = False

    async def run(self) -> None:
        """Read until the connection ends."""
        expected = WSMsgType.TEXT if self.codec.opcode == TEXT else WSMsgType.BINARY
        session, receive, now = self.session, self._response.receive, self._loop.time
        self._arm()
        try:
            while True:
                message = await receive()
                if message.type is expected:
                    session.receive(message.data, now())
                elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    session.close(CloseCode.BAD_FRAME)
                else:
                    self._answer_close(message)
                    break
                self._do()
                self._hub.flush_soon(self)
                if session.state in _WAITING:
                    await self._opened.wait()
        finally:
            self._end()

    def _end(self) -> None:
        self.session.lost()
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        self._transport.close()
        if self.outgoing.backlog_bytes:
            self._loop.call_later(self._limits.close_s, self._transport.abort)

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
        await self._writer.drain()
        self._releasing = False
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
        self._take_sends()
        try:
            self.outgoing.flush()
        except Slow:
            self.session.close(CloseCode.SLOW)
            self._take_sends()
            self.outgoing.flush(beyond_bound=True)
        self._do()
        if not self._opened.is_set():
            self._note_opened()
        if self.session.alarmed:
            self._arm()

    def _note_opened(self) -> None:
        session = self.session
        if session.state in _SETTLED:
            self._opened.set()
            if session.outcome is not None:
                self._hub.opened(session.outcome)

    def _take_sends(self) -> None:
        sends = self.session.sends
        if sends:
            self.outgoing.add(sends)
            sends.clear()

    # The clock

    def _arm(self) -> None:
        self.session.alarmed = False
        at = self.session.wakes_at
        if at < self._timer_at and self.session.state is not State.CLOSED:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._loop.call_at(at, self._wake)

    def _wake(self) -> None:
        self._timer, self._timer_at = None, inf
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
        self._hub.flush_soon(self)

    def _crashed(self, error: Exception) -> None:
        session = self.session
        log.exception("gateway.crashed", action="close", session=str(session.session_id), error=repr(error))
        if self.close_code is None:
            session.close(CloseCode.INTERNAL, self._limits.reconnect_spread_s)
            self._close(Close(CloseCode.INTERNAL))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(self._supervise(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _supervise(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ClientConnectionResetError:
            self.session.lost()
        except Exception as error:
            self._crashed(error)
        self._hub.flush_soon(self)

    def _authenticate(self, want: Authenticate) -> None:
        try:
            grant = self._grant(want.token)
        except GuildwireError as error:
            self.session.refused(error)
        else:
            self.session.authenticated(grant)

    def _reauthenticate(self, want: Reauthenticate) -> None:
        try:
            grant = self._grant(want.token)
        except GuildwireError as error:
            self.session.not_refreshed(want.id, error)
        else:
            self.session.refreshed(want.id, grant)

    def _grant(self, token: str) -> Grant:
        verified = self._ports.verify(token)
        return Grant(verified.principal, self._loop.time() + verified.expires_at - self._wall())

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
        await self._writer.drain()
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

    def _ask(self, want: Ask) -> None:
        self._spawn(self._query(want))

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

    def _recheck(self, want: Recheck) -> None:
        self._spawn(self._recheck_topics(want))

    async def _recheck_topics(self, want: Recheck) -> None:
        self.session.rechecked(await self._ports.may_hear(want.principal, want.topics))

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
        self._opened.set()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._limits.close_s, self._transport.abort)

    def cut(self) -> None:
        """End the connection at once."""
        self.session.lost()
        self._transport.abort()

    def _answer_close(self, message: Any) -> None:
        """The client closes: say so too."""
        if message.type is WSMsgType.CLOSE:
            self._say_close(message.data or NORMAL, "")

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
    Ask: Socket._ask,
    Watch: Socket._watch,
    Recheck: Socket._recheck,
    Unwatch: Socket._unwatch,
    Tell: Socket._tell,
    Acknowledge: Socket._acknowledge,
    Close: Socket._close,
}
