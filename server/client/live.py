"""The live client: it reconnects by itself, and delivers each event once.

It reconnects with jitter, resumes after the last event that it received, and sends unanswered requests again under the
same id, so that a command has its effect once however often the connection breaks. It connects by WebSocket, and where
none gets through by an event stream (``connections.py``); a WebSocket is tried first each time.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import msgspec
from msgspec import Struct

from protocol.errors import CommandIdReused, Fault, Internal, LimitReached, revive
from protocol.frames import AckState, CloseCode, OpenOutcome
from protocol.registry import BY_TYPE, Command, Query
from server.client.connections import Closed, Connection, Frame, WebSocketBlocked, open_socket, open_stream
from server.client.rest import Answer, Rest

#: Seconds: the first wait before reconnecting, and the longest; the actual wait is random up to it.
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 15.0
#: Events that wait for ``events()``; past it the connection is not read, and the server's bound applies.
EVENTS_MAX = 10_000
#: How often a request that failed with a fault is sent again.
FAULTS_MAX = 8
#: A connection that is silent for this much longer than the server's heartbeat is dead.
SILENCE_MARGIN_S = 15.0
#: The server's heartbeat until its welcome arrives.
HEARTBEAT_S = 25.0
#: From this close code on, the client does not reconnect.
FINAL_CODE = 4500


class Event(Struct, frozen=True):
    """An event. ``seq`` and ``version`` are None for ephemeral ones (typing, presence)."""

    type: str
    entity: str
    at: str
    data: dict[str, Any]
    seq: int | None = None
    version: int | None = None
    cause: str | None = None


@dataclass(slots=True)
class _Waiting:
    """A command or query without an answer."""

    frame: Frame
    reply: type[Struct] | None
    answer: asyncio.Future[Answer]
    #: Callers that wait for it: the same command may be sent twice at once.
    senders: int = 0
    #: How often it has failed with a fault.
    faults: int = 0


class Client:
    """One user's live connection.

    async with Client(rest) as client:
        answer = await client.send(ApproveBooking(booking_id=booking_id))
        async for event in client.events(): ...

    Args:
        rest: signed in; provides the token and renews it.
        since: ``epoch:seq`` to resume from; None starts without history.
    """

    def __init__(self, rest: Rest, *, device: str = "python", since: str | None = None) -> None:
        self.rest = rest
        self.device = device
        self.outcomes: list[OpenOutcome] = []
        self.epoch, self.seq = _position(since)
        self._events: deque[Event] = deque()
        self._changed = asyncio.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._topics: dict[str, Frame] = {}
        self._retries: set[asyncio.Task[None]] = set()
        #: None until the welcome has arrived, and after the connection has broken.
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._failed: BaseException | None = None
        #: The token of the last hello.
        self._token = ""
        #: How long the server has asked to wait before reconnecting.
        self._after_s = 0.0
        self._heartbeat_s = HEARTBEAT_S

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="guildwire client")
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self.outcomes or self._failed)
        except BaseException:  # __aexit__ is not called
            await self.close()
            raise
        if self._failed is not None:
            raise self._failed
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def since(self) -> str | None:
        """The position of the last event that was received, to resume from."""
        return None if self.epoch is None else f"{self.epoch}:{self.seq}"

    @property
    def transport(self) -> str | None:
        """``socket``, or ``stream``, which has no topics; None while disconnected."""
        return None if self._connection is None else self._connection.transport

    async def close(self) -> None:
        """Close the connection. Unanswered requests fail with CancelledError."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for retry in self._retries:
            retry.cancel()
        for waiting in self._waiting.values():
            waiting.answer.cancel()

    async def send(self, command: Command, *, id: str | None = None, if_version: int | None = None) -> Answer:
        """Send a command, and again after each reconnection until it is answered. Raises: the refusal.

        Args:
            id: the command's id; the same id with the same command has its effect once.
        """
        frame: Frame = {"frame": "command", "name": BY_TYPE[type(command)].name, "data": command}
        if if_version is not None:
            frame["if_version"] = if_version
        return await self._ask(frame, id or str(uuid4()), BY_TYPE[type(command)].reply)

    async def ask(self, query: Query) -> Any:
        """Run a query; returns its view."""
        frame = {"frame": "query", "name": BY_TYPE[type(query)].name, "data": query}
        return (await self._ask(frame, str(uuid4()), BY_TYPE[type(query)].reply)).reply

    async def subscribe(self, topic: str) -> None:
        """Subscribe to an ephemeral topic, also after reconnects; its events arrive over a WebSocket only."""
        frame = {"frame": "subscribe", "topic": topic}
        await self._ask(frame, str(uuid4()), None)
        self._topics[topic] = {**frame, "id": str(uuid4())}

    async def signal(self, topic: str, state: str) -> None:
        """Send a signal to the other subscribers of a typing topic; dropped without a WebSocket."""
        if self._connection is not None:
            await self._connection.send({"frame": "signal", "topic": topic, "state": state})

    async def ack(self, seq: int, state: AckState = AckState.DELIVERED) -> None:
        """Acknowledge events up to a number; dropped without a WebSocket, and made up for by the next ack."""
        if self._connection is not None:
            await self._connection.send({"frame": "ack", "seq": seq, "state": state})

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
        """Take events until one matches, and return it."""
        async for event in self.events():
            if matches(event):
                return event
        raise AssertionError("events never end")

    def cut(self) -> None:
        """Break the connection, as a bad network does; the client reconnects."""
        if self._connection is not None:
            self._connection.cut()

    # The connection

    async def _run(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        try:
            while True:
                try:
                    await self._connect()
                except Closed as closed:
                    if closed.code >= FINAL_CODE:
                        raise
                    if closed.code == CloseCode.TOKEN_EXPIRED:
                        self.rest.distrust(self._token)
                except (Fault, LimitReached) as refusal:  # the server, or the renewal of the token
                    self._after_s = refusal.fields.get("retry_after_s", 0.0)
                except OSError:
                    pass  # the server is not reachable
                if self._connection is not None:
                    backoff_s = BACKOFF_FIRST_S
                self._connection = None
                after_s, self._after_s = self._after_s, 0.0
                await asyncio.sleep(max(after_s, random.uniform(0, backoff_s)))
                backoff_s = min(BACKOFF_MAX_S, backoff_s * 2)
        except Exception as error:  # also a bug: callers that wait for an answer must get it
            await self._fail(error)

    async def _connect(self) -> None:
        """Connect by WebSocket, else by event stream, and run until it breaks. Raises: Closed, Fault, OSError."""
        self._token = await self.rest.token()  # before the server starts its timer for the hello
        try:
            await self._serve(open_socket(self.rest, self._token, self.device, self.since))
        except WebSocketBlocked:
            await self._serve(open_stream(self.rest, self._token, self.since))

    async def _serve(self, opening: AbstractAsyncContextManager[Connection]) -> None:
        async with opening as connection:
            while True:
                await self._handle(connection, await self._receive(connection))

    async def _receive(self, connection: Connection) -> Frame:
        """Return the next frame. Raises: Closed, also after too long a silence; WebSocketBlocked."""
        try:
            async with asyncio.timeout(self._heartbeat_s + SILENCE_MARGIN_S):
                return await connection.receive()
        except TimeoutError:
            connection.cut()
            return await connection.receive()

    async def _handle(self, connection: Connection, frame: Frame) -> None:
        match frame.pop("frame"):
            case "event":
                await self._event(msgspec.convert(frame, Event))
            case "reply":
                self._resolve(frame)
            case "error":
                self._reject(frame)
            case "ping":
                await connection.send({"frame": "pong"})
            case "welcome":
                await self._welcome(connection, frame)
            case "bye":
                self._after_s = frame.get("after_s", 0.0)

    async def _welcome(self, connection: Connection, frame: Frame) -> None:
        outcome = OpenOutcome(frame["outcome"])
        if outcome is not OpenOutcome.RESUMED:
            self.epoch, self.seq = frame["epoch"], frame["seq"]
        self._heartbeat_s = frame["heartbeat_s"]
        self._connection = connection
        for subscription in self._topics.values():
            await connection.send(subscription)
        for waiting in list(self._waiting.values()):
            await connection.send(waiting.frame)
        async with self._changed:
            self.outcomes.append(outcome)
            self._changed.notify_all()

    async def _event(self, event: Event) -> None:
        """Deliver an event once. Raises: Closed at a gap, so that the client resumes from the log."""
        if event.seq is not None:
            if event.seq <= self.seq:
                return
            if event.seq != self.seq + 1:
                raise Closed(CloseCode.RESYNC, "gap")
            self.seq = event.seq
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._events) < EVENTS_MAX)
            self._events.append(event)
            self._changed.notify_all()

    def _resolve(self, frame: Frame) -> None:
        waiting = self._waiting.pop(frame["id"], None)
        if waiting is not None and not waiting.answer.done():
            reply = frame["data"] if waiting.reply is None else msgspec.convert(frame["data"], waiting.reply)
            answer = Answer(reply, frame.get("version"), frame.get("seq"), frame.get("replayed", False))
            waiting.answer.set_result(answer)

    def _reject(self, frame: Frame) -> None:
        waiting = self._waiting.get(frame.get("id") or "")
        if waiting is None or waiting.answer.done():
            return
        fields = dict(frame["fields"])
        if (retry_after_s := frame.get("retry_after_s")) is not None:
            fields["retry_after_s"] = retry_after_s
        error = revive(frame["code"], fields)
        if isinstance(error, Fault) and not isinstance(error, Internal) and waiting.faults < FAULTS_MAX:
            waiting.faults += 1
            pause_s = fields.get("retry_after_s", BACKOFF_FIRST_S) * random.uniform(0.5, 1.5)
            task = asyncio.get_running_loop().create_task(self._retry(waiting, pause_s))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)
        else:
            waiting.answer.set_exception(error)

    async def _retry(self, waiting: _Waiting, pause_s: float) -> None:
        """Send a request that failed with a fault again, under the same id."""
        await asyncio.sleep(pause_s)
        if self._connection is not None and not waiting.answer.done():
            await self._connection.send(waiting.frame)

    async def _ask(self, frame: Frame, id_: str, reply: type[Struct] | None) -> Answer:
        if self._failed is not None:
            raise self._failed
        frame["id"] = id_
        waiting = self._waiting.get(id_)
        if waiting is None:
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            waiting = self._waiting[id_] = _Waiting(frame, reply, answer)
        elif waiting.frame != frame:
            raise CommandIdReused(id=id_)
        waiting.senders += 1
        try:
            if waiting.senders == 1 and self._connection is not None:
                await self._connection.send(frame)  # if it is lost, it is sent again over the next connection
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
    epoch, _, seq = since.rpartition(":")
    return epoch, int(seq)
