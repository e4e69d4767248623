"""The live side of the client: one line that comes back by itself, and misses and doubles nothing.

It reconnects with jitter, resumes from the last event that it handled, and sends what has no answer yet again under the
same id, so that a command has its effect once however often the line breaks. The line is a WebSocket, or where none
gets through an event stream (``lines.py``); each time a socket is tried first.
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
from server.client.lines import Closed, Frame, Line, NoSocket, open_socket, open_stream
from server.client.rest import Answer, Rest

#: Seconds: the first wait before reconnecting, and the longest; the actual wait is random up to it.
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 15.0
#: Events that nobody has taken yet; past that the line is read no further, and the server's bound applies.
EVENTS_MAX = 10_000
#: How often a command that met a fault is sent again by itself.
FAULTS_MAX = 8
#: A line over which nothing came for this much longer than the server's heartbeat is dead, whatever the kernel thinks.
SILENCE_MARGIN_S = 15.0
#: The server's heartbeat, until its welcome says which.
HEARTBEAT_S = 25.0
#: From this close code on the server asks not to come back.
FINAL_CODE = 4500


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

    frame: Frame
    reply: type[Struct] | None
    answer: asyncio.Future[Answer]
    #: How many wait for it: the same command may be sent again while it has no answer.
    senders: int = 0
    #: How often a fault has been the answer.
    faults: int = 0


class Client:
    """One person's live connection, whatever carries it.

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
        self._topics: dict[str, Frame] = {}
        self._retries: set[asyncio.Task[None]] = set()
        #: None while there is none that was welcomed.
        self._line: Line | None = None
        self._task: asyncio.Task[None] | None = None
        self._failed: BaseException | None = None
        #: What the last hello showed.
        self._token = ""
        #: How long the server has asked to wait before the next connection.
        self._after_s = 0.0
        self._heartbeat_s = HEARTBEAT_S

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="guildwire client")
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self.outcomes or self._failed)
        except BaseException:  # nobody will leave what was never entered
            await self.close()
            raise
        if self._failed is not None:
            raise self._failed
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def since(self) -> str | None:
        """Where to resume: the last event that was taken from the line."""
        return None if self.epoch is None else f"{self.epoch}:{self.seq}"

    @property
    def transport(self) -> str | None:
        """What carries it now: ``socket``, or ``stream``, which hears no topics; None while the line is down."""
        return None if self._line is None else self._line.transport

    async def close(self) -> None:
        """Leave. What has no answer yet fails with CancelledError."""
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
        """Ask a query; gives its view."""
        frame = {"frame": "query", "name": BY_TYPE[type(query)].name, "data": query}
        return (await self._ask(frame, str(uuid4()), BY_TYPE[type(query)].reply)).reply

    async def subscribe(self, topic: str) -> None:
        """Hear an ephemeral topic, also after reconnections; an event stream is silent about it, a socket is not."""
        frame = {"frame": "subscribe", "topic": topic}
        await self._ask(frame, str(uuid4()), None)
        self._topics[topic] = {**frame, "id": str(uuid4())}

    async def signal(self, topic: str, state: str) -> None:
        """Tell the others on a typing topic; lost without a socket."""
        if self._line is not None:
            await self._line.send({"frame": "signal", "topic": topic, "state": state})

    async def ack(self, seq: int, state: AckState = AckState.DELIVERED) -> None:
        """Tell how far this device has got; lost without a socket, and made good by the next ack."""
        if self._line is not None:
            await self._line.send({"frame": "ack", "seq": seq, "state": state})

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

    def cut(self) -> None:
        """Cut the line as a bad network does; it comes back by itself."""
        if self._line is not None:
            self._line.cut()

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
                    pass  # nobody there
                if self._line is not None:
                    backoff_s = BACKOFF_FIRST_S
                self._line = None
                after_s, self._after_s = self._after_s, 0.0
                await asyncio.sleep(max(after_s, random.uniform(0, backoff_s)))
                backoff_s = min(BACKOFF_MAX_S, backoff_s * 2)
        except Exception as error:  # also a bug: whoever waits for an answer must hear of it
            await self._fail(error)

    async def _connect(self) -> None:
        """One connection of the better kind that gets through, until it breaks. Raises: Closed, Fault, OSError."""
        self._token = await self.rest.token()  # before the server's clock for the hello runs
        try:
            await self._converse(open_socket(self.rest, self._token, self.device, self.since))
        except NoSocket:
            await self._converse(open_stream(self.rest, self._token, self.since))

    async def _converse(self, opening: AbstractAsyncContextManager[Line]) -> None:
        async with opening as line:
            while True:
                await self._take(line, await self._hear(line))

    async def _hear(self, line: Line) -> Frame:
        """The next frame. Raises: Closed, also when the line has been silent for too long; NoSocket."""
        try:
            async with asyncio.timeout(self._heartbeat_s + SILENCE_MARGIN_S):
                return await line.hear()
        except TimeoutError:
            line.cut()
            return await line.hear()

    async def _take(self, line: Line, frame: Frame) -> None:
        match frame.pop("frame"):
            case "event":
                await self._event(msgspec.convert(frame, Event))
            case "reply":
                self._answered(frame)
            case "error":
                self._refused(frame)
            case "ping":
                await line.send({"frame": "pong"})
            case "welcome":
                await self._welcome(line, frame)
            case "bye":
                self._after_s = frame.get("after_s", 0.0)

    async def _welcome(self, line: Line, frame: Frame) -> None:
        outcome = OpenOutcome(frame["outcome"])
        if outcome is not OpenOutcome.RESUMED:
            self.epoch, self.seq = frame["epoch"], frame["seq"]
        self._heartbeat_s = frame["heartbeat_s"]
        self._line = line
        for subscription in self._topics.values():
            await line.send(subscription)
        for waiting in list(self._waiting.values()):
            await line.send(waiting.frame)
        async with self._changed:
            self.outcomes.append(outcome)
            self._changed.notify_all()

    async def _event(self, event: Event) -> None:
        """Hand on what comes next, once. Raises: Closed at a gap, which is to be filled from the log."""
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

    def _answered(self, frame: Frame) -> None:
        waiting = self._waiting.pop(frame["id"], None)
        if waiting is not None and not waiting.answer.done():
            reply = frame["data"] if waiting.reply is None else msgspec.convert(frame["data"], waiting.reply)
            answer = Answer(reply, frame.get("version"), frame.get("seq"), frame.get("replayed", False))
            waiting.answer.set_result(answer)

    def _refused(self, frame: Frame) -> None:
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
            task = asyncio.get_running_loop().create_task(self._again(waiting, pause_s))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)
        else:
            waiting.answer.set_exception(error)

    async def _again(self, waiting: _Waiting, pause_s: float) -> None:
        """Send what met a fault once more, under the same id."""
        await asyncio.sleep(pause_s)
        if self._line is not None and not waiting.answer.done():
            await self._line.send(waiting.frame)

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
            if waiting.senders == 1 and self._line is not None:
                await self._line.send(frame)  # lost, it goes out again with the next line
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
