"""W4's client: opens many sessions, and lets them be."""

import asyncio

import msgspec
import uvloop
from msgspec import Struct

from bench.client import Histogram, Window, read_plan, report
from bench.line import open_lines
from bench.member import members

OPEN_TIMEOUT_S = 120.0


class IdlePlan(Struct, frozen=True, kw_only=True):
    """Who is there."""

    url: str
    sessions: int
    #: Access tokens, used in turn; none for a bare server.
    tokens: list[str]
    settle_s: float
    seconds: float


async def idle(plan: IdlePlan) -> Histogram:
    """Run the plan."""
    window = Window(plan.settle_s, plan.seconds)
    async with asyncio.timeout(OPEN_TIMEOUT_S):
        lines = await open_lines(plan.url, members(plan.tokens, plan.sessions))
    await window.run(idle=lambda: True)
    if lost := sum(line.lost for line in lines):
        window.wrong["sessions lost"] = lost
    for line in lines:
        window.wrong.update(line.wrong)
    return window.tally()


if __name__ == "__main__":
    report(uvloop.run(idle(msgspec.json.decode(read_plan(), type=IdlePlan))))
