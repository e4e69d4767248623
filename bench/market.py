"""The marketplace that the workloads run on, made by ordinary commands before the server starts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from msgspec import Struct

from actors.runtime.call import SYSTEM_PRINCIPAL
from protocol.business.commands import AcceptInvitation, AddMember, RegisterBusiness
from protocol.business.terms import MemberRole, Week
from protocol.conversation.commands import OpenConversation
from protocol.conversation.terms import Participant
from protocol.ids import BookingId, BusinessId, ConversationId, Ref, SessionId, UserId
from protocol.instants import LocalSpan
from protocol.registry import BY_TYPE, Command
from protocol.roles import Principal, Role
from protocol.service.commands import CreateService
from protocol.user.views import SessionGrant
from server.accounts.bulk import NewAccount, make_accounts
from server.accounts.tokens import TokenService
from server.edge.node import Node
from storage.queries.demo import find_invitation, has_messages_under_way

BUSINESSES = 5
STAFF_EACH = 10
CUSTOMERS = 200
CONVERSATIONS = 100
#: Days that can be booked, from the day after tomorrow on; within the limit for bookings ahead.
DAYS = 360
#: Between two starts; a job with its buffers is shorter.
STEP = timedelta(hours=1)
JOB_MINUTES, BUFFER_MINUTES = 30, 15

ALWAYS = Week(week=((LocalSpan(0, 24 * 60),),) * 7)
#: A hash that matches no password; no benchmark signs in.
NO_PASSWORD = "$argon2id$v=19$m=8,t=1,p=1$bm8gc2FsdCBhdCBhbGw$bm8gcGFzc3dvcmQgYXQgYWxs"


class Offer(NamedTuple):
    """A service, and its only staff member."""

    service_id: UUID
    staff_id: UserId


class Market(Struct, frozen=True, kw_only=True):
    """The marketplace's ids and access tokens."""

    #: Access tokens.
    customers: list[str]
    offers: list[Offer]
    #: Conversation, and the access tokens of its customer and its staff member.
    pairs: list[tuple[ConversationId, str, str]]


def starts(now: datetime) -> list[str]:
    """The start times that can be booked."""
    first = (now + timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
    return [(first + STEP * n).strftime("%Y-%m-%dT%H:%M:%SZ") for n in range(int(timedelta(days=DAYS) / STEP))]


async def make_market(node: Node, tokens: TokenService) -> Market:
    """Make the marketplace, and access tokens for its users."""
    builder = _Builder(node)
    people = await builder.people(BUSINESSES * (1 + STAFF_EACH) + CUSTOMERS + CONVERSATIONS)
    customers = [people.pop() for _ in range(CUSTOMERS)]
    writers = [people.pop() for _ in range(CONVERSATIONS)]
    offers: list[Offer] = []
    for number in range(BUSINESSES):
        owner_id, staff = people.pop(), [people.pop() for _ in range(STAFF_EACH)]
        offers += await builder.business(number, owner_id, staff)
    #: Consecutive requests go to different businesses.
    offers = [offer for n in range(STAFF_EACH) for offer in offers[n::STAFF_EACH]]
    threads = [await builder.thread(customers[n], writers[n]) for n in range(CONVERSATIONS)]
    await builder.settle()

    def token(user_id: UserId, role: Role) -> str:
        grant = SessionGrant(
            session_id=SessionId(uuid4()), role=role, roles=(role,), business_id=None, manager=False, roles_version=0
        )
        return tokens.issue(user_id, grant)

    return Market(
        customers=[token(user_id, Role.CUSTOMER) for user_id in customers],
        offers=offers,
        pairs=[
            (thread, token(customers[n], Role.CUSTOMER), token(writers[n], Role.STAFF))
            for n, thread in enumerate(threads)
        ],
    )


class _Builder:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def people(self, count: int) -> list[UserId]:
        mark = uuid4().hex[:8]  # several marketplaces may share a database
        accounts = [NewAccount(email=f"person{n}-{mark}@bench.test", name=f"Person {n}") for n in range(count)]
        return await make_accounts(self._node.runtime, accounts, NO_PASSWORD)

    async def business(self, number: int, owner_id: UserId, staff: Sequence[UserId]) -> list[Offer]:
        """Register a business in which each staff member has a service of their own."""
        register = RegisterBusiness(
            name=f"Workshop {number}",
            category_id="repair",
            city="Berlin",
            zone="Europe/Berlin",
            currency="EUR",
            hours=ALWAYS,
            owner_serves=False,
        )
        business_id = BusinessId((await self._send(register, _acting(owner_id, Role.CUSTOMER))).id)
        owner = _acting(owner_id, Role.OWNER, business_id)
        for user_id in staff:
            await self._send(AddMember(business_id=business_id, user_id=user_id, role=MemberRole.STAFF), owner)
            invitation_id = await find_invitation(self._node.pool, business_id, user_id)
            assert invitation_id is not None, "the invitation was made"
            await self._send(AcceptInvitation(invitation_id=invitation_id), _acting(user_id, Role.CUSTOMER))
        await self.settle()
        for user_id in staff:
            service = CreateService(
                category_id="repair",
                title="Repair",
                price=50,
                duration_minutes=JOB_MINUTES,
                buffer_after_minutes=BUFFER_MINUTES,
                staff_ids=(user_id,),
            )
            await self._send(service, owner)
        rows = await self._node.pool.fetch(
            "SELECT o.service_id, o.staff_id FROM service_staff o JOIN services s ON s.id = o.service_id"
            " WHERE s.business_id = $1",
            business_id,
        )
        return [Offer(row["service_id"], row["staff_id"]) for row in rows]

    async def thread(self, customer_id: UserId, staff_id: UserId) -> ConversationId:
        """Open a conversation of two users, as a confirmed booking would."""
        thread_id = ConversationId(self._node.runtime.new_id())
        members = (
            Participant(user_id=customer_id, role=Role.CUSTOMER),
            Participant(user_id=staff_id, role=Role.STAFF),
        )
        opened = OpenConversation(conversation_id=thread_id, booking_id=BookingId(thread_id), members=members)
        await self._send(opened, SYSTEM_PRINCIPAL)
        return thread_id

    async def settle(self) -> None:
        """Wait until the messages between actors are handled."""
        runtime = self._node.runtime
        while await has_messages_under_way(self._node.pool, runtime.clock.now()):
            await runtime.drain()

    async def _send(self, command: Command, principal: Principal) -> Ref:
        runtime, declared = self._node.runtime, BY_TYPE[type(command)]
        assert declared.actor is not None, f"{declared.name} is not a command"
        to = Ref(declared.actor, declared.addressee(command, principal) or runtime.new_id())
        outcome = await runtime.call(command, to, principal)
        if outcome.error is not None:
            raise outcome.error
        return outcome.to


def _acting(user_id: UserId, role: Role, business_id: BusinessId | None = None) -> Principal:
    manager = business_id is not None
    return Principal(user_id=user_id, role=role, roles=frozenset({role}), business_id=business_id, manager=manager)
