"""W7's client: everybody comes back at once, and each wants what they have missed."""

import asyncio
from functools import partial
from time import perf_counter

import msgspec
import uvloop
from msgspec import Struct

from bench.client import Histogram, Window, read_plan, report
from bench.line import open_lines
from bench.member import Member

OPEN_TIMEOUT_S = 120.0


class StormPlan(Struct, frozen=True, kw_only=True):
    """Who comes back, and from where."""

    url: str
    #: (access token, last position); for a bare server as many of nothing.
    people: list[tuple[str, str]]
    #: Events that each of them has missed.
    missed: int
    #: Said to a bare server, to be sent as many events.
    ask: str
    settle_s: float


class StormTally(Struct, frozen=True, kw_only=True):
    """What they heard."""

    tally: Histogram
    #: When half of them, and when the last had everything, from the first connection on.
    half_s: float
    last_s: float
    #: One event, as it came.
    sample: str


class Returning(Member):
    """One of them."""

    def __init__(self, missed: int, ask: str, token: str, since: str, host: str) -> None:
        super().__init__(token, since, host)
        self._missing = missed
        self._ask = ask
        self.sample = b""
        self.complete_at = 0.0
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def upgraded(self) -> None:
        super().upgraded()
        if self._ask:
            self.say(self._ask.encode())

    def event(self, payload: bytes) -> None:
        self._missing -= 1
        if self._missing == 0:
            self.complete_at, self.sample = perf_counter(), payload
            self.complete.set_result(None)
        elif self._missing < 0:
            self.wrong["events too many"] = 1


async def storm(plan: StormPlan) -> StormTally:
    """Run the plan."""
    window = Window(0.0, plan.settle_s)
    makers = [partial(Returning, plan.missed, plan.ask, *person) for person in plan.people]
    measuring = asyncio.create_task(window.run(lambda: True))
    await asyncio.sleep(0.1)  # the window has opened
    began_at = perf_counter()
    async with asyncio.timeout(OPEN_TIMEOUT_S):
        lines = await open_lines(plan.url, makers, together=len(makers))
        await asyncio.gather(*(line.complete for line in lines))
    await measuring
    took = sorted(line.complete_at - began_at for line in lines)
    if lost := sum(line.lost for line in lines):
        window.failed(f"{lost} sessions lost")
    for line in lines:
        window.wrong.update(line.wrong)
    return StormTally(
        tally=window.tally(), half_s=took[len(took) // 2], last_s=took[-1], sample=lines[0].sample.decode()
    )


if __name__ == "__main__":
    report(uvloop.run(storm(msgspec.json.decode(read_plan(), type=StormPlan))))
