"""The hub: all live connections of this node, and what reaches them: events, signals, revocations, the stop.

hub = Hub(pool=…, verify=tokens.read, submit=runtime.submit, new_id=runtime.new_id, queries=QUERIES, limiters=…)
runtime.publish = hub.publish            # or one of several listeners
tokens.on_revoked, tokens.on_invalidated = hub.revoke, hub.outdate
GET /v1/socket → WebSocketEndpoint(hub).handle
await hub.start() … await hub.drain() … await hub.stop()
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from aiohttp.web import StreamResponse
from msgspec import Struct

from actors.runtime.call import Call, Published
from protocol.frames import CloseCode
from protocol.ids import SessionId, UserId
from protocol.registry import Query
from protocol.roles import Principal
from server.accounts.tokens import Verified
from server.edge.guards import invalid
from server.edge.rates import Limiters
from server.live.connection.codec import Codec
from server.live.connection.connection import TRANSPORTS, Connection, Traffic
from server.live.connection.receive_only import ReceiveOnlyConnection
from server.live.connection.websocket import WebSocket
from server.live.hub.acks import Acks
from server.live.hub.connection_limiter import ConnectionLimiter
from server.live.hub.inbox_log import InboxLog
from server.live.hub.rendering import EventBody
from server.live.hub.timer_wheel import TimerWheel
from server.live.hub.topics import Topics
from server.live.limits import RESYNC_USERS_MAX, Limits
from server.live.session.effects import TokenClaims
from server.live.session.requests import Rates
from server.live.session.session import Session, State
from storage.bus import Bus, LocalBus
from storage.database import Pool
from storage.inbox import write_acks
from storage.supervision import Supervised

log = structlog.get_logger()

QueryHandler = Callable[[Any, Any, Any], Awaitable[Struct | StreamResponse]]


class UserConnections:
    """The connections of one user, which receive the same events."""

    __slots__ = ("_loop", "connections")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.connections: list[Connection] = []
        self._loop = loop

    def deliver(self, seq: int, body: EventBody) -> None:
        """Send a committed event to each of them."""
        now = self._loop.time()
        codec, frame = None, b""
        for connection in self.connections:
            if connection.codec is not codec:
                codec = connection.codec
                frame = codec.event(seq, body.of(codec))
            connection.event(seq, frame, now)


class Hub:
    """All live connections of this process.

    Args:
        verify: token → its content, without waiting. Raises: Unauthenticated.
        submit: takes commands; ``Runtime.submit``.
        queries: query → ``async (pool, query, principal) -> view``, as for REST.
        limiters: the rate limits of users, shared with REST.
        wall: seconds since 1970, on the clock by which tokens expire.
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
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits or Limits()
        #: Sessions by how they opened, and connections by why they ended (a close code's name, or ``client``).
        self.opened_total: Counter[str] = Counter()
        self.closed_total: Counter[str] = Counter()
        #: Connections and frames, by transport.
        self.traffic = {transport: Traffic() for transport in TRANSPORTS}
        self.submit = submit
        self.new_id = new_id
        self.log = InboxLog(pool, self.limits)
        self.acks = Acks(partial(write_acks, pool), self.limits.acks_max)
        self.limiter = ConnectionLimiter(self.limits)
        self._bus: Bus[EventBody] = bus or LocalBus()
        self.topics = Topics(pool, self._bus, self.limits.presence_grace_s, wall)
        self._pool = pool
        self._verify = verify
        self._wall = wall
        self._queries = queries
        self._rates = Rates(
            limiters.commands.take, limiters.queries.take, limiters.own, limiters.commands.rate, limiters.queries.rate
        )
        self.refusals = limiters.refusals
        self._connections: set[Connection] = set()
        self._by_user: dict[UserId, UserConnections] = {}
        self._dirty: list[Connection] = []
        self._unread: deque[WebSocket] = deque()
        self._wheel: TimerWheel[Connection] = TimerWheel(self.limits.tick_s, self._tick)
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self.housekeeping = Supervised("live housekeeping", self._run_housekeeping)

    # Start and stop

    async def start(self) -> None:
        """Receive signals, and start the housekeeping."""
        self._loop = asyncio.get_running_loop()
        self.topics.start()
        self.housekeeping.start()

    async def drain(self) -> None:
        """Close all connections once their commands are answered, and accept no new ones; returns when all are gone.

        A connection that is still open after ``drain_s`` and ``close_s`` is cut.
        """
        self._draining = True
        for connection in tuple(self._connections):
            self._drain(connection)
        try:
            async with asyncio.timeout(self.limits.drain_s + self.limits.close_s):
                await self._empty.wait()
        except TimeoutError:
            log.warning("live.drain_cut", action="cut", connections=len(self._connections))
            for connection in tuple(self._connections):
                connection.cut()

    def _drain(self, connection: Connection) -> None:
        try:
            connection.drain(random.random() * self.limits.reconnect_spread_s)
        except Exception as error:
            self._cut(connection, "live.drain_failed", error)

    async def stop(self) -> None:
        """Write the last acks. Call it after ``drain``."""
        await self.housekeeping.stop()
        self._wheel.stop()
        await self.acks.flush()

    # Connections

    def new_session(self, codec: Codec, limits: Limits) -> Session:
        """Create the session of a new connection."""
        return Session(
            session_id=self.new_id(),
            codec=codec,
            limits=limits,
            rates=self._rates,
            jitter=random.random(),
            now=self._loop.time(),
        )

    async def serve(self, connection: ReceiveOnlyConnection) -> None:
        """Run a connection over plain HTTP to its end.

        One that arrives while the server drains is drained at once: ``drain`` has passed.
        """
        self.add(connection)
        if self._draining:
            self._drain(connection)
        try:
            await connection.run()
        finally:
            self._remove(connection)

    def add(self, connection: Connection) -> None:
        """Add a new connection."""
        self._connections.add(connection)
        connection.traffic.open += 1
        self._empty.clear()

    def remove(self, socket: WebSocket) -> None:
        """Remove a WebSocket whose connection is gone. Harmless the second time."""
        if socket in self._connections:
            self.limiter.leave(socket.limiter_key)
            self._remove(socket)

    def _remove(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._wheel.cancel(connection)
        connection.traffic.open -= 1
        self.topics.unsubscribe_all(connection)
        self._detach(connection)
        self.closed_total["client" if connection.close_code is None else connection.close_code.reason] += 1
        if not self._connections:
            self._empty.set()

    def attach(self, connection: Connection, user_id: UserId) -> None:
        """Send the user's events to this connection. If the user has too many connections, one is closed."""
        user = self._by_user.get(user_id)
        if user is None:
            user = self._by_user[user_id] = UserConnections(self._loop)
            self._bus.subscribe(user_id, user.deliver)
        elif len(user.connections) >= self.limits.connections_per_user_max:
            self._replace(user.connections, connection.session.device)
        user.connections.append(connection)
        self.topics.user_connected(user_id)

    def _replace(self, connections: Sequence[Connection], device: str) -> None:
        """Close the oldest connection of the same device, else the oldest, unless enough are closing already."""
        live = [connection for connection in connections if connection.session.state is not State.CLOSED]
        if len(live) >= self.limits.connections_per_user_max:
            same = (connection for connection in live if device and connection.session.device == device)
            next(same, live[0]).close(CloseCode.REPLACED)

    def _detach(self, connection: Connection) -> None:
        principal = connection.session.principal
        user = None if principal is None else self._by_user.get(principal.user_id)
        if principal is None or user is None or connection not in user.connections:
            return
        user.connections.remove(connection)
        self.topics.user_disconnected(principal.user_id, self._loop.time())
        if not user.connections:
            del self._by_user[principal.user_id]
            self._bus.unsubscribe(principal.user_id, user.deliver)

    def _connections_of(self, user_id: UserId) -> Sequence[Connection]:
        user = self._by_user.get(user_id)
        return () if user is None else user.connections

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop."""
        return self._draining

    # Metrics

    @property
    def connection_count(self) -> int:
        """Open connections."""
        return len(self._connections)

    @property
    def user_count(self) -> int:
        """Users with an open connection."""
        return len(self._by_user)

    @property
    def queue_bytes(self) -> int:
        """Unsent bytes of all connections."""
        return sum(connection.backlog_bytes for connection in self._connections)

    # Events, commands, queries

    def publish(self, published: Published) -> None:
        """Send a committed event to the connections of its recipients, on every node."""
        body = EventBody(published)
        self._bus.publish(published.emitted.audience, published.seqs, body)

    async def run_query(self, query: Query, principal: Principal) -> Struct:
        """Run a query. Raises: GuildwireError."""
        handler = self._queries.get(type(query))
        view = None if handler is None else await handler(self._pool, query, principal)
        if not isinstance(view, Struct):
            raise invalid({"name": "rest_only"})
        return view

    # Tokens

    def authenticate(self, token: str) -> TokenClaims:
        """Verify a token. Raises: Unauthenticated."""
        verified = self._verify(token)
        return TokenClaims(verified.principal, self._loop.time() + verified.expires_at - self._wall())

    def revoke(self, user_id: UserId, session_id: SessionId) -> None:
        """A user's sign-in was revoked: close its connections for good."""
        for connection in self._connections_of(user_id):
            principal = connection.session.principal
            if principal is not None and principal.session_id == session_id:
                connection.close(CloseCode.REVOKED)

    def outdate(self, user_id: UserId) -> None:
        """A user's rights have changed: close the connections, which reconnect with new tokens."""
        for connection in self._connections_of(user_id):
            connection.close(CloseCode.TOKEN_EXPIRED)

    def outdate_all(self) -> None:
        """A signing key was retired: close all connections; they reconnect with new tokens, spread over a while."""
        for connection in tuple(self._connections):
            connection.close(CloseCode.TOKEN_EXPIRED, random.random() * self.limits.reconnect_spread_s)

    # Reading, writing, timers

    def read_soon(self, socket: WebSocket) -> None:
        """Have the socket read when it is its turn."""
        if not socket.unread:
            socket.unread = True
            if not self._unread:
                self._loop.call_soon(self._read)
            self._unread.append(socket)

    def _read(self) -> None:
        """Read some sockets; the others in the next iteration of the event loop."""
        unread = self._unread
        for _ in range(min(len(unread), self.limits.reads_per_tick)):
            socket = unread.popleft()
            try:
                if socket.unread:
                    socket.read()
            except Exception as error:
                self._cut(socket, "live.read_failed", error)
        if unread:
            self._loop.call_soon(self._read)

    def flush_soon(self, connection: Connection) -> None:
        """Have the connection write at the end of this iteration of the event loop."""
        if not connection.dirty:
            connection.dirty = True
            if not self._dirty:
                self._loop.call_soon(self._flush)
            self._dirty.append(connection)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            try:
                connection.flush()
            except Exception as error:
                self._cut(connection, "live.flush_failed", error)

    def schedule(self, connection: Connection, at: float) -> None:
        """Call ``tick`` of the connection at this instant of the loop's clock; replaces the one before."""
        self._wheel.schedule(connection, at)

    def _tick(self, connection: Connection) -> None:
        try:
            connection.tick()
        except Exception as error:
            self._cut(connection, "live.tick_failed", error)

    def _cut(self, connection: Connection, event: str, error: Exception) -> None:
        log.error(event, action="cut", error=repr(error), exc_info=error)
        connection.cut()

    # Housekeeping

    async def _run_housekeeping(self) -> None:
        limits = self.limits
        due = {self._expire_presence: 0.0, self.acks.flush: limits.ack_every_s, self.resync: limits.resync_every_s}
        next_at = {job: self._loop.time() + every_s for job, every_s in due.items()}
        while True:
            await asyncio.sleep(limits.housekeeping_every_s)
            for job, every_s in due.items():
                if self._loop.time() >= next_at[job]:
                    next_at[job] = self._loop.time() + every_s
                    try:
                        await job()
                    except Exception as error:
                        log.exception("live.housekeeping_failed", action="try_later", error=repr(error))

    async def _expire_presence(self) -> None:
        self.topics.expire_presence(self._loop.time())

    async def resync(self) -> None:
        """Compare each session with its log: read what the bus lost, and close the session if the epoch has changed."""
        users = list(self._by_user)
        for start in range(0, len(users), RESYNC_USERS_MAX):
            batch = users[start : start + RESYNC_USERS_MAX]
            for user_id, head in zip(batch, await self.log.positions(batch), strict=True):
                for connection in self._connections_of(user_id):
                    if connection.session.epoch in ("", head.epoch):
                        connection.note_head(head.seq)
                    else:
                        connection.close(CloseCode.RESYNC)
