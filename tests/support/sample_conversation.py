"""A conversation of Ada and Bob on the runtime alone, whose events are used in tests of live connections.

async with open_sample_conversation(database_dsn, pool) as node, open_live(node) as live, live.client(bob) as client:
    await say(node, "Hello")
    await client.event(2)
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from actors.conversation.actor import Conversation
from protocol.conversation.commands import OpenConversation, PostMessage
from protocol.conversation.terms import ConversationKind, Participant
from protocol.ids import BookingId, BusinessId, ConversationId, Kind, MessageId, UserId
from protocol.roles import Principal, Role
from storage.database import Pool
from storage.offers import OfferCache
from storage.registry import Sources, bound_loaders
from tests.support.live_server import acting
from tests.support.runtime import Node, make_runtime

ADA, BOB = (UserId(UUID(int=number)) for number in (1, 2))
BUSINESS = BusinessId(UUID(int=99))
ada, bob = acting(ADA), acting(BOB, Role.STAFF, BUSINESS)
THREAD = ConversationId(UUID(int=1001))


@asynccontextmanager
async def open_sample_conversation(dsn: str, pool: Pool) -> AsyncIterator[Node]:
    """A node with one conversation, between Ada, a customer, and Bob, a staff member; each has one event."""
    facts = bound_loaders(Sources(pool=pool, offers=OfferCache(pool)))
    async with make_runtime(dsn, pool, {Kind.CONVERSATION: Conversation}, facts) as node:
        command = OpenConversation(
            conversation_id=THREAD,
            kind=ConversationKind.CUSTOMER_STAFF,
            booking_id=BookingId(THREAD),
            business_id=BUSINESS,
            members=(Participant(user_id=ADA, role=Role.CUSTOMER), Participant(user_id=BOB, role=Role.STAFF)),
        )
        assert (await node.send(command)).error is None
        await pool.execute(
            "INSERT INTO members (business_id, user_id, role, manager, serves, active, bio, joined_at)"
            " VALUES ($1, $2, 'staff', false, true, true, '', now())",
            *(BUSINESS, BOB),
        )
        yield node


async def say(node: Node, text: str, sender: Principal = ada) -> MessageId:
    """Post a message."""
    outcome = await node.send(PostMessage(conversation_id=THREAD, text=text), sender)
    assert outcome.error is None
    return MessageId(UUID(msgspec.json.decode(outcome.reply)["message_id"]))


def epoch_of(since: str) -> str:
    """The epoch of a position."""
    return since.partition(":")[0]
