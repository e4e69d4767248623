"""W3's client: many sockets that all hear the same, and a few events at a time on their way to all of them."""

import asyncio
from functools import partial
from time import perf_counter

import msgspec
import uvloop
from msgspec import Struct

from bench.client import Histogram, Window, read_plan, report
from bench.line import open_lines
from bench.member import Member

OPEN_TIMEOUT_S = 60.0
NUMBER = "<number>"


class FanoutPlan(Struct, frozen=True, kw_only=True):
    """Who hears what."""

    url: str
    warmup_s: float
    seconds: float
    sockets: int
    #: Access tokens, used in turn; none for a bare server.
    tokens: list[str]
    #: What is said to have one more event; ``NUMBER`` in it is replaced by its own.
    trigger: str
    #: Events on their way at once.
    at_once: int


class FanoutTally(Struct, frozen=True, kw_only=True):
    """What was heard."""

    tally: Histogram
    #: One event, as it came.
    sample: str


class ConnectionLimiter:
    """All sockets together. An event is done when all have heard it."""

    def __init__(self, window: Window, plan: FanoutPlan) -> None:
        self.sample = b""
        self._window = window
        self._plan = plan
        self._heard = 0
        self._due = plan.sockets
        self._said = 0
        self._said_at: list[float] = []
        self._speakers: list[Member] = []

    def begin(self, speakers: list[Member]) -> None:
        """Say the first ones."""
        self._speakers = speakers
        for _ in range(self._plan.at_once):
            self._say()

    def _say(self) -> None:
        self._said_at.append(perf_counter())
        speaker = self._speakers[self._said % len(self._speakers)]
        self._said += 1
        speaker.say(self._plan.trigger.replace(NUMBER, str(self._said)).encode())

    def event(self, payload: bytes) -> None:
        """Somebody heard one."""
        self._heard += 1
        if self._heard < self._due:
            return
        self.sample = payload
        self._due += self._plan.sockets
        self._window.latencies.append(perf_counter() - self._said_at.pop(0))
        if self._window.asking:
            self._say()

    @property
    def idle(self) -> bool:
        """Whether everything was heard by everybody."""
        return self._heard == self._said * self._plan.sockets


class Hearer(Member):
    """One socket of the crowd."""

    def __init__(self, crowd: ConnectionLimiter, token: str, host: str) -> None:
        super().__init__(token, "", host)
        self.event = crowd.event  # type: ignore[method-assign]  # one call less for each delivery


async def fanout(plan: FanoutPlan) -> FanoutTally:
    """Run the plan."""
    window = Window(plan.warmup_s, plan.seconds)
    crowd = ConnectionLimiter(window, plan)
    makers = [
        partial(Hearer, crowd, plan.tokens[n % len(plan.tokens)] if plan.tokens else "") for n in range(plan.sockets)
    ]
    async with asyncio.timeout(OPEN_TIMEOUT_S):
        lines = await open_lines(plan.url, makers)
    crowd.begin([*lines])
    await window.run(lambda: crowd.idle)
    if not crowd.idle:
        window.failed("not everybody heard everything")
    for line in lines:
        window.wrong.update(line.wrong)
    return FanoutTally(tally=window.tally(), sample=crowd.sample.decode())


if __name__ == "__main__":
    report(uvloop.run(fanout(msgspec.json.decode(read_plan(), type=FanoutPlan))))
