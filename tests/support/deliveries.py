"""Deliveries to queue, and an adapter with scripted outcomes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from protocol.delivery.channels import Channel
from protocol.delivery.rows import Delivery
from protocol.ids import DeliveryId, UserId
from server.delivery.adapters import Message, Outcome, Sent, Suppressed, TryLater
from server.delivery.worker import DEFAULT_OPTIONS, DeliveryWorker, WorkerOptions
from storage.database import Pool
from storage.deliveries import Leased, routing_round


class Recorder:
    """An adapter that returns scripted outcomes and records the messages."""

    channel = Channel.EMAIL
    batch_max = 10

    def __init__(self, *answers: Outcome) -> None:
        self.answers = list(answers)
        self.given: list[DeliveryId] = []
        #: The size of each call.
        self.batches: list[int] = []
        #: While it is cleared, ``send`` hangs.
        self.free = asyncio.Event()
        self.free.set()

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        self.given += [message.id for message in messages]
        self.batches.append(len(messages))
        await self.free.wait()
        return [self.answers.pop(0) if self.answers else Sent() for _ in messages]

    async def check(self) -> str:
        return "fine"

    async def close(self) -> None:
        pass


async def compose(deliveries: Sequence[Leased]) -> dict[DeliveryId, Message | Suppressed | TryLater]:
    return {one.id: Message(id=one.id) for one in deliveries}


def delivery(**changes: object) -> Delivery:
    now = datetime.now(UTC)
    fields = {
        "id": DeliveryId(uuid4()),
        "user_id": UserId(uuid4()),
        "template": "booking.paid",
        "channel": Channel.EMAIL,
        "due_at": now,
        "at": now,
        **changes,
    }
    return Delivery(**fields)  # type: ignore[arg-type]  # a test's own fields


async def queue(pool: Pool, *deliveries: Delivery) -> None:
    async with routing_round(pool) as batch:
        await batch.write(deliveries)


@asynccontextmanager
async def open_worker(
    pool: Pool,
    adapter: Recorder,
    options: WorkerOptions = DEFAULT_OPTIONS,
    **more: object,
) -> AsyncIterator[DeliveryWorker[Message]]:
    """Run a delivery worker."""
    worker = DeliveryWorker(adapter, compose, pool, lambda: datetime.now(UTC), options, **more)  # type: ignore[arg-type]
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()
