"""Accounts through the real runtime and Postgres: sign-up, sign-in, refresh, sign-out, and what is never stored."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientSession, ClientTimeout
from aiohttp.web import TCPSite
from argon2 import PasswordHasher
from structlog.testing import capture_logs

from actors.runtime.call import Published
from actors.user.actor import User
from protocol.auth.procedures import ActAs, Refresh, Register, SignIn
from protocol.auth.views import Tokens
from protocol.errors import EmailTaken, Forbidden, Invalid, LimitReached, NotFound, Unauthenticated
from protocol.ids import BusinessId, Kind, SessionId, UserId
from protocol.registry import BY_NAME, Mode
from protocol.roles import Principal, Role
from protocol.user.commands import EndSession, GrantRole, RevokeRole, RevokeSession
from protocol.user.events import SessionRevoked
from protocol.user.terms import REFRESH_GRACE_S, RevokeReason
from protocol.user.views import CurrentUser, Sessions
from server.accounts.bulk import NewAccount, make_accounts
from server.accounts.keys import load_keys
from server.accounts.limits import SIGN_IN_ATTEMPTS, SIGN_IN_ATTEMPTS_ELSEWHERE
from server.accounts.passwords import Passwords
from server.accounts.procedures import Accounts
from server.accounts.refresh import make_refresh_token
from server.accounts.tokens import TokenService
from server.edge.context import RequestContext
from server.rest.app import HttpApp
from storage.database import Pool
from storage.queries.user import current_user, find_password, list_sessions, load_names
from tests.support.runtime import Node, make_runtime

ACCESS_S = 600
REQUEST_TIMEOUT_S = 20
SESSION_S = 30 * 86_400
EMAIL = "Ada@example.com"
PASSWORD = "correct horse battery"
SALON = BusinessId(UUID(int=77))
WEAK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ADA = Register(email=EMAIL, password=PASSWORD, name="Ada Lovelace", phone_number="+49 30 901820", device="web")


@dataclass(frozen=True, slots=True)
class Site:
    """One node with accounts, without its transports."""

    node: Node
    tokens: TokenService
    passwords: Passwords
    accounts: Accounts
    #: Every published event.
    published: list[Published]

    def who(self, tokens: Tokens) -> Principal:
        return self.tokens.verify(tokens.access_token)

    async def sign_in(self, password: str = PASSWORD, *, email: str = EMAIL, address: str = "192.0.2.1") -> Tokens:
        return await self.accounts.sign_in(
            SignIn(email=email, password=password, device="web"), request(address=address)
        )

    async def refresh(self, refresh_token: str | None) -> Tokens:
        assert refresh_token is not None
        return await self.accounts.refresh(Refresh(refresh_token=refresh_token), request())


def request(
    principal: Principal | None = None, *, address: str = "192.0.2.1", key: str | None = None
) -> RequestContext:
    return RequestContext(
        principal=principal, address=address, user_agent="", language="en", request_id="request", key=key
    )


async def start(stack: AsyncExitStack, dsn: str, pool: Pool, keys: Path) -> Site:
    node = await stack.enter_async_context(make_runtime(dsn, pool, {Kind.USER: User}, {}))
    tokens = TokenService(load_keys(keys), lifetime_s=ACCESS_S)
    passwords = Passwords(WEAK)
    stack.callback(passwords.close)
    accounts = Accounts(node.runtime, pool, tokens, passwords, session_s=SESSION_S)
    published: list[Published] = []

    def publish(one: Published) -> None:
        published.append(one)
        tokens.on_event(one)

    node.runtime.publish = publish
    await accounts.start()
    return Site(node, tokens, passwords, accounts, published)


@pytest.fixture
async def site(database_dsn: str, pool: Pool, tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield await start(stack, database_dsn, pool, tmp_path / "keys")


@dataclass(frozen=True, slots=True)
class Rest:
    """A client of the routes of accounts."""

    session: ClientSession
    address: str

    async def ask(self, method: str, path: str, token: str | None = None, **body: object) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        json = body or None
        async with self.session.request(method, self.address + path, json=json, headers=headers) as response:
            return response.status, await response.json(content_type=None)


@asynccontextmanager
async def serve(site: Site, pool: Pool) -> AsyncIterator[Rest]:
    """Serve accounts over HTTP on a free port."""
    app = HttpApp(
        runtime=site.node.runtime,
        queries={CurrentUser: current_user, Sessions: list_sessions},
        procedures=site.accounts.procedures,
        authenticate=site.tokens.verify,
        pool=pool,
        declarations=[
            one
            for name, one in BY_NAME.items()
            if name.startswith(("auth.", "user."))
            and (one.mode is not Mode.PROCEDURE or one.type in site.accounts.procedures)
        ],
    )
    runner = app.runner()
    await runner.setup()
    await TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    try:
        async with ClientSession(timeout=ClientTimeout(REQUEST_TIMEOUT_S)) as session:
            yield Rest(session, f"http://{host}:{port}")
    finally:
        await runner.cleanup()


class TestSignUp:
    async def test_an_account_is_made_and_signed_in_as_a_customer(self, site: Site, pool: Pool) -> None:
        tokens = await site.accounts.register(ADA, request())

        who = site.who(tokens)
        assert (who.role, who.roles, who.manager, who.business_id) == (
            Role.CUSTOMER,
            frozenset({Role.CUSTOMER}),
            False,
            None,
        )
        assert (tokens.token_type, tokens.expires_in_s, tokens.expires_in) == ("Bearer", ACCESS_S, ACCESS_S)
        seen = await current_user(pool, CurrentUser(), who)
        assert (seen.id, seen.email, seen.name, seen.phone_number) == (
            who.user_id,
            EMAIL,
            "Ada Lovelace",
            "+4930901820",
        )
        assert (seen.is_email_verified, seen.is_phone_verified) == (False, False)
        assert seen.last_login_at is not None
        assert tokens.user == seen

    async def test_of_concurrent_sign_ups_with_one_address_exactly_one_succeeds(self, site: Site, pool: Pool) -> None:
        addresses = [EMAIL, EMAIL.lower(), EMAIL.upper()] * 4

        answers = await asyncio.gather(
            *(
                site.accounts.register(Register(email=email, password=PASSWORD, name="Ada"), request())
                for email in addresses
            ),
            return_exceptions=True,
        )

        assert sorted(type(answer).__name__ for answer in answers) == ["EmailTaken"] * 11 + ["Tokens"]
        for table in ("people", "credentials", "users"):
            assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 1

    async def test_a_retry_with_its_key_returns_the_same_account(self, site: Site, pool: Pool) -> None:
        first = await site.accounts.register(ADA, request(key="once"))

        again = await site.accounts.register(ADA, request(key="once"))

        assert site.who(again).user_id == site.who(first).user_id
        assert await pool.fetchval("SELECT count(*) FROM people") == 1

    async def test_a_retry_needs_the_same_password(self, site: Site) -> None:
        await site.accounts.register(ADA, request(key="once"))
        stranger = Register(email=EMAIL, password="another password", name="Eve")

        with pytest.raises(EmailTaken):
            await site.accounts.register(stranger, request(key="once"))

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"email": "ada"}, "email"),
            ({"password": "short"}, "password"),
            ({"password": EMAIL}, "password"),
            ({"name": "   "}, "name"),
            ({"name": "\u200b\u202e"}, "name"),
            ({"phone_number": "030 901820"}, "phone_number"),
        ],
    )
    async def test_an_invalid_sign_up_is_refused_by_field_and_leaves_nothing(
        self, site: Site, pool: Pool, changes: dict[str, str], field: str
    ) -> None:
        with pytest.raises(Invalid) as caught:
            await site.accounts.register(
                Register(**{"email": EMAIL, "password": PASSWORD, "name": "Ada", **changes}), request()
            )

        assert list(caught.value.fields) == [field]
        assert await pool.fetchval("SELECT count(*) FROM actors") == 0


class TestSignIn:
    async def test_the_case_of_an_address_does_not_matter(self, site: Site) -> None:
        made = await site.accounts.register(ADA, request())

        tokens = await site.sign_in(email=EMAIL.upper())

        assert site.who(tokens).user_id == site.who(made).user_id
        assert site.who(tokens).session_id != site.who(made).session_id

    async def test_a_wrong_password_and_an_unknown_address_are_refused_alike(self, site: Site) -> None:
        await site.accounts.register(ADA, request())

        refusals = []
        for email in (EMAIL, "nobody@example.com"):
            with pytest.raises(Unauthenticated) as caught:
                await site.sign_in("wrong password", email=email)
            refusals.append(caught.value.fields)

        assert refusals == [{"reason": "wrong_credentials"}] * 2

    async def test_guessing_is_limited_and_other_addresses_are_not(self, site: Site) -> None:
        await site.accounts.register(ADA, request())
        for _ in range(SIGN_IN_ATTEMPTS.burst):
            with pytest.raises(Unauthenticated):
                await site.sign_in("wrong password")

        with pytest.raises(LimitReached):
            await site.sign_in(PASSWORD)
        await site.sign_in(PASSWORD, address="198.51.100.1")

    async def test_an_address_that_refreshed_its_tokens_signs_in_under_an_attack_from_many(self, site: Site) -> None:
        first = await site.accounts.register(ADA, request(address="192.0.2.200"))
        assert first.refresh_token is not None
        await site.accounts.refresh(Refresh(refresh_token=first.refresh_token), request(address="192.0.2.1"))
        for number in range(SIGN_IN_ATTEMPTS_ELSEWHERE.burst):
            with pytest.raises(Unauthenticated):
                await site.sign_in("wrong password", address=f"198.51.100.{number}")

        with pytest.raises(LimitReached):
            await site.sign_in("wrong password", address="203.0.113.1")
        for known in ("192.0.2.1", "192.0.2.200"):
            await site.sign_in(address=known)

    async def test_a_hash_of_old_parameters_is_replaced(self, site: Site, pool: Pool) -> None:
        old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
        await make_accounts(site.node.runtime, [NewAccount(email=EMAIL, name="Ada")], old)

        await site.sign_in()

        kept = await find_password(pool, EMAIL)
        assert kept is not None
        assert kept.password_hash != old
        assert not site.passwords.is_outdated(kept.password_hash)
        await site.sign_in()


class TestRefresh:
    async def test_a_refresh_token_is_valid_once_and_its_session_continues(self, site: Site) -> None:
        first = await site.accounts.register(ADA, request())

        second = await site.refresh(first.refresh_token)
        third = await site.refresh(second.refresh_token)

        assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
        assert site.who(third).session_id == site.who(first).session_id

    async def test_an_older_token_presented_again_ends_the_session_for_thief_and_owner(self, site: Site) -> None:
        stolen = await site.accounts.register(ADA, request())
        current = await site.refresh(stolen.refresh_token)
        closed: list[SessionId] = []
        site.tokens.on_revoked = lambda user_id, session_id: closed.append(session_id)
        await site.node.advance(timedelta(seconds=REFRESH_GRACE_S))

        with pytest.raises(Unauthenticated) as caught:
            await site.refresh(stolen.refresh_token)

        assert caught.value.fields == {"reason": "revoked"}
        with pytest.raises(Unauthenticated):
            await site.refresh(current.refresh_token)
        with pytest.raises(Unauthenticated):
            site.who(current)
        (revoked,) = [one.emitted.event for one in site.published if isinstance(one.emitted.event, SessionRevoked)]
        assert revoked.reason is RevokeReason.REUSE
        assert closed == [revoked.session_id]

    @pytest.mark.parametrize("tabs", [2, 5, 10])
    async def test_tabs_that_renew_at_once_all_go_on_also_across_a_restart(
        self, database_dsn: str, pool: Pool, tmp_path: Path, tabs: int
    ) -> None:
        async with AsyncExitStack() as stack:
            site = await start(stack, database_dsn, pool, tmp_path / "keys")
            first = await site.accounts.register(ADA, request())
            held = await asyncio.gather(*(site.refresh(first.refresh_token) for _ in range(tabs)))
            await site.node.advance(timedelta(seconds=ACCESS_S))
            held = await asyncio.gather(*(site.refresh(one.refresh_token) for one in held))
            restarted_at = site.node.clock.now() + timedelta(seconds=ACCESS_S)

        async with AsyncExitStack() as stack:
            site = await start(stack, database_dsn, pool, tmp_path / "keys")
            await site.node.advance(restarted_at - site.node.clock.now())
            held = await asyncio.gather(*(site.refresh(one.refresh_token) for one in held))

            assert len({one.refresh_token for one in held}) == tabs
            assert {site.who(one).session_id for one in held} == {site.who(first).session_id}

    async def test_a_tab_that_renews_later_than_another_is_refused_and_the_other_goes_on(self, site: Site) -> None:
        first = await site.accounts.register(ADA, request())
        one, other = await asyncio.gather(site.refresh(first.refresh_token), site.refresh(first.refresh_token))
        one = await site.refresh(one.refresh_token)
        await site.node.advance(timedelta(seconds=REFRESH_GRACE_S))

        with pytest.raises(Unauthenticated) as caught:
            await site.refresh(other.refresh_token)

        assert caught.value.fields == {"reason": "superseded"}
        await site.refresh(one.refresh_token)

    async def test_a_lost_reply_can_be_retried_within_the_grace_period(self, site: Site) -> None:
        first = await site.accounts.register(ADA, request())
        await site.refresh(first.refresh_token)  # never arrives
        await site.node.advance(timedelta(seconds=REFRESH_GRACE_S / 2))

        again = await site.refresh(first.refresh_token)

        await site.refresh(again.refresh_token)

    async def test_a_session_that_is_not_refreshed_expires(self, site: Site) -> None:
        first = await site.accounts.register(ADA, request())
        await site.node.advance(timedelta(seconds=SESSION_S))

        with pytest.raises(Unauthenticated) as caught:
            await site.refresh(first.refresh_token)
        assert caught.value.fields == {"reason": "expired"}

    async def test_a_forged_refresh_token_is_refused(self, site: Site) -> None:
        invented = make_refresh_token(UserId(UUID(int=1)), SessionId(UUID(int=2)))

        with pytest.raises(Unauthenticated):
            await site.refresh(invented.text)

    async def test_a_stranger_who_knows_the_ids_cannot_end_the_session(self, site: Site) -> None:
        first = await site.accounts.register(ADA, request())
        who = site.who(first)
        assert who.session_id is not None

        with pytest.raises(Unauthenticated) as caught:
            await site.refresh(make_refresh_token(who.user_id, who.session_id).text)

        assert caught.value.fields == {"reason": "invalid"}
        await site.refresh(first.refresh_token)


class TestSessions:
    async def test_sessions_are_listed_and_another_device_can_be_signed_out(self, site: Site, pool: Pool) -> None:
        phone = await site.accounts.register(ADA, request())
        laptop = await site.sign_in()
        who = site.who(laptop)

        listed = (await list_sessions(pool, Sessions(), who)).sessions
        assert [(one.id, one.current) for one in listed] == [
            (who.session_id, True),
            (site.who(phone).session_id, False),
        ]
        other = site.who(phone).session_id
        assert other is not None
        outcome = await site.node.send(RevokeSession(session_id=other), who)

        assert outcome.error is None
        assert [one.id for one in (await list_sessions(pool, Sessions(), who)).sessions] == [who.session_id]
        with pytest.raises(Unauthenticated):
            site.who(phone)
        assert site.who(laptop) == who

    async def test_a_session_of_another_user_is_not_found(self, site: Site) -> None:
        ada = await site.accounts.register(ADA, request())
        eve = await site.accounts.register(Register(email="eve@example.com", password=PASSWORD, name="Eve"), request())
        session_id = site.who(ada).session_id
        assert session_id is not None

        outcome = await site.node.send(RevokeSession(session_id=session_id), site.who(eve))

        assert isinstance(outcome.error, NotFound)
        assert site.who(ada).session_id == session_id

    async def test_after_signing_out_neither_token_is_valid_even_after_a_restart(
        self, database_dsn: str, pool: Pool, tmp_path: Path
    ) -> None:
        async with AsyncExitStack() as stack:
            before = await start(stack, database_dsn, pool, tmp_path)
            tokens = await before.accounts.register(ADA, request())
            await before.node.send(EndSession(), before.who(tokens))
            with pytest.raises(Unauthenticated):
                before.who(tokens)

        async with AsyncExitStack() as stack:
            after = await start(stack, database_dsn, pool, tmp_path)
            with pytest.raises(Unauthenticated) as caught:
                after.who(tokens)
            assert caught.value.fields == {"reason": "revoked"}
            with pytest.raises(Unauthenticated):
                await after.refresh(tokens.refresh_token)


class TestRoles:
    async def hire(self, site: Site, user_id: UserId, role: Role, *, manager: bool = False) -> None:
        outcome = await site.node.send(GrantRole(user_id=user_id, role=role, business_id=SALON, manager=manager))
        assert outcome.error is None

    async def test_switching_makes_a_token_for_the_other_role_and_refreshing_keeps_it(self, site: Site) -> None:
        tokens = await site.accounts.register(ADA, request())
        await self.hire(site, tokens.user.id, Role.EMPLOYEE, manager=True)

        switched = await site.accounts.act_as(ActAs(role=Role.EMPLOYEE), request(site.who(tokens)))

        who = site.who(switched)
        assert (who.role, who.business_id, who.manager) == (Role.EMPLOYEE, SALON, True)
        assert who.roles == {Role.CUSTOMER, Role.EMPLOYEE}
        assert switched.refresh_token is None
        assert (switched.user.role, switched.user.business_id) == (Role.EMPLOYEE, SALON)
        assert site.who(await site.refresh(tokens.refresh_token)).role is Role.EMPLOYEE

    async def test_a_role_that_was_not_granted_is_refused(self, site: Site) -> None:
        tokens = await site.accounts.register(ADA, request())

        for role in (Role.ADMIN, Role.OWNER, Role.STAFF, Role.SYSTEM):
            with pytest.raises(Forbidden):
                await site.accounts.act_as(ActAs(role=role, business_id=SALON), request(site.who(tokens)))

    async def test_a_revoked_role_invalidates_tokens_at_once(self, site: Site) -> None:
        tokens = await site.accounts.register(ADA, request())
        await self.hire(site, tokens.user.id, Role.STAFF)
        staff = await site.accounts.act_as(ActAs(role=Role.STAFF), request(site.who(tokens)))

        await site.node.send(RevokeRole(user_id=tokens.user.id, role=Role.STAFF, business_id=SALON))

        with pytest.raises(Unauthenticated) as caught:
            site.who(staff)
        assert caught.value.fields == {"reason": "expired"}
        refreshed = site.who(await site.refresh(tokens.refresh_token))
        assert (refreshed.role, refreshed.roles) == (Role.CUSTOMER, frozenset({Role.CUSTOMER}))


class TestMany:
    async def test_many_accounts_share_one_hash_and_each_can_sign_in(self, site: Site, pool: Pool) -> None:
        people = [NewAccount(email=f"person{n}@demo.test", name=f"Person {n}") for n in range(600)]

        made = await make_accounts(site.node.runtime, people, await site.passwords.hash(PASSWORD))

        tokens = await site.sign_in(email="person599@demo.test")
        assert site.who(tokens).user_id == made[599]
        assert tokens.user.is_email_verified
        assert await load_names(pool, made[:2]) == {made[0]: "Person 0", made[1]: "Person 1"}

    async def test_an_address_that_is_taken_is_an_error(self, site: Site) -> None:
        people = [NewAccount(email=EMAIL, name="Ada"), NewAccount(email=EMAIL, name="Ada")]

        with pytest.raises(EmailTaken):
            await make_accounts(site.node.runtime, people, "hash")


class TestOverRest:
    """The paths that apps use."""

    async def test_a_client_signs_up_reads_its_data_and_signs_out(self, site: Site, pool: Pool) -> None:
        async with serve(site, pool) as rest:
            status, mine = await rest.ask("POST", "/auth/signup/", email=EMAIL, password=PASSWORD, name="Ada")
            assert status == 201
            token = mine["access_token"]
            assert (await rest.ask("GET", "/auth/current-user/", token))[1] == mine["user"]
            status, other = await rest.ask("POST", "/auth/signin/", email=EMAIL, password=PASSWORD, device="android")
            assert status == 200
            _, listed = await rest.ask("GET", "/auth/sessions/", token)
            assert [(one["device"], one["current"]) for one in listed["sessions"]] == [
                ("android", False),
                ("other", True),
            ]
            android = listed["sessions"][0]["id"]
            assert (await rest.ask("DELETE", f"/auth/sessions/{android}/", token))[0] == 200
            status, problem = await rest.ask("GET", "/auth/current-user/", other["access_token"])
            assert (status, problem["code"], problem["fields"]["reason"]) == (401, "unauthenticated", "revoked")
            status, fresh = await rest.ask("POST", "/auth/refresh/", refresh_token=mine["refresh_token"])
            assert status == 200
            assert (await rest.ask("POST", "/auth/switch-role/", fresh["access_token"], role="owner"))[0] == 403
            status, same = await rest.ask("POST", "/auth/switch-role/", fresh["access_token"], role="customer")
            assert (status, same["refresh_token"], same["user"]["role"]) == (200, None, "customer")
            assert (await rest.ask("POST", "/auth/signout/", token))[0] == 200
            assert (await rest.ask("GET", "/auth/current-user/", token))[0] == 401

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            ({"role": "owner"}, 422, "role"),
            ({"roles": ["admin"]}, 422, "roles"),
            ({"password": "short"}, 422, "password"),
            ({"email": "nobody"}, 422, "email"),
            ({"name": "A\u0000da"}, 422, "name"),
            ({"name": "x" * 101}, 422, "name"),
            ({"password": "x" * 129}, 422, "password"),
            ({"device": "Ada's phone"}, 422, "device"),
        ],
    )
    async def test_an_invalid_sign_up_names_the_field(
        self, site: Site, pool: Pool, body: dict[str, object], status: int, field: str
    ) -> None:
        fits = {"email": EMAIL, "password": PASSWORD, "name": "Ada"}
        async with serve(site, pool) as rest:
            answered, problem = await rest.ask("POST", "/auth/signup/", None, **{**fits, **body})

        assert answered == status
        assert list(problem["fields"]) == [field]
        assert await pool.fetchval("SELECT count(*) FROM actors") == 0

    async def test_an_invalid_sign_up_names_all_its_fields(self, site: Site, pool: Pool) -> None:
        async with serve(site, pool) as rest:
            answered, problem = await rest.ask(
                "POST", "/auth/signup/", None, email="x", password="1", name="", phone_number="12"
            )

        assert answered == 422
        assert problem["fields"] == {
            "email": "not_an_address",
            "password": "too_short",
            "name": "too_short",
            "phone_number": "not_international",
        }

    async def test_two_domains_that_fold_alike_have_an_account_each(self, site: Site, pool: Pool) -> None:
        async with serve(site, pool) as rest:
            answers = [
                (await rest.ask("POST", "/auth/signup/", None, email=email, password=PASSWORD, name="Ada"))[0]
                for email in ("info@fuß.test", "info@fuss.test", "INFO@FUẞ.test", "info@xn--fu-hia.test")
            ]

        assert answers == [201, 201, 409, 409]

    async def test_a_space_after_the_address_finds_the_same_account(self, site: Site, pool: Pool) -> None:
        async with serve(site, pool) as rest:
            signed_up, _ = await rest.ask(
                "POST", "/auth/signup/", None, email=f" {EMAIL} ", password=PASSWORD, name="Ada", language="zh_hant_tw"
            )
            signed_in, _ = await rest.ask("POST", "/auth/signin/", None, email=f"{EMAIL} ", password=PASSWORD)

        assert (signed_up, signed_in) == (201, 200)
        assert await pool.fetchval("SELECT language FROM people") == "zh-Hant-TW"

    async def test_internal_commands_cannot_be_sent(self, site: Site, pool: Pool) -> None:
        async with serve(site, pool) as rest:
            _, mine = await rest.ask("POST", "/auth/signup/", email=EMAIL, password=PASSWORD, name="Ada")
            grant = {"user_id": mine["user"]["id"], "role": "admin"}

            status, _ = await rest.ask(
                "POST", "/v1/commands", mine["access_token"], id="mine", name="user.grant_role", data=grant
            )

        assert status in {403, 422}
        assert await pool.fetchval("SELECT memberships FROM users") == await pool.fetchval(
            "SELECT $1::jsonb", '[{"role": "customer", "manager": false, "business_id": null}]'
        )


class TestSecrets:
    #: The tables that are there to hold them.
    CLOSED = frozenset({"people", "credentials", "unique_keys"})

    async def written(self, pool: Pool, *, closed: bool) -> str:
        """The content of the tables that may contain contact data, or of all others."""
        tables = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        wanted = [row[0] for row in tables if (row[0] in self.CLOSED) is closed]
        return " ".join([row[0] for table in wanted for row in await pool.fetch(f"SELECT t::text FROM {table} t")])

    async def test_passwords_tokens_and_contact_data_are_stored_in_their_own_rows_only(
        self, site: Site, pool: Pool, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with capture_logs() as logs:
            tokens = await site.accounts.register(ADA, request())
            everything = [tokens, await site.sign_in(), await site.refresh(tokens.refresh_token)]
            for wrong in (PASSWORD + "!", "wrong password"):
                with pytest.raises(Unauthenticated):
                    await site.sign_in(wrong)
            with pytest.raises(EmailTaken):
                await site.accounts.register(ADA, request())
            await site.node.advance(timedelta(seconds=REFRESH_GRACE_S))
            with pytest.raises(Unauthenticated):
                await site.refresh(tokens.refresh_token)
            await site.node.send(EndSession(), site.who(everything[1]))

        contact = ["$argon2id$", "Ada", "ada@", "Lovelace", "+4930901820"]
        never = [PASSWORD, "wrong password"]
        for one in everything:
            assert one.refresh_token is not None
            never += [one.access_token, one.refresh_token, one.refresh_token[-20:]]
        closed = await self.written(pool, closed=True)
        seen = await self.written(pool, closed=False) + str(logs) + caplog.text
        assert "session.refreshed" in seen
        assert [secret for secret in contact if secret not in closed] == []
        assert [secret for secret in contact + never if secret in seen] == []
        assert [secret for secret in never if secret in closed] == []
