"""A connection that only hears: the shell of a session over plain HTTP, whatever its line looks like.

It says hello by itself, with what the request brought. Everything else is the session of a socket: the same stream, the
same log, the same reasons to end. ``sse.py`` and ``longpoll.py`` say where the frames go.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any, Protocol

import msgspec
import structlog

from protocol.errors import GuildwireError
from protocol.frames import CloseCode, Hello
from protocol.ids import UserId
from protocol.topics import Topic
from server.live.connection.codec import Codec
from server.live.connection.ports import HubProtocol, Ports
from server.live.connection.tasks import Tasks, Work
from server.live.hub.traffic import Traffic
from server.live.limits import Limits
from server.live.session.effects import Authenticate, Close, ReadPage, ReadPosition
from server.live.session.session import Session
from server.live.session.states import State
from server.live.session.stream import Page

log = structlog.get_logger()


class Backlog(Protocol):
    """What waits for a client."""

    @property
    def backlog_bytes(self) -> int: ...


class ReceiveOnlyConnection:
    """One connection, from its hello to its end. Subclasses say where the frames go.

    Args:
        hello: what the request says of itself.
        wall: seconds since 1970.
    """

    #: Set by the subclass.
    outgoing: Backlog

    def __init__(
        self,
        *,
        session: Session,
        codec: Codec,
        traffic: Traffic,
        hello: Hello,
        ports: Ports,
        hub: "HubProtocol[Any]",
        limits: Limits,
        wall: Callable[[], float],
    ) -> None:
        self.session = session
        self.codec = codec
        self.traffic = traffic
        self.topics: set[Topic] = set()
        #: Set while the hub has it on its list for the next write.
        self.dirty = False
        self.close_code: CloseCode | None = None
        self._hello = hello
        self._ports = ports
        self._hub = hub
        self._limits = limits
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._tasks = Tasks()
        self._timer: asyncio.TimerHandle | None = None
        self._doing = False
        self._opened = False

    async def run(self) -> None:
        """Hear until there is a reason to end."""
        self._arm()
        try:
            self.session.receive(msgspec.json.encode(self._hello), self._loop.time())
            self._do()
            self._hub.flush_soon(self)
            await self._until_ended()
        finally:
            self._end()

    async def _until_ended(self) -> None:
        await self._ended.wait()

    def _end(self) -> None:
        self.session.lost()
        if self._timer is not None:
            self._timer.cancel()
        self._tasks.cancel()

    # What the hub says

    def event(self, seq: int, frame: bytes, now: float) -> None:
        """Take a committed event of this user."""
        self.session.event(seq, frame, now)
        self._hub.flush_soon(self)

    def whisper(self, key: tuple[str, UserId], frame: bytes) -> None:
        """Ephemeral events need a subscription, for which there is no frame here."""

    def heard(self, seq: int) -> None:
        """The user's log goes on to this number."""
        self.session.heard(seq, self._loop.time())
        self._hub.flush_soon(self)

    def drain(self, after_s: float) -> None:
        """The server stops."""
        self.session.drain(after_s, self._loop.time())
        self._hub.flush_soon(self)

    def close(self, code: CloseCode, after_s: float = 0.0) -> None:
        """End the session for this reason."""
        self.session.close(code, after_s)
        self._hub.flush_soon(self)

    def cut(self) -> None:
        """End the connection at once."""
        self.session.lost()
        self._ended.set()

    def flush(self) -> None:
        """Pass on what has gathered, and do what is wanted."""
        self.dirty = False
        self._pass_on()
        self._do()
        if not self._opened and self.session.outcome is not None:
            self._opened = True
            self._hub.opened(self.session.outcome)
        if self.session.alarmed:
            self._arm()

    # What a line is

    def _pass_on(self) -> None:
        """Take the session's frames away, to the client."""
        raise NotImplementedError

    def _say_end(self) -> None:
        """The last frame was passed on: say to the client that nothing comes behind it."""

    async def _ready_for_page(self) -> None:
        """Wait until the client has taken what was sent."""

    async def _read_page(self, user_id: UserId, after: int) -> Page:
        return await self._ports.log.page(user_id, after, self.codec)

    # The clock

    def _arm(self) -> None:
        self.session.alarmed = False
        if self._timer is not None:
            self._timer.cancel()
        at = self.session.wakes_at
        if at < inf and self.session.state is not State.CLOSED:
            self._timer = self._loop.call_at(at, self._wake)

    def _wake(self) -> None:
        self._timer = None
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
                self._fulfil(want)
        except Exception as error:
            self._crashed(error)
        finally:
            wants.clear()
            self._doing = False
        self._hub.flush_soon(self)

    def _fulfil(self, want: Any) -> None:
        match want:
            case Authenticate():
                self._authenticate(want.token)
            case ReadPosition():
                self._hub.join(self, want.user_id)
                self._spawn(self._position(want.user_id))
            case ReadPage():
                self._spawn(self._page(want.after))
            case Close():
                self._close(want.code)
            case _:
                raise AssertionError(f"a session that only hears wants {want}")

    def _authenticate(self, token: str) -> None:
        try:
            grant = self._ports.grant(token, self._loop.time(), self._wall())
        except GuildwireError as error:
            self.session.refused(error)
        else:
            self.session.authenticated(grant)

    async def _position(self, user_id: UserId) -> None:
        try:
            head = await self._ports.log.position(user_id)
        except GuildwireError as error:
            self.session.failed(error)
        else:
            self.session.positioned(head, self._loop.time())

    async def _page(self, after: int) -> None:
        principal = self.session.principal
        assert principal is not None
        await self._ready_for_page()
        try:
            page = await self._read_page(principal.user_id, after)
        except GuildwireError as error:
            self.session.failed(error)
        else:
            self.session.paged(page, self._loop.time())
            self.flush()

    def _spawn(self, work: Work) -> None:
        self._tasks.spawn(work, self._supervise)

    async def _supervise(self, work: Work) -> None:
        try:
            await work
        except ConnectionError:
            self.cut()
        except Exception as error:
            self._crashed(error)
        self._hub.flush_soon(self)

    def _crashed(self, error: Exception) -> None:
        session = self.session
        log.exception("gateway.crashed", action="close", session=str(session.session_id), error=repr(error))
        if self.close_code is None:
            session.close(CloseCode.INTERNAL, self._limits.reconnect_spread_s)
            self._close(CloseCode.INTERNAL)

    def _close(self, code: CloseCode) -> None:
        self.close_code = code
        self._pass_on()
        self._say_end()
        self._ended.set()
