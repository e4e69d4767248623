"""Refunds to the source, asked for until they are done, and a gateway that tells its merchant until it listens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from aiohttp import ClientSession, web

from protocol.booking.commands import CancelBooking
from protocol.booking.events import PaymentReturned
from protocol.ids import PaymentId
from protocol.payment.terms import GatewayEvent, PaymentStage
from server.payments.gateway import GatewayDown, GatewayRefused
from server.payments.part import open_sandbox
from server.payments.refunds import ASKS_MAX, Refunds
from server.payments.sandbox.gateway import SENDS_MAX, Sandbox
from server.payments.sandbox.wire import WEBHOOK_PATH
from server.payments.sandbox_adapter import SandboxGateway
from storage.database import Pool
from storage.queries.payment import PAGE, REFUNDING, Payment, load_refunding
from tests.support.http_server import Answer
from tests.support.payment_site import SECRETS, TIMEOUT_S, PaymentSite, open_payment_site
from tests.support.sample_actors import Gate, make_samples_runtime


@pytest.fixture
async def site(database_dsn: str, pool: Pool, tmp_path: Path) -> AsyncIterator[PaymentSite]:
    async with open_payment_site(database_dsn, pool, tmp_path) as site:
        yield site


class TestRefundsAtTheGateway:
    async def ask(self, site: PaymentSite, key: str = "refund-1", token: str | None = None, **changes: Any) -> Answer:
        wish = {"payment_id": str(uuid4()), "amount": 5_000, "currency": "EUR"} | changes
        headers = {"Authorization": f"Bearer {token or site.payments.sandbox._api_key}", "Idempotency-Key": key}
        body = msgspec.json.encode(wish)
        return await site.http.send("POST", "/gateway/refunds", data=body, headers=headers)

    async def test_the_same_key_is_the_same_refund(self, site: PaymentSite) -> None:
        payment_id = str(uuid4())
        first = await self.ask(site, payment_id=payment_id)
        again = await self.ask(site, payment_id=payment_id)
        other = await self.ask(site, "refund-2", payment_id=payment_id)

        assert first.status == again.status == 201
        assert first.json == again.json
        assert other.json["id"] != first.json["id"]

    async def test_the_same_key_for_something_else_is_a_conflict(self, site: PaymentSite) -> None:
        await self.ask(site)

        assert (await self.ask(site)).status == 409

    async def test_nobody_else_gets_money_back(self, site: PaymentSite) -> None:
        assert (await self.ask(site, token="guessed")).status == 401
        assert (await site.http.send("POST", "/gateway/refunds", data=b"{}")).status == 401

    async def test_a_wish_that_is_none_is_refused(self, site: PaymentSite) -> None:
        assert (await self.ask(site, amount="much")).status == 400
        assert (await self.ask(site, key="")).status == 422

    async def test_the_adapter_knows_down_from_no(self, site: PaymentSite) -> None:
        payment = _payment()
        async with ClientSession() as http:
            down = SandboxGateway(http, lambda: "http://127.0.0.1:9", api_key="x", webhook_secrets=SECRETS)
            refused = SandboxGateway(
                http, lambda: f"http://127.0.0.1:{site.http.port}", api_key="x", webhook_secrets=SECRETS
            )

            with pytest.raises(GatewayDown):
                await down.refund(payment)
            with pytest.raises(GatewayRefused):
                await refused.refund(payment)


def _payment(number: int = 0) -> Payment:
    return Payment(
        payment_id=PaymentId(uuid4()),
        amount_minor=5_000,
        currency="EUR",
        status=PaymentStage.REFUNDING,
        requested_at=datetime(2030, 6, 1, tzinfo=UTC) + timedelta(minutes=number),
        number="",
        title="",
        business_name="",
    )


class Teller:
    """A gateway that counts what it is asked, and fails when told."""

    name = "teller"

    def __init__(self) -> None:
        self.asked: list[PaymentId] = []
        self.fails: list[Exception] = []
        self.news = asyncio.Event()

    def read(self, headers: Mapping[str, str], body: bytes) -> GatewayEvent:
        raise NotImplementedError

    async def refund(self, payment: Payment) -> None:
        self.asked.append(payment.payment_id)
        self.news.set()
        if self.fails:
            raise self.fails.pop()

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while len(self.asked) < times:
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def refunds(
    teller: Teller,
    load_page: Callable[[Payment | None], Awaitable[list[Payment]]],
    *,
    round_every_s: float = 60.0,
) -> AsyncIterator[Refunds]:
    worker = Refunds(teller, load_page, ask_again_first_s=0.001, round_every_s=round_every_s)
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


class TestRefunds:
    async def test_what_was_left_undone_is_asked_for_at_the_start(self, site: PaymentSite) -> None:
        booking_id = await site.book()
        about = await site.about(booking_id)
        await site.payments._refunds.stop()
        await site.salon.do(CancelBooking(booking_id=booking_id), site.salon.customer)
        await site.send_webhook(data=about)
        await site.salon.node.at_rest()
        assert await site.status(booking_id) == ("CANCELLED", "REFUNDING")

        site.payments._refunds.start()
        await site.wait_for(PaymentReturned)

        assert await site.status(booking_id) == ("CANCELLED", "REFUNDED")

    async def test_more_than_a_page_is_asked_for_each_once_in_all_rounds(self) -> None:
        payments = [_payment(number) for number in range(PAGE + 20)]
        teller = Teller()
        rounds = 0
        third_round = asyncio.Event()

        async def load_page(after: Payment | None) -> list[Payment]:
            nonlocal rounds
            if after is None:
                rounds += 1
            if rounds == 3:
                third_round.set()
            at = 0 if after is None else payments.index(after) + 1
            return payments[at : at + PAGE]

        async with refunds(teller, load_page, round_every_s=0.001), asyncio.timeout(TIMEOUT_S):
            await third_round.wait()

        assert teller.asked == [payment.payment_id for payment in payments]

    async def test_a_gateway_that_is_down_is_asked_again_within_bounds_and_in_the_next_round(self) -> None:
        payment = _payment()
        teller = Teller()
        teller.fails = [GatewayDown("maintenance") for _ in range(ASKS_MAX + 1)]

        async def load_page(after: Payment | None) -> list[Payment]:
            return [payment] if after is None else []

        async with refunds(teller, load_page, round_every_s=0.001):
            await teller.until_asked(ASKS_MAX + 2)

        assert teller.fails == []

    async def test_a_refusal_does_not_keep_the_others_waiting(self) -> None:
        payments = [_payment(0), _payment(1)]
        teller = Teller()
        teller.fails = [GatewayRefused("status 422")]

        async def load_page(after: Payment | None) -> list[Payment]:
            return payments if after is None else []

        async with refunds(teller, load_page):
            await teller.until_asked(2)

        assert teller.asked == [payment.payment_id for payment in payments]

    async def test_a_database_that_is_away_ends_the_round_and_not_the_worker(self) -> None:
        payment = _payment()
        teller = Teller()
        outages = [OSError("gone")]

        async def load_page(after: Payment | None) -> list[Payment]:
            if outages:
                raise outages.pop()
            return [payment] if after is None else []

        async with refunds(teller, load_page, round_every_s=0.001):
            await teller.until_asked(1)

    async def test_the_work_is_found_by_its_index(self, pool: Pool) -> None:
        await pool.execute(
            "INSERT INTO payments SELECT gen_random_uuid(), 'booking', gen_random_uuid(), gen_random_uuid(),"
            " gen_random_uuid(), 'card', '', '', 5000, 'EUR',"
            " CASE WHEN n % 100 = 0 THEN 'REFUNDING' ELSE 'CAPTURED' END,"
            " now() + n * interval '1 minute', now(), 3 FROM generate_series(1, 5000) n"
        )
        await pool.execute("ANALYZE payments")
        async with pool.acquire() as connection:
            await connection.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE asked AS {REFUNDING}")
            rows = await connection.fetch("EXPLAIN EXECUTE asked(NULL, NULL)")
            await connection.execute("DEALLOCATE asked")

        plan = "\n".join(row[0] for row in rows)
        assert "payments_refunding" in plan
        assert "Seq Scan on payments" not in plan

    async def test_pages_of_the_work_hold_everything_once(self, site: PaymentSite) -> None:
        booking_id = await site.book()
        await site.payments.stop()
        await site.salon.pool.execute(
            "INSERT INTO payments SELECT gen_random_uuid(), 'booking', $1, $2, $3, 'card', '', '', n, 'EUR',"
            " 'REFUNDING', '2030-06-01'::timestamptz + (n / 3) * interval '1 minute', now(), 3"
            " FROM generate_series(1, $4::int) n",
            *(booking_id, site.salon.customer.user_id, site.salon.business_id, PAGE + 50),
        )

        first = await load_refunding(site.salon.pool, None)
        second = await load_refunding(site.salon.pool, first[-1])

        assert (len(first), len(second)) == (PAGE, 50)
        assert sorted(payment.amount_minor for payment in first + second) == list(range(1, PAGE + 51))


class TestDeliveries:
    """The sandbox against a merchant of its own."""

    @asynccontextmanager
    async def merchant(self, statuses: list[int]) -> AsyncIterator[tuple[Sandbox, list[bytes]]]:
        """A server that gives these answers, the last one for ever; and the gateway that tells it."""
        bodies: list[bytes] = []

        async def take(request: web.Request) -> web.Response:
            bodies.append(await request.read())
            return web.Response(status=statuses.pop(0) if len(statuses) > 1 else statuses[0])

        app = web.Application()
        app.router.add_post(WEBHOOK_PATH, take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"

        async def find(payment_id: PaymentId) -> Payment | None:
            return None

        try:
            async with ClientSession() as http:
                yield (
                    Sandbox(
                        http,
                        lambda: url,
                        find,
                        secret="s",
                        api_key="k",
                        now=lambda: datetime.now(UTC),
                        wait_first_s=0.0,
                    ),
                    bodies,
                )
        finally:
            await runner.cleanup()

    async def test_a_webhook_is_sent_until_it_is_answered_with_200(self) -> None:
        async with self.merchant([500, 404, 302, 202, 200]) as (sandbox, bodies):
            sandbox._send(sandbox._tell_captured(_payment(), frozenset()))
            await sandbox.at_rest()

        assert len(bodies) == 5
        assert len(set(bodies)) == 1

    async def test_it_gives_up_in_the_end(self) -> None:
        async with self.merchant([500]) as (sandbox, bodies):
            sandbox._send(sandbox._tell_captured(_payment(), frozenset()))
            await sandbox.at_rest()

        assert len(bodies) == SENDS_MAX

    async def test_stopping_ends_what_is_under_way(self) -> None:
        async with self.merchant([500]) as (sandbox, _):
            sandbox._wait_first_s = 60.0
            sandbox._send(sandbox._tell_captured(_payment(), frozenset({"slow"})))
            await sandbox.stop()

            assert not sandbox._tasks


class TestSecret:
    async def test_one_is_made_at_the_first_start_and_kept(self, pool: Pool, tmp_path: Path) -> None:
        runtime = make_samples_runtime(None, Gate())  # never asked for anything
        secrets = []
        for _ in range(2):
            payments = open_sandbox(pool, runtime, now=lambda: datetime.now(UTC), keys_dir=tmp_path / "keys")
            secrets.append(payments.sandbox._secret)
            await payments.stop()

        assert secrets[0] == secrets[1]
        assert len(secrets[0]) > 40
        (kept,) = (tmp_path / "keys").iterdir()
        assert kept.stat().st_mode & 0o777 == 0o600
