"""The whole server on a real database and a free port, and people who use it as anybody would.

async def test_…(server: Site):
    market = await server.market(staff=3)
    ada = await server.person("Ada")
    booked = await ada.call(CreateBooking(service_id=market.service_id, start_at=market.soon))
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
import pytest
from argon2 import PasswordHasher
from msgspec import Struct
from multidict import CIMultiDictProxy

from actors.actor import ACTORS
from actors.runtime.call import SYSTEM_PRINCIPAL
from protocol.booking.commands import (
    ApproveBooking,
    CompleteBooking,
    CreateBooking,
    PayBooking,
    StartBooking,
)
from protocol.booking.views import BookingReply, PaymentReply
from protocol.business.commands import AcceptInvitation, AddMember, RegisterBusiness
from protocol.business.terms import MemberRole, Week
from protocol.errors import GuildwireError
from protocol.ids import BookingId, BusinessId, PaymentId, Ref, ServiceId, UserId
from protocol.instants import LocalSpan
from protocol.payment.commands import RecordCapture
from protocol.payment.terms import GATEWAY
from protocol.registry import BY_TYPE, Command
from protocol.roles import Principal, Role
from protocol.service.commands import CreateService
from protocol.service.views import ListServices
from protocol.user.commands import GrantRole
from protocol.user.views import UserView
from server.accounts import passwords
from server.accounts.bulk import NewAccount, make_accounts
from server.accounts.config import AuthConfig
from server.app.bootstrap import Server, open_server
from server.app.config import Config
from server.client import Client, Event, Rest
from server.edge.config import DevConfig, LimitsConfig, ServerConfig
from server.ops.verify import verify

#: Everything here answers in milliseconds; who waits longer has failed.
TIMEOUT_S = 30
PASSWORD = "a good enough secret"
#: Hashing is slow on purpose; how slow is no rule that is proved here.
CHEAP = {"ARGON2_MEMORY_KIB": 8, "ARGON2_PASSES": 1, "ARGON2_LANES": 1}
GATEWAY_SAYS = Principal(user_id=GATEWAY, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))
ALWAYS = Week(week=((LocalSpan(0, 24 * 60),),) * 7)
#: Sign-ins under way at once.
SIGN_INS_AT_ONCE = 8


@dataclass(eq=False)
class Person:
    """A user with an account, signed in; with a phone once they are ``live``."""

    rest: Rest
    #: None until they are live.
    client: Client | None = None
    #: Every event that was taken from the phone so far.
    heard: list[Event] = field(default_factory=list)

    @property
    def me(self) -> UserView:
        """Who they are, and what they act as."""
        assert self.rest.signed_in is not None
        return self.rest.signed_in.tokens.user

    @property
    def id(self) -> UserId:
        """Their user id."""
        return self.me.id

    @property
    def phone(self) -> Client:
        """Their live connection."""
        assert self.client is not None, "not live"
        return self.client

    @property
    def principal(self) -> Principal:
        """What their token stands for."""
        me = self.me
        return Principal(
            user_id=me.id,
            role=me.role,
            roles=frozenset(me.roles),
            business_id=me.business_id,
            manager=me.manager,
        )

    async def call(self, what: Struct, **options: Any) -> Any:
        """Send a command or ask a query over REST; gives the reply."""
        return (await self.rest.call(what, **options)).reply

    async def send(self, command: Command, **options: Any) -> Any:
        """Send a command over the socket; gives the reply."""
        async with asyncio.timeout(TIMEOUT_S):
            return (await self.phone.send(command, **options)).reply

    async def hears(self, type_: str, entity: Ref | str | None = None) -> Event:
        """Take events until one has that type, and is about that entity."""
        async with asyncio.timeout(TIMEOUT_S):
            async for event in self.phone.events():
                self.heard.append(event)
                if event.type == type_ and entity in (None, event.entity):
                    return event
        raise AssertionError("events never end")

    async def hears_all(self, seq: int) -> list[Event]:
        """Take events up to a number; gives all that were ever taken."""
        async with asyncio.timeout(TIMEOUT_S):
            while not any(event.seq == seq for event in reversed(self.heard)):
                self.heard.append(await anext(self.phone.events()))
        return self.heard


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response, read whole."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(frozen=True, slots=True)
class Market:
    """One business, open day and night, and the one service that it offers."""

    business_id: BusinessId
    service_id: ServiceId
    owner: Person
    staff: list[Person]

    @property
    def soon(self) -> datetime:
        """A full hour some way ahead, beyond every window and reminder."""
        return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=3)


class Site:
    """A running server, and the people around it."""

    def __init__(self, server: Server, stack: AsyncExitStack, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.node = server.node
        self.url = server.url
        self._stack = stack
        self._http = http
        self._hash = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

    async def person(self, name: str = "Somebody", *, live: bool = False) -> Person:
        """Make an account and sign in."""
        (person,) = await self.people(name, live=live)
        return person

    async def people(self, *names: str, live: bool = False) -> list[Person]:
        """Make accounts and sign in to each."""
        accounts = [NewAccount(email=f"{uuid4().hex}@people.test", name=name) for name in names]
        await make_accounts(self.node.runtime, accounts, self._hash)
        turns = asyncio.Semaphore(SIGN_INS_AT_ONCE)

        async def sign_in(account: NewAccount) -> Person:
            async with turns:
                return await self.sign_in(account.email, live=live)

        return await asyncio.gather(*map(sign_in, accounts))

    async def sign_in(self, email: str, *, live: bool = False) -> Person:
        """Sign in on one more device."""
        person = Person(await self._stack.enter_async_context(Rest(self.url)))
        await person.rest.sign_in(email, PASSWORD)
        if live:
            await self.connect(person)
        return person

    async def connect(self, *people: Person, since: str | None = None) -> None:
        """Connect users live, from now on or from a position."""
        for person in people:
            assert person.client is None, "live already"
            person.client = await self.listen(person, since)

    async def listen(self, person: Person, since: str | None = None) -> Client:
        """Open one more live connection of a user."""
        return await self._stack.enter_async_context(Client(person.rest, since=since))

    async def request(
        self, method: str, path: str, person: Person | None = None, body: Any = None, /, **headers: str
    ) -> Response:
        """One HTTP request as a program without our client sends it."""
        if person is not None:
            headers["Authorization"] = f"Bearer {await person.rest.token()}"
        async with self._http.request(method, self.url + path, json=body, headers=headers) as answer:
            return Response(answer.status, answer.headers, await answer.read())

    async def admin(self) -> Person:
        """A user with the active role admin."""
        person = await self.person("Admin")
        await self.system(GrantRole(user_id=person.id, role=Role.ADMIN))
        return await self.sign_in(person.me.email)

    async def market(self, *, staff: int = 1, price: float = 50, owner_serves: bool = False, **service: Any) -> Market:
        """Open a business with an owner, some staff and one service of an hour."""
        owner, *workers = await self.people("Olga Owner", *[f"Staff {number}" for number in range(staff)])
        register = RegisterBusiness(
            name="Workshop",
            category_id="repair",
            city="Berlin",
            zone="Europe/Berlin",
            currency="EUR",
            hours=ALWAYS,
            owner_serves=owner_serves,
        )
        business_id = (await owner.call(register)).business_id
        await self.at_rest()
        owner = await self.sign_in(owner.me.email)
        for worker in workers:
            await self.join(owner, worker, AddMember(business_id=business_id, user_id=worker.id, role=MemberRole.STAFF))
        said = {"category_id": "repair", "title": "Repair", "price": price, "duration_minutes": 60, **service}
        await owner.call(CreateService(**said))
        await self.at_rest()
        page = await owner.call(ListServices(business_id=business_id))
        workers = [await self.sign_in_as(worker, Role.STAFF) for worker in workers]
        return Market(business_id, page.items[0].id, owner, workers)

    async def employ(self, market: Market, *, manager: bool = False) -> Person:
        """Add a user to the business as an employee."""
        person = await self.person("Emil Employee")
        invite = AddMember(business_id=market.business_id, user_id=person.id, role=MemberRole.EMPLOYEE, manager=manager)
        await self.join(market.owner, person, invite)
        return await self.sign_in_as(person, Role.EMPLOYEE)

    async def join(self, manager: Person, person: Person, invite: AddMember) -> None:
        """Make a user a member: the manager invites them, and they accept."""
        invitation_id = (await manager.call(invite)).invitation_id
        await person.call(AcceptInvitation(invitation_id=invitation_id))
        await self.at_rest()

    async def sign_in_as(self, person: Person, role: Role) -> Person:
        """Sign a user in once more, and act in a role from then on."""
        person = await self.sign_in(person.me.email)
        await person.rest.act_as(role)
        return person

    async def system(self, command: Command, principal: Principal = SYSTEM_PRINCIPAL, **options: Any) -> Any:
        """Send a command that only the server itself sends; raises its refusal."""
        declared = BY_TYPE[type(command)]
        assert declared.actor is not None
        to = Ref(declared.actor, declared.addressee(command, principal) or self.node.runtime.new_id())
        outcome = await self.node.runtime.call(command, to, principal, key=options.get("key"))
        if outcome.error is not None:
            raise outcome.error
        return outcome

    async def booked(self, market: Market, customer: Person, hours: int = 0) -> BookingId:
        """A new, unpaid booking, some hours after the market's ``soon``."""
        start_at = market.soon + timedelta(hours=hours)
        booked: BookingReply = await customer.call(CreateBooking(service_id=market.service_id, start_at=start_at))
        return booked.booking_id

    async def confirmed(self, market: Market, customer: Person, hours: int = 0) -> BookingId:
        """A booking that is paid and approved, and its thread open."""
        booking_id = await self.booked(market, customer, hours)
        await self.captured(await customer.call(PayBooking(booking_id=booking_id)))
        await market.owner.call(ApproveBooking(booking_id=booking_id))
        await self.at_rest()
        return booking_id

    async def completed(self, market: Market, customer: Person, hours: int = 0) -> BookingId:
        """A booking that waits for its release."""
        booking_id = await self.confirmed(market, customer, hours)
        await self.until(market.soon + timedelta(hours=hours))
        await market.owner.call(StartBooking(booking_id=booking_id))
        await market.owner.call(CompleteBooking(booking_id=booking_id))
        return booking_id

    async def pay(self, customer: Person, booking_id: BookingId, *options: str) -> PaymentReply:
        """Pay at the sandbox gateway, as its page does; the gateway sends a webhook to the server."""
        payment: PaymentReply = await customer.call(PayBooking(booking_id=booking_id))
        query = "".join(f"?{option}=on" if not at else f"&{option}=on" for at, option in enumerate(options))
        answer = await self.request("POST", f"{payment.checkout_path}/pay{query}")
        assert answer.status == 200, answer.body  # the page that it leads back to
        return payment

    async def captured(self, payment: PaymentReply) -> None:
        """What a verified webhook of the gateway does, without the gateway."""
        await self.capture(payment.payment_id, payment.amount_minor, payment.currency)

    async def capture(self, payment_id: PaymentId, amount_minor: int, currency: str) -> None:
        """What a verified webhook of the gateway does, and what its payment does then."""
        command = RecordCapture(payment_id=payment_id, amount_minor=amount_minor, currency=currency)
        await self.system(command, GATEWAY_SAYS)
        await self.at_rest()

    async def advance(self, by: timedelta) -> None:
        """Let time pass, as anybody may in development, and wait until everything that fell due was handled."""
        body = {"advance_s": by.total_seconds()}
        answer = await self.request("POST", "/dev/clock", None, body)
        assert answer.status == 200, answer.body
        await self.at_rest()

    async def until(self, moment: datetime) -> None:
        """Let time pass until then, unless it has come already."""
        await self.advance(max(moment - self.node.clock.now(), timedelta()))

    async def at_rest(self) -> None:
        """Wait until every message between actors, and every timer that is due, was handled."""
        due = "SELECT EXISTS (SELECT FROM agenda WHERE due_at <= $1)"
        async with asyncio.timeout(TIMEOUT_S):
            await self.node.runtime.drain()
            while await self.node.pool.fetchval(due, self.node.clock.now()):
                await self.node.runtime.drain()

    async def prove(self) -> None:
        """Run every check of ``server verify``; none may find anything."""
        await self.at_rest()
        broken = [finding async for finding in verify(self.node.pool, ACTORS) if finding.broken]
        assert not broken, broken


async def outcome_of(answer: Any) -> Any:
    """The outcome of a call: its reply, or the error."""
    try:
        return await answer
    except GuildwireError as error:
        return error


def codes_of(outcomes: Sequence[Any]) -> list[str]:
    """``ok`` or the error's code, in order."""
    return [outcome.code if isinstance(outcome, GuildwireError) else "ok" for outcome in outcomes]


def make_config(data_dir: Path, **sections: Any) -> Config:
    """Development mode on a free port, without demo data; a whole section may be given instead.

    Commands' own rates and the bound on unpaid holds are lifted: what a test does in a second, people do in an hour.
    """
    said: dict[str, Any] = {
        "server": ServerConfig(port=0, data_dir=str(data_dir), drain_s=1),
        "auth": AuthConfig(),
        "dev": DevConfig(enabled=True, demo_data=False),
        "limits": LimitsConfig(command_rates=False, unpaid_holds_max=0),
        **sections,
    }
    return Config(**said)


@asynccontextmanager
async def open_site(dsn: str, config: Config) -> AsyncIterator[Site]:
    """Serve a migrated database until the end; everybody leaves before the server stops."""
    with pytest.MonkeyPatch.context() as patch:
        for name, cheap in CHEAP.items():
            patch.setattr(passwords, name, cheap)
        async with open_server(config, dsn) as server, AsyncExitStack() as stack:
            yield Site(server, stack, await stack.enter_async_context(aiohttp.ClientSession()))
