"""Messages of channels without a provider, read from the development mailbox."""

import re

from tests.support.faults import until
from tests.support.server import Site


async def sent(site: Site, template: str, count: int = 1) -> list[str]:
    """Wait for this many messages of a template; returns their texts, oldest first."""
    texts: list[str] = []

    async def arrived() -> bool:
        rows = await site.node.pool.fetch(
            "SELECT m.message->>'text' AS text FROM development_mailbox m JOIN deliveries d ON d.id = m.delivery_id"
            " WHERE d.template = $1 ORDER BY m.id",
            template,
        )
        texts[:] = [row["text"] for row in rows]
        return len(texts) >= count

    await until(arrived)
    return texts


async def code(site: Site, template: str, count: int = 1) -> str:
    """Wait for this many codes; returns the last one's digits."""
    found = re.search(r"\b[0-9]{6}\b", (await sent(site, template, count))[-1])
    assert found is not None
    return found[0]


def another(right: str) -> str:
    """A code that is not the right one."""
    return f"{(int(right) + 1) % 10**6:06}"
