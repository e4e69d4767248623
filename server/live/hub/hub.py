"""The hub: all live sessions of this node, and the ways to them: events, signals, revocations, the end.

Wiring, in ``server``::

    hub = Hub(pool=…, verify=tokens.read, submit=runtime.submit, new_id=runtime.new_id, queries=QUERIES, limiters=…)
    runtime.publish = hub.publish            # or one of several listeners
    tokens.on_revoked, tokens.on_outdated = hub.revoke, hub.outdate
    GET /v1/socket → hub.handle
    await hub.start() … await hub.drain() … await hub.stop()
"""

import asyncio
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from aiohttp.web import BaseRequest, StreamResponse
from msgspec import Struct

from actors.runtime.call import Call, Published
from protocol.errors import RETRY_AFTER_S, Unavailable
from protocol.frames import AckState, CloseCode, OpenOutcome, SignalState
from protocol.ids import SessionId, UserId
from protocol.registry import Query
from protocol.roles import Principal
from protocol.topics import ONLINE, TYPING, Topic, TopicKind
from server.edge.addresses import limited_as
from server.edge.exchange import EXCHANGE
from server.edge.guards import invalid
from server.edge.rates import Limiters
from server.live.connection.codec import JSON, Codec
from server.live.connection.handshake import check_origin, choose_codec
from server.live.connection.ports import Ports, Verified
from server.live.connection.receive_only import ReceiveOnlyConnection
from server.live.connection.socket import Socket
from server.live.connection.upgrade import accept, take_over
from server.live.hub.acks import Acks
from server.live.hub.audience import Audience, Connection
from server.live.hub.connection_limiter import ConnectionLimiter
from server.live.hub.inbox_log import InboxLog
from server.live.hub.presence import Presence
from server.live.hub.rendering import EventBody, render_ephemeral
from server.live.hub.rights import may_hear
from server.live.hub.timer_wheel import Wheel
from server.live.hub.traffic import TRANSPORTS, Traffic
from server.live.limits import Limits
from server.live.session.requests import Rates
from server.live.session.session import Session
from server.live.session.states import State
from storage.bus import Bus, LocalBus
from storage.database import Pool
from storage.inbox import write_acks
from storage.supervision import Supervised

log = structlog.get_logger()

#: Users whose inboxes are looked at in one statement.
HEAL_USERS = 1_000

QueryHandler = Callable[[Any, Any, Any], Awaitable[Struct | StreamResponse]]


class Hub:
    """All the sockets of this process.

    Args:
        verify: token → what it stands for, at once. Raises Unauthenticated.
        submit: takes commands; ``Runtime.submit``.
        queries: query → ``async (pool, query, principal) -> view``, as for REST.
        limiters: the rates of users, shared with REST.
        origin_allowed: which other origins' pages may connect.
        wall: seconds since 1970, on the clock that tokens expire by.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        verify: Callable[[str], Verified],
        submit: Callable[[Call], None],
        new_id: Callable[[], UUID],
        queries: Mapping[type[Query], QueryHandler],
        limiters: Limiters,
        bus: Bus[EventBody] | None = None,
        limits: Limits | None = None,
        origin_allowed: Callable[[str], bool] = lambda origin: False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits or Limits()
        #: Sessions by how they opened, and sockets by why they ended (a close code's name, or ``client``).
        self.opened_total: Counter[str] = Counter()
        self.closed_total: Counter[str] = Counter()
        #: Connections and frames by transport.
        self.traffic = {transport: Traffic() for transport in TRANSPORTS}
        self._pool = pool
        self._queries = queries
        self._rates = Rates(
            limiters.commands.take, limiters.queries.take, limiters.own, limiters.commands.rate, limiters.queries.rate
        )
        self._bus: Bus[EventBody] = bus or LocalBus()
        self._origin_allowed = origin_allowed
        #: Seconds since 1970.
        self.wall = wall
        self._log = InboxLog(pool, self.limits)
        self.ports = Ports(
            verify=verify,
            submit=submit,
            new_id=new_id,
            answer=self._answer,
            log=self._log,
            may_hear=partial(may_hear, pool),
        )
        self._acks = Acks(partial(write_acks, pool), self.limits.acks_max)
        self._presence = Presence(self.limits.presence_grace_s)
        self.crowd = ConnectionLimiter(self.limits)
        self._sockets: set[Connection] = set()
        self._by_user: dict[UserId, Audience] = {}
        self._watchers: defaultdict[str, set[Connection]] = defaultdict(set)
        self._dirty: list[Connection] = []
        self._unread: deque[Socket] = deque()
        self._wheel: Wheel[Socket] = Wheel(self.limits.tick_s, self._wake)
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self.housekeeping = Supervised("live housekeeping", self._keep_house)

    # Its life

    async def start(self) -> None:
        """Begin to hear signals and to keep house."""
        self._loop = asyncio.get_running_loop()
        self._bus.listen(self._signalled)
        self.housekeeping.start()

    async def drain(self) -> None:
        """Let every client go: no new ones, those here get their answers and a goodbye; returns once all are gone.

        A connection that is still there after ``drain_s`` and ``close_s`` is cut.
        """
        self._draining = True
        for socket in tuple(self._sockets):
            self._let_go(socket)
        try:
            async with asyncio.timeout(self.limits.drain_s + self.limits.close_s):
                await self._empty.wait()
        except TimeoutError:
            log.warning("gateway.drain_cut", action="cut", connections=len(self._sockets))
            for socket in tuple(self._sockets):
                socket.cut()

    def _let_go(self, line: Connection) -> None:
        try:
            line.drain(random.random() * self.limits.reconnect_spread_s)
        except Exception as error:
            log.exception("gateway.drain_failed", action="cut", error=repr(error))
            line.cut()

    async def stop(self) -> None:
        """Write the last acks. Call it behind ``drain``."""
        await self.housekeeping.stop()
        self._wheel.stop()
        await self.flush_acks()

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Serve ``GET /v1/socket``.

        Raises: Unavailable, Forbidden, Malformed, LimitReached, Busy before the handshake.
        """
        if self._draining:
            raise Unavailable(retry_after_s=RETRY_AFTER_S)
        check_origin(request, self._origin_allowed)
        codec = choose_codec(request)
        answer = accept(request, None if codec is None else codec.subprotocol)
        place = limited_as(request[EXCHANGE].address)
        spoken = codec or JSON
        socket = Socket(
            session=self.new_session(spoken, self.limits),
            codec=spoken,
            traffic=self.traffic[spoken.subprotocol.rpartition(".")[2]],
            ports=self.ports,
            hub=self,
            limits=self.limits,
            wall=self.wall,
            loop=self._loop,
            place=place,
        )
        self.crowd.enter(place)
        self._enter(socket)
        try:
            there = take_over(request, answer, socket)
        except BaseException:
            self.left(socket)
            raise
        if not there:
            self.left(socket)
        elif codec is None:
            socket.close(CloseCode.VERSION)
        return StreamResponse()  # for aiohttp, which sends nothing any more

    def new_session(self, codec: Codec, limits: Limits) -> Session:
        """Make the session of one more connection, whatever kind of line it has."""
        return Session(
            session_id=self.ports.new_id(),
            codec=codec,
            limits=limits,
            rates=self._rates,
            jitter=random.random(),
            now=self._loop.time(),
        )

    @contextmanager
    def place(self, request: BaseRequest) -> Iterator[None]:
        """Let a connection of another kind count, by its address and here. Raises: LimitReached, Busy."""
        key = limited_as(request[EXCHANGE].address)
        self.crowd.enter(key)
        try:
            yield
        finally:
            self.crowd.leave(key)

    async def serve(self, line: ReceiveOnlyConnection) -> None:
        """Run such a connection to its end; until then it is told of whatever ends it.

        One that comes while the server stops gets its goodbye at once: ``drain`` has passed.
        """
        self._enter(line)
        if self._draining:
            self._let_go(line)
        try:
            await line.run()
        finally:
            self._exit(line)

    def _enter(self, line: Connection) -> None:
        self._sockets.add(line)
        line.traffic.open += 1
        self._empty.clear()

    def left(self, socket: Socket) -> None:
        """Forget a socket: its connection is gone. Harmless the second time."""
        if socket in self._sockets:
            self.crowd.leave(socket.place)
            self._wheel.cancel(socket)
            self._exit(socket)

    def _exit(self, line: Connection) -> None:
        self._sockets.discard(line)
        line.traffic.open -= 1
        self._leave(line)
        self.closed_total["client" if line.close_code is None else line.close_code.reason] += 1
        if not self._sockets:
            self._empty.set()

    def wake(self, socket: Socket, at: float) -> None:
        """Wake a socket at this instant of the loop's clock or a tick later, and not as told before."""
        self._wheel.sleep(socket, at)

    def _wake(self, socket: Socket) -> None:
        try:
            socket.wake()
        except Exception as error:
            log.exception("gateway.wake_failed", action="cut", error=repr(error))
            socket.cut()

    # Figures

    @property
    def sockets(self) -> int:
        """Connections."""
        return len(self._sockets)

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop."""
        return self._draining

    @property
    def users(self) -> int:
        """People with a connection."""
        return len(self._by_user)

    @property
    def queue_bytes(self) -> int:
        """What waits for all clients together."""
        return sum(socket.outgoing.backlog_bytes for socket in self._sockets)

    # Events

    def publish(self, published: Published) -> None:
        """Send a committed event to the sessions of its audience, on every node."""
        body = EventBody(published)
        self._bus.publish(published.emitted.audience, published.seqs, body)

    # Signals

    def tell(self, topic: Topic, about: UserId, state: SignalState) -> None:
        """Send a signal to everybody else who hears the topic."""
        data = {"user_id": about, "state": state}
        self._bus.signal(str(topic), about, render_ephemeral(TYPING, topic.entity, self._now(), data))

    def _tell_presence(self, user_id: UserId) -> None:
        topic = Topic(TopicKind.PRESENCE, user_id)
        self._bus.signal(str(topic), user_id, self._presence_body(topic))

    def _presence_body(self, topic: Topic) -> bytes:
        data = {"online": self._presence.online(UserId(topic.id))}
        return render_ephemeral(ONLINE, topic.entity, self._now(), data)

    def _signalled(self, topic: str, about: UserId, body: bytes) -> None:
        key, codec, frame = (topic, about), None, b""
        for socket in self._watchers.get(topic, ()):
            principal = socket.session.principal
            if principal is not None and principal.user_id != about:
                if socket.codec is not codec:
                    codec = socket.codec
                    frame = codec.event(None, codec.body(body))
                socket.whisper(key, frame)

    def watch(self, socket: Connection, topic: Topic) -> None:
        """Send a topic's signals to this socket from now on, its present state first."""
        self._watchers[str(topic)].add(socket)
        if socket.topics is None:
            socket.topics = set()
        socket.topics.add(topic)
        if topic.kind is TopicKind.PRESENCE:
            body = socket.codec.body(self._presence_body(topic))
            socket.whisper((str(topic), UserId(topic.id)), socket.codec.event(None, body))

    def unwatch(self, socket: Connection, topic: Topic) -> None:
        """Send them no more."""
        if socket.topics:
            socket.topics.discard(topic)
        watchers = self._watchers.get(str(topic))
        if watchers is not None:
            watchers.discard(socket)
            if not watchers:
                del self._watchers[str(topic)]

    # Sessions

    def join(self, socket: Connection, user_id: UserId) -> None:
        """Send the user's events to this socket from now on. Of too many connections one ends."""
        mine = self._by_user.get(user_id)
        if mine is None:
            mine = self._by_user[user_id] = Audience(self._loop)
            self._bus.subscribe(user_id, mine.hear)
        elif len(mine.lines) >= self.limits.connections_per_user_max:
            self._replace(mine.lines, socket.session.device)
        mine.lines.append(socket)
        if self._presence.joined(user_id):
            self._tell_presence(user_id)

    def _replace(self, mine: list[Connection], device: str) -> None:
        """Close the oldest connection of the same device, else the oldest, if there are too many that go on."""
        live = [line for line in mine if line.session.state is not State.CLOSED]
        if len(live) >= self.limits.connections_per_user_max:
            same = (line for line in live if device and line.session.device == device)
            next(same, live[0]).close(CloseCode.REPLACED)

    def _lines_of(self, user_id: UserId) -> Sequence[Connection]:
        mine = self._by_user.get(user_id)
        return () if mine is None else mine.lines

    def opened(self, outcome: OpenOutcome) -> None:
        """Count a session that has opened."""
        self.opened_total[outcome.value] += 1

    def _leave(self, socket: Connection) -> None:
        for topic in tuple(socket.topics or ()):
            self.unwatch(socket, topic)
        principal = socket.session.principal
        if principal is None:
            return
        mine = self._by_user.get(principal.user_id)
        if mine is None or socket not in mine.lines:
            return
        mine.lines.remove(socket)
        self._presence.left(principal.user_id, self._loop.time())
        if not mine.lines:
            del self._by_user[principal.user_id]
            self._bus.unsubscribe(principal.user_id, mine.hear)

    def revoke(self, user_id: UserId, session_id: SessionId) -> None:
        """A user's sign-in was revoked: its sockets end for good."""
        for socket in self._lines_of(user_id):
            principal = socket.session.principal
            if principal is not None and principal.session_id == session_id:
                socket.close(CloseCode.REVOKED)

    def outdate(self, user_id: UserId) -> None:
        """Somebody's rights have changed: their sockets come back with new tokens."""
        for socket in self._lines_of(user_id):
            socket.close(CloseCode.TOKEN_EXPIRED)

    def outdate_all(self) -> None:
        """Tokens of a retired key hold no longer: everybody comes back, not all at once."""
        for socket in tuple(self._sockets):
            socket.close(CloseCode.TOKEN_EXPIRED, random.random() * self.limits.reconnect_spread_s)

    def acknowledge(self, user_id: UserId, device: str, seq: int, state: AckState) -> None:
        """Keep how far a device has got."""
        self._acks.add(user_id, device, seq, state)

    async def flush_acks(self) -> None:
        """Write what was acknowledged."""
        await self._acks.flush()

    # Reading and writing

    def read_soon(self, socket: Socket) -> None:
        """Let the socket take what came in when it is its turn, once."""
        if not socket.unread:
            socket.unread = True
            if not self._unread:
                self._loop.call_soon(self._read)
            self._unread.append(socket)

    def _read(self) -> None:
        """Let some take what came in, the others in the next tick."""
        unread = self._unread
        for _ in range(min(len(unread), self.limits.reads_per_tick)):
            socket = unread.popleft()
            try:
                if socket.unread:
                    socket.read()
            except Exception as error:
                log.exception("gateway.read_failed", action="cut", error=repr(error))
                socket.cut()
        if unread:
            self._loop.call_soon(self._read)

    def flush_soon(self, socket: Connection) -> None:
        """Let the socket write at the end of this loop tick, once."""
        if not socket.dirty:
            socket.dirty = True
            if not self._dirty:
                self._loop.call_soon(self._flush)
            self._dirty.append(socket)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for socket in dirty:
            try:
                socket.flush()
            except Exception as error:
                log.exception("gateway.flush_failed", action="cut", error=repr(error))
                socket.cut()

    # Queries

    async def _answer(self, query: Query, principal: Principal) -> Struct:
        handler = self._queries.get(type(query))
        view = None if handler is None else await handler(self._pool, query, principal)
        if not isinstance(view, Struct):
            raise invalid({"name": "rest_only"})
        return view

    # Housekeeping

    async def _keep_house(self) -> None:
        limits = self.limits
        due = {self._expire_presence: 0.0, self.flush_acks: limits.ack_every_s, self.heal: limits.heal_every_s}
        next_at = {task: self._loop.time() + every_s for task, every_s in due.items()}
        while True:
            await asyncio.sleep(limits.housekeeping_every_s)
            for task, every_s in due.items():
                if self._loop.time() >= next_at[task]:
                    next_at[task] = self._loop.time() + every_s
                    try:
                        await task()
                    except Exception as error:
                        log.exception("gateway.housekeeping_failed", action="try_later", error=repr(error))

    async def _expire_presence(self) -> None:
        for user_id in self._presence.expire(self._loop.time()):
            self._tell_presence(user_id)

    async def heal(self) -> None:
        """Compare every session with its log: what the bus lost is read, and a changed epoch ends the session."""
        users = list(self._by_user)
        for at in range(0, len(users), HEAL_USERS):
            some = users[at : at + HEAL_USERS]
            for user_id, head in zip(some, await self._log.positions(some), strict=True):
                for socket in self._lines_of(user_id):
                    if socket.session.epoch in ("", head.epoch):
                        socket.heard(head.seq)
                    else:
                        socket.close(CloseCode.RESYNC)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.wall(), UTC)
