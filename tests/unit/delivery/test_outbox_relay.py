"""The outbox relay retries a failed round by itself."""

import asyncio

import pytest

from server.delivery import outbox_relay as module
from server.delivery.outbox_relay import OutboxRelay


@pytest.fixture(autouse=True)
def _no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_EVERY_S", 3600.0)
    monkeypatch.setattr(module, "RETRY_AFTER_S", 0.0)


@pytest.mark.parametrize("error", [ConnectionRefusedError(), ValueError("a bug")])
async def test_a_failed_round_is_retried_without_a_wake_up(error: Exception) -> None:
    failures, routed = [error], asyncio.Event()

    async def fan_out() -> int:
        if failures:
            raise failures.pop()
        return 0

    async def route() -> None:
        routed.set()

    outbox_relay = OutboxRelay(fan_out, route)
    outbox_relay.start()
    try:
        await asyncio.wait_for(routed.wait(), 30)
    finally:
        await outbox_relay.stop()
