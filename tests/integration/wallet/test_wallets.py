"""Wallets and their statements, each role's its own (rule M-7)."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from protocol.booking.commands import ConfirmRelease
from protocol.booking.terms import BookingStatus
from protocol.errors import Forbidden
from protocol.roles import Principal, Role
from protocol.wallet.views import GetBalance, GetStatement, StatementPage, WalletBalance
from storage.database import Pool
from storage.queries.wallet import BUSINESS_WALLET, CUSTOMERS_WALLET, STATEMENT, get_balance, get_statement
from tests.support.jobs import brought_to, done
from tests.support.query_plans import generic_plan
from tests.support.sample_business import SampleBusiness, open_sample_business, sign_up


@pytest.fixture
async def salon(database_dsn: str, pool: Pool) -> AsyncIterator[SampleBusiness]:
    async with open_sample_business(database_dsn, pool) as salon:
        yield salon


class TestWallets:
    async def balance(self, salon: SampleBusiness, who: Principal) -> WalletBalance:
        view: WalletBalance = await salon.ask(get_balance, GetBalance(), who)
        return view

    async def test_the_business_sees_what_is_pending_then_what_is_its_own(self, salon: SampleBusiness) -> None:
        await brought_to(salon, BookingStatus.CONFIRMED, "09:00")
        cleared = await brought_to(salon, BookingStatus.COMPLETED, "13:00")

        before = await self.balance(salon, salon.owner)
        await done(salon, ConfirmRelease(booking_id=cleared), salon.customer)
        after = await self.balance(salon, salon.owner)

        assert (before.pending_escrow, before.available_payout, before.total_revenue) == (100, 0, 0)
        assert (after.pending_escrow, after.available_payout, after.total_revenue) == (50, 45, 45)
        assert (after.currency, after.total_revenue_minor, after.pending_escrow_minor) == ("EUR", 4_500, 5_000)
        assert [amounts.currency for amounts in after.by_currency] == ["EUR"]

    async def test_a_role_sees_its_own_fields_and_no_others(self, salon: SampleBusiness) -> None:
        shown = {
            who.role: set(msgspec.to_builtins(await self.balance(salon, who)))
            for who in (salon.customer, salon.sam, salon.owner)
        }

        always = {"currency", "role", "by_currency", "as_of"}
        assert shown[Role.STAFF] - always == {"tips_only", "tips_only_minor"}
        assert shown[Role.CUSTOMER] - always == {"balance", "balance_minor", "credits"}
        assert shown[Role.OWNER] - always == {
            f"{name}{unit}"
            for name in ("total_revenue", "pending_escrow", "available_payout")
            for unit in ("", "_minor")
        }

    async def test_a_refund_is_the_customer_s_balance(self, salon: SampleBusiness) -> None:
        await brought_to(salon, BookingStatus.CANCELLED)

        view = await self.balance(salon, salon.customer)

        assert (view.balance, view.balance_minor, view.currency, view.credits) == (50, 5_000, "EUR", 0)

    async def test_who_never_bought_anything_has_nothing_in_no_currency(self, salon: SampleBusiness) -> None:
        view = await self.balance(salon, await sign_up(salon.node, "Eve"))

        assert (view.balance, view.currency, view.by_currency) == (0, None, [])

    async def test_a_wallet_with_two_currencies_keeps_them_apart(self, salon: SampleBusiness) -> None:
        await brought_to(salon, BookingStatus.CANCELLED)
        account = f"customer.wallet/{salon.customer.user_id}/JPY"
        await salon.pool.execute("INSERT INTO balances (account, balance_minor) VALUES ($1, 700)", account)

        view = await self.balance(salon, salon.customer)

        assert (view.currency, view.balance) == ("EUR", 50)
        assert [(amounts.currency, amounts.balance) for amounts in view.by_currency] == [("EUR", 50), ("JPY", 700)]

    async def test_the_statement_tells_what_moved_and_for_which_booking(self, salon: SampleBusiness) -> None:
        cancelled = await brought_to(salon, BookingStatus.CANCELLED, "09:00")
        released = await brought_to(salon, BookingStatus.COMPLETED, "13:00")
        await done(salon, ConfirmRelease(booking_id=released), salon.customer)

        customers: StatementPage = await salon.ask(get_statement, GetStatement(), salon.customer)
        businesses: StatementPage = await salon.ask(get_statement, GetStatement(), salon.owner)
        nobodys: StatementPage = await salon.ask(get_statement, GetStatement(), salon.sam)

        (refund,) = customers.items
        assert (refund.reason, refund.amount, refund.amount_minor, refund.booking_id) == (
            "refund",
            50,
            5_000,
            cancelled,
        )
        (release,) = businesses.items
        assert (release.reason, release.amount_minor, release.booking_id) == ("release", 4_500, released)
        assert nobodys.items == []

    async def test_what_went_out_is_below_nothing_and_pages_hold_everything_once(self, salon: SampleBusiness) -> None:
        wallet = f"customer.wallet/{salon.customer.user_id}/EUR"
        await salon.pool.execute("INSERT INTO balances (account, balance_minor) VALUES ($1, 0)", wallet)
        await salon.pool.executemany(
            "INSERT INTO transfers (id, debit, credit, amount_minor, currency, reason, kind, subject_id, at)"
            " VALUES ($1, $2, $3, $4, 'EUR', 'test', 'user', $5, '2030-06-01T10:00Z'::timestamptz + $6)",
            [
                (
                    uuid4(),
                    *((wallet, "system.gateway/platform/EUR") if n % 2 else ("system.escrow/platform/EUR", wallet)),
                    100 + n,
                    salon.customer.user_id,
                    timedelta(minutes=n // 2),
                )
                for n in range(7)
            ],
        )

        amounts: list[int] = []
        cursor = None
        for _ in range(4):
            page: StatementPage = await salon.ask(get_statement, GetStatement(limit=2, cursor=cursor), salon.customer)
            amounts += [line.amount_minor for line in page.items]
            assert all(line.booking_id is None for line in page.items)
            cursor = page.next_cursor
        assert cursor is None
        assert amounts[0] == 106
        assert sorted(amounts) == [-105, -103, -101, 100, 102, 104, 106]

    async def test_admins_have_no_wallet(self, salon: SampleBusiness) -> None:
        admin = Principal(user_id=salon.owner.user_id, role=Role.ADMIN, roles=frozenset({Role.ADMIN}))

        with pytest.raises(Forbidden):
            await self.balance(salon, admin)


class TestPlans:
    """Lists go by an index, however much there is."""

    @pytest.fixture(autouse=True)
    async def much(self, pool: Pool) -> None:
        """5,000 transfers to 20 businesses, of 5,000."""
        await pool.execute(
            """
            INSERT INTO transfers (id, debit, credit, amount_minor, currency, reason, kind, subject_id, at)
            SELECT gen_random_uuid(), 'system.escrow/platform/EUR',
                   'business.wallet/' || md5('b' || n % 20)::uuid || '/EUR', 100, 'EUR', 'release', 'booking',
                   gen_random_uuid(), now() + n * interval '1 minute' FROM generate_series(1, 5000) n
            """
        )
        await pool.execute(
            "INSERT INTO balances SELECT 'business.wallet/' || md5('b' || n)::uuid || '/EUR', 100"
            " FROM generate_series(0, 4999) n"
        )
        await pool.execute("ANALYZE transfers, balances")

    async def test_the_statement_has_its_indexes(self, pool: Pool) -> None:
        plan = await generic_plan(pool, STATEMENT)

        for index in ("transfers_credit", "transfers_debit", "balances_pkey"):
            assert index in plan, plan
        assert "Seq Scan on transfers" not in plan
        assert "Seq Scan on balances" not in plan

    async def test_a_businesss_balance_takes_as_long_however_much_it_has_earned(self, pool: Pool) -> None:
        business_id = uuid4()
        await pool.execute("INSERT INTO balances VALUES ($1, 100)", f"business.wallet/{business_id}/EUR")
        await pool.execute("INSERT INTO counters VALUES ($1, 100)", f"business.revenue/{business_id}/EUR")

        few = await self._pages_read(pool, business_id, releases=10)
        many = await self._pages_read(pool, business_id, releases=10_000)

        assert few == many

    async def _pages_read(self, pool: Pool, business_id: UUID, releases: int) -> int:
        """How many pages a balance takes after so many more releases."""
        await pool.execute(
            """
            WITH job AS (SELECT gen_random_uuid() AS id FROM generate_series(1, $3)),
            hold AS (
                INSERT INTO holds SELECT id, 'booking', id, $1, 'service', 'EUR', 100, 0, 'POSTED', now() FROM job)
            INSERT INTO transfers
            SELECT id, 'system.escrow/platform/EUR', $2, 100, 'EUR', 'release', 'booking', id, now() FROM job
            """,
            business_id,
            f"business.wallet/{business_id}/EUR",
            releases,
        )
        await pool.execute("VACUUM ANALYZE transfers, balances, holds, counters")
        names = (uuid4(), f"business.wallet/{business_id}/", business_id, f"business.revenue/{business_id}/")
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off")
            await connection.fetch(BUSINESS_WALLET, *names)
            (row,) = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {BUSINESS_WALLET}", *names)
        (plan,) = json.loads(row[0])
        return int(plan["Plan"]["Shared Hit Blocks"]) + int(plan["Plan"]["Shared Read Blocks"])

    async def test_balances_are_looked_up(self, pool: Pool) -> None:
        for sql in (BUSINESS_WALLET, CUSTOMERS_WALLET):
            plan = await generic_plan(pool, sql)

            assert "balances_pkey" in plan
            for table in ("balances", "transfers", "bookings"):
                assert f"Seq Scan on {table}" not in plan
