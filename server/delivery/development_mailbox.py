"""The adapter of a channel without a provider: stores messages, shown at ``/dev/mailbox``. Development only."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from protocol.delivery.channels import Channel
from server.delivery.adapters import Message, Outcome, Sent
from storage.database import Pool
from storage.deliveries import keep_in_mailbox


class MailboxAdapter:
    """Accepts and stores every message."""

    batch_max = 100

    def __init__(self, channel: Channel, pool: Pool, now: Callable[[], datetime]) -> None:
        self.channel = channel
        self._pool = pool
        self._now = now

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Store the messages, dated by the server's clock, which may have been moved."""
        at = self._now()
        numbers = [
            await keep_in_mailbox(self._pool, self.channel, message.id, at, msgspec.json.encode(message))
            for message in messages
        ]
        return [Sent(f"mailbox-{number}") for number in numbers]

    async def check(self) -> str:
        """Always succeeds."""
        return "no provider: kept and shown at /dev/mailbox"

    async def close(self) -> None:
        """Nothing to close."""
