"""The adapter of a channel without a provider: stores messages, shown at ``/dev/mailbox``. Development only."""

from collections.abc import Sequence

import msgspec

from protocol.delivery.channels import Channel
from server.delivery.adapters import Message, Outcome, Sent
from storage.database import Pool
from storage.deliveries import keep_in_mailbox


class MailboxAdapter:
    """Accepts and stores every message."""

    batch_max = 100

    def __init__(self, channel: Channel, pool: Pool) -> None:
        self.channel = channel
        self._pool = pool

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Store the messages."""
        numbers = [
            await keep_in_mailbox(self._pool, self.channel, message.id, msgspec.json.encode(message))
            for message in messages
        ]
        return [Sent(f"mailbox-{number}") for number in numbers]

    async def check(self) -> str:
        """Always succeeds."""
        return "no provider: kept and shown at /dev/mailbox"

    async def close(self) -> None:
        """Nothing to close."""
