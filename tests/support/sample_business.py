"""A sample business, a hair salon in Berlin, on a real database: owner, two staff members, customer and one service.

The time is Saturday, 1 June 2030; the Monday after it is ``MONDAY``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypedDict

import msgspec

from actors.actor import ACTORS
from actors.rules.zones import to_instant
from actors.runtime.call import Outcome, Published
from protocol.business.commands import AcceptInvitation, AddMember, RegisterBusiness
from protocol.business.terms import MemberRole, Week
from protocol.business.views import InvitationReply
from protocol.ids import BusinessId, ServiceId, UserId
from protocol.instants import LocalSpan
from protocol.registry import Command, Query
from protocol.roles import Principal, Role
from protocol.service.commands import CreateService
from protocol.service.views import FindSlots, SlotsView
from protocol.user.commands import SignUp
from server.app.nouns import import_all
from server.queries.slots import SlotFinder
from storage.database import Pool
from storage.offers import OfferCache
from storage.registry import Sources, bound_loaders
from tests.support.runtime import Node, make_runtime

ZONE = "Europe/Berlin"
NOW = datetime(2030, 6, 1, 10, tzinfo=UTC)
MONDAY = date(2030, 6, 3)
NINE_TO_FIVE = (LocalSpan(540, 1020),)
WITH_A_BREAK = (LocalSpan(540, 720), LocalSpan(780, 1020))
WEEK = Week(week=(*(WITH_A_BREAK,) * 5, (), ()))


class Days(TypedDict):
    """The range of a search for slots: whole days, or instants."""

    from_: str
    to: str


def berlin(clock: str, day: date = MONDAY) -> datetime:
    """The instant of a local time of the business."""
    return to_instant(datetime.fromisoformat(f"{day}T{clock}"), ZONE)


@dataclass
class SampleBusiness:
    """The business and its users, with functions to send commands and queries."""

    node: Node
    pool: Pool
    sources: Sources
    business_id: BusinessId
    owner: Principal
    sam: Principal
    stela: Principal
    customer: Principal
    cut: ServiceId

    async def do(self, command: Command, principal: Principal | None = None, **options: Any) -> Outcome:
        """Send a command, by default as the owner, and wait until the messages that it causes are handled."""
        outcome = await self.node.send(command, principal or self.owner, **options)
        await self.node.at_rest()
        return outcome

    async def slots(
        self,
        principal: Principal | None = None,
        *,
        from_: str | None = None,
        to: str | None = None,
        staff_id: UserId | None = None,
        explain: bool = False,
    ) -> SlotsView:
        """Find slots of the service."""
        finder = SlotFinder(self.sources, self.node.clock.now)
        asked = FindSlots(service_id=self.cut, from_=from_, to=to, staff_id=staff_id, explain=explain)
        return await finder(self.pool, asked, principal)

    async def ask(self, handler: Any, query: Query, principal: Principal | None = None) -> Any:
        """Run a query."""
        return await handler(self.pool, query, principal)


async def sign_up(node: Node, name: str) -> Principal:
    """Create an account; its principal acts as a customer."""
    outcome = await node.send(SignUp(email=f"{name.lower()}@salon.test", name=name))
    assert outcome.error is None
    return Principal(user_id=UserId(outcome.to.id), role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}))


def acting(person: Principal, role: Role, business_id: BusinessId, *, manager: bool = False) -> Principal:
    """The same user, acting for a business."""
    return Principal(
        user_id=person.user_id,
        role=role,
        roles=person.roles | {role},
        business_id=business_id,
        manager=manager,
    )


@asynccontextmanager
async def open_sample_business(dsn: str, pool: Pool, *, unpaid_holds_max: int = 0) -> AsyncIterator[SampleBusiness]:
    """Create the business on an empty database, by commands."""
    offers = OfferCache(pool)
    sources = Sources(pool=pool, offers=offers, unpaid_holds_max=unpaid_holds_max)
    import_all()
    async with make_runtime(dsn, pool, ACTORS, bound_loaders(sources)) as node:

        def publish(published: Published) -> None:
            node.heard.append(published)
            offers.on_event(published)

        node.runtime.publish = publish
        await node.advance(NOW - node.clock.now())
        olga, sam, stela, carla = [await sign_up(node, name) for name in ("Olga", "Sam", "Stela", "Carla")]
        register = RegisterBusiness(
            name="Salon Olga", category_id="hair", city="Berlin", zone=ZONE, currency="EUR", hours=WEEK
        )
        business_id = BusinessId((await node.send(register, olga)).to.id)
        owner = acting(olga, Role.OWNER, business_id, manager=True)
        for person in (sam, stela):
            invite = AddMember(business_id=business_id, user_id=person.user_id, role=MemberRole.STAFF)
            await join(node, owner, person, invite)
        salon = SampleBusiness(
            node,
            pool,
            sources,
            business_id,
            owner,
            acting(sam, Role.STAFF, business_id),
            acting(stela, Role.STAFF, business_id),
            carla,
            await offer(node, owner),
        )
        await node.at_rest()
        yield salon


async def join(node: Node, manager: Principal, person: Principal, invite: AddMember) -> None:
    """Make a user a member: the manager invites them, and they accept."""
    invited = await node.send(invite, manager)
    assert invited.error is None, invited.error
    invitation_id = msgspec.json.decode(invited.reply, type=InvitationReply).invitation_id
    accepted = await node.send(AcceptInvitation(invitation_id=invitation_id), person)
    assert accepted.error is None, accepted.error
    await node.at_rest()


async def offer(node: Node, owner: Principal, **changes: Any) -> ServiceId:
    """Create a service: by default a cut of an hour for 50 euros, done by all staff."""
    said = {"category_id": "hair", "title": "Cut", "price": 50, "duration_minutes": 60, **changes}
    outcome = await node.send(CreateService(**said), owner)
    assert outcome.error is None, outcome.error
    row = await node.pool.fetchval("SELECT id FROM services WHERE business_id = $1 ORDER BY id DESC", outcome.to.id)
    return ServiceId(row)
