"""``python -m tests.support.smoke DSN``: book, pay and chat on a database that is migrated already, then audit it.

Run by ``tests.support.previous_commit`` on a schema that may be newer than this program: so it does not migrate.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from protocol.booking.commands import ConfirmRelease
from protocol.conversation.commands import PostMessage
from protocol.ids import ConversationId
from tests.support.server import make_config, open_site


async def smoke(dsn: str, data_dir: Path) -> None:
    """One booking from its slot to its released money, with a message; raises whatever goes wrong."""
    async with open_site(dsn, make_config(data_dir)) as site:
        market, customer = await site.market(), await site.person("Carla Customer")
        booking_id = await site.completed(market, customer)
        await customer.call(PostMessage(conversation_id=ConversationId(booking_id), text="Thank you!"))
        await customer.call(ConfirmRelease(booking_id=booking_id))
        await site.prove()


def main() -> None:
    """Run it on the database that is named."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(smoke(sys.argv[1], Path(directory)))


if __name__ == "__main__":
    main()
