"""The live side of the client: one socket that comes back by itself, and misses and doubles nothing.

It reconnects with jitter, resumes from the last event that it handled, and sends what has no answer yet again under the
same id, so that a command has its effect once however often the line breaks.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import msgspec
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidHandshake
from websockets.typing import Subprotocol

from protocol.catalogue import BY_TYPE, Command, Query
from protocol.errors import CommandIdReused, Fault, Internal, LimitReached, revive
from protocol.frames import SUBPROTOCOL_JSON, AckState, CloseCode, OpenOutcome
from server.client.rest import Answer, Rest

#: Seconds: the first wait before reconnecting, and the longest; the actual wait is random up to it.
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 15.0
#: Events that nobody has taken yet; past that the socket is read no further, and the server's bound applies.
EVENTS_MAX = 10_000
#: How often a command that met a fault is sent again by itself.
FAULTS_MAX = 8
FRAME_BYTES_MAX = 4 * 1024 * 1024
#: A line over which nothing came for this much longer than the server's heartbeat is dead, whatever the kernel thinks.
SILENCE_MARGIN_S = 15.0
#: The server's heartbeat, until its welcome says which.
HEARTBEAT_S = 25.0
#: From this close code on the server asks not to come back.
FINAL_CODE = 4500


class Closed(Exception):
    """The server has closed the socket for good; ``code`` says why (docs/protocol.md)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code


class Event(Struct, frozen=True):
    """Something that happened. ``seq`` and ``version`` are None for what is never kept (typing, presence)."""

    type: str
    entity: str
    at: str
    data: dict[str, Any]
    seq: int | None = None
    version: int | None = None
    cause: str | None = None


@dataclass(slots=True)
class _Waiting:
    """A command or query that has no answer yet."""

    frame: bytes
    reply: type[Struct] | None
    answer: asyncio.Future[Answer]
    #: How many wait for it: the same command may be sent again while it has no answer.
    senders: int = 0
    #: How often a fault has been the answer.
    faults: int = 0


class Client:
    """One person's live connection.

    async with Client(rest) as client:
        answer = await client.send(ApproveBooking(booking_id=booking_id))
        async for event in client.events(): ...

    Args:
        rest: signed in; gives the token, and renews it.
        since: ``epoch:seq`` to resume from; None begins anew.
    """

    def __init__(self, rest: Rest, *, device: str = "python", since: str | None = None) -> None:
        self.rest = rest
        self.device = device
        self.outcomes: list[OpenOutcome] = []
        self.epoch, self.seq = _position(since)
        self._events: deque[Event] = deque()
        self._changed = asyncio.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._topics: dict[str, bytes] = {}
        self._retries: set[asyncio.Task[None]] = set()
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._failed: BaseException | None = None
        #: What the last hello showed.
        self._token = ""
        #: How long the server has asked to wait before the next connection.
        self._after_s = 0.0
        self._heartbeat_s = HEARTBEAT_S

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="guildwire client")
        async with self._changed:
            await self._changed.wait_for(lambda: self.outcomes or self._failed)
        if self._failed is not None:
            raise self._failed
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def since(self) -> str | None:
        """Where to resume: the last event that was taken from the socket."""
        return None if self.epoch is None else f"{self.epoch}:{self.seq}"

    async def close(self) -> None:
        """Leave. What has no answer yet fails with CancelledError."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for retry in self._retries:
            retry.cancel()
        for waiting in self._waiting.values():
            waiting.answer.cancel()

    async def send(
        self, command: Command, *, id: str | None = None, to: str | None = None, if_version: int | None = None
    ) -> Answer:
        """Send a command, and again after each reconnection until it is answered. Raises: the refusal.

        Args:
            id: the command's id; the same id with the same command has its effect once.
        """
        frame: dict[str, Any] = {"frame": "command", "name": BY_TYPE[type(command)].name, "data": command}
        if to is not None:
            frame["to"] = to
        if if_version is not None:
            frame["if_version"] = if_version
        return await self._ask(frame, id or str(uuid4()), BY_TYPE[type(command)].reply)

    async def ask(self, query: Query) -> Any:
        """Ask a query; gives its view."""
        frame = {"frame": "query", "name": BY_TYPE[type(query)].name, "data": query}
        return (await self._ask(frame, str(uuid4()), BY_TYPE[type(query)].reply)).reply

    async def subscribe(self, topic: str) -> None:
        """Hear an ephemeral topic, also after reconnections."""
        frame = {"frame": "subscribe", "topic": topic}
        await self._ask(frame, str(uuid4()), None)
        self._topics[topic] = msgspec.json.encode({**frame, "id": str(uuid4())})

    async def signal(self, topic: str, state: str) -> None:
        """Tell the others on a typing topic; lost if the line is down."""
        if self._socket is not None:
            with suppress(ConnectionClosed):
                frame = {"frame": "signal", "topic": topic, "state": state}
                await self._socket.send(msgspec.json.encode(frame), text=True)

    async def ack(self, seq: int, state: AckState = AckState.DELIVERED) -> None:
        """Tell how far this device has got; lost if the line is down, and made good by the next one."""
        if self._socket is not None:
            with suppress(ConnectionClosed):
                await self._socket.send(msgspec.json.encode({"frame": "ack", "seq": seq, "state": state}), text=True)

    async def events(self) -> AsyncIterator[Event]:
        """Every event, once, in order."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._events or self._failed)
                if not self._events:
                    assert self._failed is not None
                    raise self._failed
                event = self._events.popleft()
                self._changed.notify_all()
            yield event

    async def until(self, matches: Callable[[Event], bool]) -> Event:
        """Take events until one matches, and give it."""
        async for event in self.events():
            if matches(event):
                return event
        raise AssertionError("events never end")

    async def drop(self) -> None:
        """Cut the line as a bad network does; it comes back by itself."""
        if self._socket is not None:
            self._socket.transport.abort()

    # The connection

    async def _run(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        try:
            while True:
                try:
                    await self._converse()
                    backoff_s = BACKOFF_FIRST_S
                except ConnectionClosed as closed:
                    code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "lost")
                    if code >= FINAL_CODE and code != CloseCode.AUTH_TIMEOUT:  # our hello was sent, and got stuck
                        raise Closed(code, reason) from closed
                    if code == CloseCode.TOKEN_EXPIRED:
                        self.rest.distrust(self._token)
                    backoff_s = BACKOFF_FIRST_S if self._socket is not None else backoff_s
                except (OSError, InvalidHandshake, TimeoutError, Fault, LimitReached):
                    pass  # nobody there, or nobody who could renew the token now
                self._socket = None
                after_s, self._after_s = self._after_s, 0.0
                await asyncio.sleep(max(after_s, random.uniform(0, backoff_s)))
                backoff_s = min(BACKOFF_MAX_S, backoff_s * 2)
        except Exception as error:  # also a bug: whoever waits for an answer must hear of it
            await self._fail(error)

    async def _converse(self) -> None:
        """One connection, from hello until it breaks."""
        url = "ws" + self.rest.url.removeprefix("http") + "/v1/socket"
        self._token = await self.rest.token()  # before the server's clock for the hello runs
        async with connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL_JSON)],
            compression=None,
            max_size=FRAME_BYTES_MAX,
            ping_interval=None,
        ) as socket:
            hello = {"frame": "hello", "token": self._token, "device": self.device}
            if self.since is not None:
                hello["since"] = self.since
            await socket.send(msgspec.json.encode(hello), text=True)
            while True:
                await self._take(socket, msgspec.json.decode(await self._hear(socket)))

    async def _hear(self, socket: ClientConnection) -> str | bytes:
        """The next message. Raises: ConnectionClosed, also when the line has been silent for too long."""
        try:
            async with asyncio.timeout(self._heartbeat_s + SILENCE_MARGIN_S):
                return await socket.recv()
        except TimeoutError:
            socket.transport.abort()
            raise ConnectionClosedError(None, None) from None

    async def _take(self, socket: ClientConnection, frame: dict[str, Any]) -> None:
        match frame.pop("frame"):
            case "event":
                await self._event(msgspec.convert(frame, Event), socket)
            case "reply":
                self._answered(frame)
            case "error":
                self._refused(frame)
            case "ping":
                await socket.send(b'{"frame":"pong"}', text=True)
            case "welcome":
                await self._welcome(socket, frame)
            case "bye":
                self._after_s = frame.get("after_s", 0.0)

    async def _welcome(self, socket: ClientConnection, frame: dict[str, Any]) -> None:
        outcome = OpenOutcome(frame["outcome"])
        if outcome is not OpenOutcome.RESUMED:
            self.epoch, self.seq = frame["epoch"], frame["seq"]
        self._heartbeat_s = frame["heartbeat_s"]
        self._socket = socket
        for subscription in self._topics.values():
            await socket.send(subscription, text=True)
        for waiting in list(self._waiting.values()):
            await socket.send(waiting.frame, text=True)
        async with self._changed:
            self.outcomes.append(outcome)
            self._changed.notify_all()

    async def _event(self, event: Event, socket: ClientConnection) -> None:
        if event.seq is not None:
            if event.seq <= self.seq:
                return
            if event.seq != self.seq + 1:
                await socket.close(4005, "gap")
                return
            self.seq = event.seq
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._events) < EVENTS_MAX)
            self._events.append(event)
            self._changed.notify_all()

    def _answered(self, frame: dict[str, Any]) -> None:
        waiting = self._waiting.pop(frame["id"], None)
        if waiting is not None and not waiting.answer.done():
            reply = frame["data"] if waiting.reply is None else msgspec.convert(frame["data"], waiting.reply)
            answer = Answer(reply, frame.get("version"), frame.get("seq"), frame.get("replayed", False))
            waiting.answer.set_result(answer)

    def _refused(self, frame: dict[str, Any]) -> None:
        waiting = self._waiting.get(frame.get("id") or "")
        if waiting is None or waiting.answer.done():
            return
        error = revive(frame["code"], frame["fields"])
        if isinstance(error, Fault) and not isinstance(error, Internal) and waiting.faults < FAULTS_MAX:
            waiting.faults += 1
            pause_s = (frame.get("retry_after_s") or BACKOFF_FIRST_S) * random.uniform(0.5, 1.5)
            task = asyncio.get_running_loop().create_task(self._again(waiting, pause_s))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)
        else:
            waiting.answer.set_exception(error)

    async def _again(self, waiting: _Waiting, pause_s: float) -> None:
        """Send what met a fault once more, under the same id."""
        await asyncio.sleep(pause_s)
        if self._socket is not None and not waiting.answer.done():
            with suppress(ConnectionClosed):
                await self._socket.send(waiting.frame, text=True)

    async def _ask(self, frame: dict[str, Any], id_: str, reply: type[Struct] | None) -> Answer:
        if self._failed is not None:
            raise self._failed
        raw = msgspec.json.encode({**frame, "id": id_})
        waiting = self._waiting.get(id_)
        if waiting is None:
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            waiting = self._waiting[id_] = _Waiting(raw, reply, answer)
        elif waiting.frame != raw:
            raise CommandIdReused(id=id_)
        waiting.senders += 1
        try:
            if waiting.senders == 1 and self._socket is not None:
                with suppress(ConnectionClosed):  # it goes out again with the next connection
                    await self._socket.send(raw, text=True)
            return await asyncio.shield(waiting.answer)
        finally:
            waiting.senders -= 1
            if not waiting.senders and self._waiting.get(id_) is waiting:
                del self._waiting[id_]

    async def _fail(self, error: BaseException) -> None:
        async with self._changed:
            self._failed = error
            self._changed.notify_all()
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(error)


def _position(since: str | None) -> tuple[str | None, int]:
    if since is None:
        return None, 0
    epoch, _, seq = since.partition(":")
    return epoch, int(seq)
