"""A chat of two users, and helpers to act at a given moment of it.

talk = await open_chat(server)
await talk.sam.call(talk.words("hello"))
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from actors.runtime.call import Published
from protocol.conversation.commands import PostMessage
from protocol.conversation.views import ListMessages
from protocol.ids import ConversationId
from server.client import Client
from tests.support.server import TIMEOUT_S, Person, Site


class Chat:
    """Two users and their conversation."""

    def __init__(self, ada: Person, sam: Person, thread: ConversationId) -> None:
        self.ada = ada
        self.sam = sam
        self.thread = thread

    def words(self, text: str) -> PostMessage:
        return PostMessage(conversation_id=self.thread, text=text)

    async def said(self) -> list[str]:
        """The texts of the latest hundred messages, oldest first."""
        page = await self.sam.call(ListMessages(conversation_id=self.thread, limit=100))
        return [message.text for message in reversed(page.items)]


async def open_chat(server: Site) -> Chat:
    """A customer and a staff member, and the conversation of their confirmed booking."""
    market = await server.market()
    ada = await server.person("Ada")
    return Chat(ada, market.staff[0], ConversationId(await server.confirmed(market, ada)))


async def opened(client: Client, times: int) -> None:
    """Wait until the connection was opened this many times."""
    async with asyncio.timeout(TIMEOUT_S), client._changed:
        await client._changed.wait_for(lambda: len(client.outcomes) >= times or client._failed)
    assert client._failed is None, client._failed


@asynccontextmanager
async def at_commit(server: Site, event: type, action: Callable[[], None]) -> AsyncIterator[None]:
    """Run an action when the first event of a type is committed, before it is published."""
    done = False

    def listen(published: Published) -> None:
        nonlocal done
        if isinstance(published.emitted.event, event) and not done:
            done = True
            action()

    server.node.listeners.insert(0, listen)
    try:
        yield
    finally:
        server.node.listeners.remove(listen)
