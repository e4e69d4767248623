"""W7's client: many sessions reconnect at once, and resume with the events that they missed."""

import asyncio
from functools import partial
from time import perf_counter

import msgspec
import uvloop
from msgspec import Struct

from bench.client import Window, WindowResult, read_plan, report
from bench.load_socket import open_sockets
from bench.member import Member

OPEN_TIMEOUT_S = 120.0


class StormPlan(Struct, frozen=True, kw_only=True):
    """The parameters of a run."""

    url: str
    #: (access token, last position); for the bare server as many pairs of empty strings.
    people: list[tuple[str, str]]
    #: Events that each of them has missed.
    missed: int
    #: Sent to the bare server to request as many events; empty for the server.
    ask: str
    settle_s: float


class StormResult(Struct, frozen=True, kw_only=True):
    """The client's result."""

    window: WindowResult
    #: Seconds until half of them, and the last one, had all events, from the first connection on.
    half_s: float
    last_s: float
    #: One event as received.
    sample: str


class Returning(Member):
    """One session that reconnects."""

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
            self.send(self._ask.encode())

    def event(self, payload: bytes) -> None:
        self._missing -= 1
        if self._missing == 0:
            self.complete_at, self.sample = perf_counter(), payload
            self.complete.set_result(None)
        elif self._missing < 0:
            self.wrong["surplus events"] = 1


async def storm(plan: StormPlan) -> StormResult:
    """Run the plan."""
    window = Window(0.0, plan.settle_s)
    makers = [partial(Returning, plan.missed, plan.ask, *person) for person in plan.people]
    measuring = asyncio.create_task(window.run(lambda: True))
    await asyncio.sleep(0.1)  # the window has opened
    began_at = perf_counter()
    async with asyncio.timeout(OPEN_TIMEOUT_S):
        sockets = await open_sockets(plan.url, makers, together=len(makers))
        await asyncio.gather(*(socket.complete for socket in sockets))
    await measuring
    took = sorted(socket.complete_at - began_at for socket in sockets)
    if lost := sum(socket.lost for socket in sockets):
        window.failed(f"{lost} sessions lost")
    for socket in sockets:
        window.wrong.update(socket.wrong)
    return StormResult(
        window=window.result(), half_s=took[len(took) // 2], last_s=took[-1], sample=sockets[0].sample.decode()
    )


if __name__ == "__main__":
    report(uvloop.run(storm(msgspec.json.decode(read_plan(), type=StormPlan))))
