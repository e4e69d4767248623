"""W4's client: opens many sessions and keeps them idle."""

import asyncio

import msgspec
import uvloop
from msgspec import Struct

from bench.client import Window, WindowResult, read_plan, report
from bench.load_socket import open_sockets
from bench.member import members

OPEN_TIMEOUT_S = 120.0


class IdlePlan(Struct, frozen=True, kw_only=True):
    """The parameters of a run."""

    url: str
    sessions: int
    #: Access tokens, used in turn; none for a bare server.
    tokens: list[str]
    settle_s: float
    seconds: float


async def idle(plan: IdlePlan) -> WindowResult:
    """Run the plan."""
    window = Window(plan.settle_s, plan.seconds)
    async with asyncio.timeout(OPEN_TIMEOUT_S):
        sockets = await open_sockets(plan.url, members(plan.tokens, plan.sessions))
    await window.run(idle=lambda: True)
    if lost := sum(socket.lost for socket in sockets):
        window.wrong["sessions lost"] = lost
    for socket in sockets:
        window.wrong.update(socket.wrong)
    return window.result()


if __name__ == "__main__":
    report(uvloop.run(idle(msgspec.json.decode(read_plan(), type=IdlePlan))))
