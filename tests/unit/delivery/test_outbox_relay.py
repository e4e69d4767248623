"""The announcer goes on by itself after whatever failed."""

import asyncio

import pytest

from server.delivery import outbox_relay as module
from server.delivery.outbox_relay import OutboxRelay


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

    announcer = OutboxRelay(tell, plan)
    announcer.start()
    try:
        await asyncio.wait_for(told.wait(), 30)
    finally:
        await announcer.stop()
