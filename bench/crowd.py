"""The users of the socket workloads: members of one large thread, idle users, and users who missed events."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar
from uuid import uuid4

from msgspec import Struct

from actors.runtime.call import SYSTEM_PRINCIPAL
from bench.market import NO_PASSWORD
from protocol.conversation.commands import OpenConversation, PostMessage
from protocol.conversation.terms import Participant
from protocol.ids import BookingId, ConversationId, Ref, SessionId, UserId
from protocol.registry import BY_TYPE, Command
from protocol.roles import Principal, Role
from protocol.user.views import SessionGrant
from server.accounts.bulk import NewAccount, make_accounts
from server.accounts.tokens import TokenService
from server.edge.node import Node
from storage.inbox import load_positions

#: Members of the large thread.
MEMBERS = 50
IDLERS = 5_000
RETURNING = 2_000
#: Events that each returning user has missed.
MISSED = 5
_AT_ONCE = 200

D = TypeVar("D")


class Crowd(Struct, frozen=True, kw_only=True):
    """The users and their access tokens."""

    thread: ConversationId
    #: Access tokens of its members.
    members: list[str]
    #: Access tokens.
    idlers: list[str]
    #: (access token, last position) of those idlers who have missed events.
    returning: list[tuple[str, str]]


async def make_crowd(node: Node, tokens: TokenService) -> Crowd:
    """Make users and threads, and post the messages that the returning users have missed."""
    accounts = [NewAccount(email=f"crowd{n}@bench.test", name=f"Person {n}") for n in range(IDLERS)]
    people = await make_accounts(node.runtime, accounts, NO_PASSWORD)
    thread = await _open_thread(node, people[-MEMBERS:])
    pairs = [people[n : n + 2] for n in range(0, RETURNING, 2)]
    threads = await _together([_open_thread(node, pair) for pair in pairs])
    positions = await load_positions(node.pool, people[:RETURNING])
    for nth in range(MISSED):
        text = f"Message {nth}: I could be there at ten, if that suits you."
        await _together(
            [
                _send(node, PostMessage(conversation_id=where, text=text), _acting(pair[nth % 2]))
                for where, pair in zip(threads, pairs, strict=True)
            ]
        )

    def token(user_id: UserId) -> str:
        grant = SessionGrant(
            session_id=SessionId(uuid4()),
            role=Role.CUSTOMER,
            roles=(Role.CUSTOMER,),
            business_id=None,
            manager=False,
            roles_version=0,
        )
        return tokens.issue(user_id, grant)

    idlers = [token(user_id) for user_id in people]
    returning = [(idlers[n], str(position)) for n, position in enumerate(positions)]
    return Crowd(thread=thread, members=idlers[-MEMBERS:], idlers=idlers, returning=returning)


async def _together(work: Sequence[Awaitable[D]]) -> list[D]:
    done: list[D] = []
    for at in range(0, len(work), _AT_ONCE):
        done += await asyncio.gather(*work[at : at + _AT_ONCE])
    return done


def _acting(user_id: UserId) -> Principal:
    return Principal(user_id=user_id, role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}))


async def _open_thread(node: Node, people: list[UserId]) -> ConversationId:
    """Open a conversation."""
    thread = ConversationId(node.runtime.new_id())
    members = tuple(Participant(user_id=user_id, role=Role.CUSTOMER) for user_id in people)
    opened = OpenConversation(conversation_id=thread, booking_id=BookingId(thread), members=members)
    await _send(node, opened, SYSTEM_PRINCIPAL)
    return thread


async def _send(node: Node, command: Command, principal: Principal) -> Ref:
    declared = BY_TYPE[type(command)]
    assert declared.actor is not None
    to = Ref(declared.actor, declared.addressee(command, principal) or node.runtime.new_id())
    outcome = await node.runtime.call(command, to, principal)
    if outcome.error is not None:
        raise outcome.error
    return outcome.to
