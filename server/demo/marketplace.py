"""Makes the demo marketplace by ordinary commands.

It makes only what is missing: a second run changes nothing, and an interrupted run is completed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from msgspec.structs import replace

from actors.runtime.call import SYSTEM_PRINCIPAL
from actors.runtime.turns import Runtime
from protocol.business.commands import AcceptInvitation, AddMember
from protocol.ids import BusinessId, Ref, UserId
from protocol.registry import BY_TYPE, Command
from protocol.roles import Principal, Role
from protocol.user.commands import GrantRole
from protocol.user.terms import email_key
from server.accounts.bulk import NewAccount, make_accounts
from server.accounts.passwords import Passwords
from server.demo.accounts import DEMO_PASSWORD
from server.demo.plan import Plan, PlannedBusiness, PlannedMember, PlannedService, make_plan
from storage.database import Pool
from storage.queries.demo import (
    find_accounts,
    find_businesses,
    find_invitation,
    find_members,
    find_titles,
    has_messages_under_way,
    is_admin,
)

#: Accounts made at once, and concurrent commands.
ACCOUNTS_AT_ONCE = 64
COMMANDS_AT_ONCE = 64
#: How long handling the messages between actors may take at the end.
REST_TIMEOUT_S = 30.0

#: Called with the number of items made, the total, and what is being made.
Progress = Callable[[int, int, str], None]
T = TypeVar("T")


class MarketplaceNode(Protocol):
    """What the marketplace needs of a node."""

    @property
    def runtime(self) -> Runtime: ...

    @property
    def pool(self) -> Pool: ...


async def make_marketplace(
    node: MarketplaceNode, progress: Progress = lambda done, total, what: None, *, password_hash: str | None = None
) -> None:
    """Make the demo marketplace, or what is missing of it.

    Args:
        password_hash: hash of the password of all accounts; None for that of ``DEMO_PASSWORD``.
    """
    plan = make_plan()
    builder = _Builder(node, progress, _size(plan))
    people = await builder.accounts(list(plan.accounts()), password_hash)
    await builder.admin(people[plan.admin.email])
    owners = await builder.businesses(plan.businesses, people)
    await builder.members(plan.businesses, owners, people)
    await builder.services(plan.businesses, owners, people)
    await builder.settle()


def _size(plan: Plan) -> int:
    inside = sum(1 + len(business.members) + len(business.services) for business in plan.businesses)
    return inside + sum(1 for _ in plan.accounts())


@dataclass(slots=True)
class _Builder:
    """One run."""

    node: MarketplaceNode
    progress: Progress
    total: int
    done: int = 0

    async def accounts(self, accounts: Sequence[NewAccount], password_hash: str | None) -> dict[str, UserId]:
        """Make all accounts; returns address → user."""
        found = await find_accounts(self.node.pool, [email_key(account.email) for account in accounts])
        missing = [account for account in accounts if email_key(account.email) not in found]
        self._count(len(found), "accounts")
        if missing and password_hash is None:
            password_hash = await _hash(DEMO_PASSWORD)
        for at in range(0, len(missing), ACCOUNTS_AT_ONCE):
            some = missing[at : at + ACCOUNTS_AT_ONCE]
            made = await make_accounts(self.node.runtime, some, password_hash or "")
            found.update((email_key(account.email), user_id) for account, user_id in zip(some, made, strict=True))
            self._count(len(some), "accounts")
        return {account.email: found[email_key(account.email)] for account in accounts}

    async def admin(self, user_id: UserId) -> None:
        """Grant the user the admin role."""
        if not await is_admin(self.node.pool, user_id):
            await self._send(GrantRole(user_id=user_id, role=Role.ADMIN), SYSTEM_PRINCIPAL)

    async def businesses(self, planned: Sequence[PlannedBusiness], people: dict[str, UserId]) -> dict[str, Principal]:
        """Register the businesses; returns the owner's address → principal."""
        owners = {business.owner.email: people[business.owner.email] for business in planned}
        found = await find_businesses(self.node.pool, owners.values())

        async def register(business: PlannedBusiness) -> None:
            owner_id = owners[business.owner.email]
            if owner_id not in found:
                found[owner_id] = BusinessId((await self._send(business.command, _customer(owner_id))).id)
            self._count(1, "businesses")

        await _each(planned, register)
        return {email: _owner(owner_id, found[owner_id]) for email, owner_id in owners.items()}

    async def members(
        self, planned: Iterable[PlannedBusiness], owners: dict[str, Principal], people: dict[str, UserId]
    ) -> None:
        """Invite the members to the businesses; each accepts."""
        found = await find_members(self.node.pool, [_acting(owner) for owner in owners.values()])

        async def add(work: tuple[Principal, PlannedMember]) -> None:
            owner, member = work
            user_id = people[member.account.email]
            if (owner.business_id, user_id) not in found:
                command = AddMember(
                    business_id=_acting(owner),
                    user_id=user_id,
                    role=member.role,
                    manager=member.manager,
                    bio=member.bio,
                    working=member.working,
                )
                await self._join(command, owner)
            self._count(1, "people")

        await _each([(owners[one.owner.email], member) for one in planned for member in one.members], add)
        await self.settle()

    async def _join(self, invite: AddMember, owner: Principal) -> None:
        """Invite a person, unless an interrupted run has, and accept for them."""
        pool, business_id, user_id = self.node.pool, invite.business_id, invite.user_id
        invitation_id = await find_invitation(pool, business_id, user_id)
        if invitation_id is None:
            await self._send(invite, owner)
            invitation_id = await find_invitation(pool, business_id, user_id)
            assert invitation_id is not None, "the invitation was made"
        await self._send(AcceptInvitation(invitation_id=invitation_id), _customer(user_id))

    async def services(
        self, planned: Iterable[PlannedBusiness], owners: dict[str, Principal], people: dict[str, UserId]
    ) -> None:
        """Create the services of the businesses."""
        found = await find_titles(self.node.pool, [_acting(owner) for owner in owners.values()])

        async def offer(work: tuple[Principal, PlannedService]) -> None:
            owner, service = work
            if (owner.business_id, service.command.title) not in found:
                staff_ids = tuple(people[email] for email in service.staff)
                await self._send(replace(service.command, staff_ids=staff_ids), owner)
            self._count(1, "services")

        await _each([(owners[one.owner.email], service) for one in planned for service in one.services], offer)

    async def settle(self) -> None:
        """Wait until the messages that grant roles are handled."""
        runtime, pool = self.node.runtime, self.node.pool
        async with asyncio.timeout(REST_TIMEOUT_S):
            while await has_messages_under_way(pool, runtime.clock.now()):
                await runtime.drain()

    async def _send(self, command: Command, principal: Principal) -> Ref:
        """Send one command; returns the actor that decided it. Raises the command's error."""
        runtime, declared = self.node.runtime, BY_TYPE[type(command)]
        assert declared.actor is not None, f"{declared.name} is not a command"
        to = Ref(declared.actor, declared.addressee(command, principal) or runtime.new_id())
        outcome = await runtime.call(command, to, principal)
        if outcome.error is not None:
            raise outcome.error
        return outcome.to

    def _count(self, made: int, what: str) -> None:
        self.done += made
        self.progress(self.done, self.total, what)


async def _each(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Run the work for each item, COMMANDS_AT_ONCE concurrently; the first error cancels the rest."""
    remaining = iter(items)

    async def worker() -> None:
        for item in remaining:
            await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(COMMANDS_AT_ONCE):
                tasks.create_task(worker())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed


async def _hash(password: str) -> str:
    passwords = Passwords()
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()


def _customer(user_id: UserId) -> Principal:
    return Principal(user_id=user_id, role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}))


def _owner(user_id: UserId, business_id: BusinessId) -> Principal:
    return Principal(
        user_id=user_id,
        role=Role.OWNER,
        roles=frozenset({Role.OWNER}),
        business_id=business_id,
        manager=True,
    )


def _acting(owner: Principal) -> BusinessId:
    assert owner.business_id is not None, "an owner acts for a business"
    return owner.business_id
