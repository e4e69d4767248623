"""A channel without a provider: what it would have sent is kept, to be read at ``/dev/mailbox``. Development only."""

from collections.abc import Sequence

import msgspec

from protocol.delivery.channels import Channel
from server.delivery.adapters import Message, Outcome, Sent
from storage.database import Pool
from storage.deliveries import keep_in_mailbox


class Mailbox:
    """Takes everything, and keeps it."""

    batch_max = 100

    def __init__(self, channel: Channel, pool: Pool) -> None:
        self.channel = channel
        self._pool = pool

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Keep the messages."""
        numbers = [
            await keep_in_mailbox(self._pool, self.channel, message.id, msgspec.json.encode(message))
            for message in messages
        ]
        return [Sent(f"mailbox-{number}") for number in numbers]

    async def check(self) -> str:
        """It is always there."""
        return "no provider: kept and shown at /dev/mailbox"

    async def close(self) -> None:
        """There is nothing to let go of."""
