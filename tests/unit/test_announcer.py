"""The announcer goes on by itself after whatever failed."""

import asyncio

import pytest

from server import announcer as module
from server.announcer import Announcer


@pytest.fixture(autouse=True)
def _nobody_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 3600.0)
    monkeypatch.setattr(module, "AGAIN_AFTER_S", 0.0)


@pytest.mark.parametrize("error", [ConnectionRefusedError(), ValueError("a bug")])
async def test_a_round_that_failed_is_made_again_though_nobody_calls(error: Exception) -> None:
    failures, told = [error], asyncio.Event()

    async def tell() -> int:
        if failures:
            raise failures.pop()
        return 0

    async def plan() -> None:
        told.set()

    announcer = Announcer(tell, plan)
    announcer.start()
    try:
        await asyncio.wait_for(told.wait(), 30)
    finally:
        await announcer.stop()
