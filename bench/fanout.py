"""W3's client: many sockets that all receive the same events, a few of which are under way at a time."""

import asyncio
from functools import partial
from time import perf_counter

import msgspec
import uvloop
from msgspec import Struct

from bench.client import Window, WindowResult, read_plan, report
from bench.load_socket import open_sockets
from bench.member import Member

OPEN_TIMEOUT_S = 60.0
NUMBER = "<number>"


class FanoutPlan(Struct, frozen=True, kw_only=True):
    """The parameters of a run."""

    url: str
    warmup_s: float
    seconds: float
    sockets: int
    #: Access tokens, used in turn; none for a bare server.
    tokens: list[str]
    #: The message that triggers an event; ``NUMBER`` in it is replaced by a counter.
    trigger: str
    #: Events under way at once.
    at_once: int


class FanoutResult(Struct, frozen=True, kw_only=True):
    """The client's result."""

    window: WindowResult
    #: One event as received.
    sample: str


class Audience:
    """All sockets together. An event is complete when all have received it."""

    def __init__(self, window: Window, plan: FanoutPlan) -> None:
        self.sample = b""
        self._window = window
        self._plan = plan
        self._received = 0
        self._due = plan.sockets
        self._sent = 0
        self._sent_at: list[float] = []
        self._senders: list[Member] = []

    def begin(self, senders: list[Member]) -> None:
        """Trigger the first events."""
        self._senders = senders
        for _ in range(self._plan.at_once):
            self._send_next()

    def _send_next(self) -> None:
        self._sent_at.append(perf_counter())
        sender = self._senders[self._sent % len(self._senders)]
        self._sent += 1
        sender.send(self._plan.trigger.replace(NUMBER, str(self._sent)).encode())

    def event(self, payload: bytes) -> None:
        """One socket received one event."""
        self._received += 1
        if self._received < self._due:
            return
        self.sample = payload
        self._due += self._plan.sockets
        self._window.latencies.append(perf_counter() - self._sent_at.pop(0))
        if self._window.open:
            self._send_next()

    @property
    def idle(self) -> bool:
        """Whether every event was received by every socket."""
        return self._received == self._sent * self._plan.sockets


class Listener(Member):
    """One socket of the audience."""

    def __init__(self, audience: Audience, token: str, host: str) -> None:
        super().__init__(token, "", host)
        self.event = audience.event  # type: ignore[method-assign]  # saves one call for each event


async def fanout(plan: FanoutPlan) -> FanoutResult:
    """Run the plan."""
    window = Window(plan.warmup_s, plan.seconds)
    audience = Audience(window, plan)
    tokens = plan.tokens or [""]
    makers = [partial(Listener, audience, tokens[n % len(tokens)]) for n in range(plan.sockets)]
    async with asyncio.timeout(OPEN_TIMEOUT_S):
        sockets = await open_sockets(plan.url, makers)
    audience.begin([*sockets])
    await window.run(lambda: audience.idle)
    if not audience.idle:
        window.failed("not every socket received every event")
    for socket in sockets:
        window.wrong.update(socket.wrong)
    return FanoutResult(window=window.result(), sample=audience.sample.decode())


if __name__ == "__main__":
    report(uvloop.run(fanout(msgspec.json.decode(read_plan(), type=FanoutPlan))))
