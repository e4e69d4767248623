"""Payments through a real gateway over real HTTP: webhooks doubled, late, forged and out of order (SPEC §4, §10)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from aiohttp import ClientSession, web

from actors.runtime.call import Call, Outcome, Published
from protocol.booking.commands import ApproveBooking, CancelBooking, CreateBooking, PayBooking, PaymentReply
from protocol.booking.events import PaymentReturned
from protocol.errors import Busy, Fault, InFlight
from protocol.ids import BookingId, PaymentId
from protocol.payment import GatewayEvent
from server.http.app import HttpApp
from server.outbound.payments import (
    ASKS_MAX,
    GatewayDown,
    GatewayRefused,
    Refunds,
    SandboxGateway,
)
from server.payments import SandboxPayments, open_sandbox_payments
from server.sandbox.gateway import SENDS_MAX, Sandbox
from server.sandbox.wire import SIGNATURE_HEADER, WEBHOOK_PATH
from server.webhooks.payments import WEBHOOK_BYTES_MAX
from server.webhooks.signature import TOLERANCE_S, sign
from storage.database import Pool
from storage.queries.payment import PAGE, REFUNDING, Payment, load_refunding
from tests.support.http_server import Answer, Http, authenticate, serve
from tests.support.salon import Salon, berlin, open_salon

SECRETS = ("whsec_new", "whsec_old")
TIMEOUT_S = 20


class Flaky:
    """The runtime, which fails as often as it is told before it works."""

    def __init__(self, salon: Salon) -> None:
        self._runtime = salon.node.runtime
        self.faults: list[Fault] = []

    async def execute(self, call: Call) -> Outcome:
        return Outcome(call.to, error=self.faults.pop()) if self.faults else await self._runtime.execute(call)

    def new_id(self) -> Any:
        return self._runtime.new_id()


@dataclass
class Shop:
    """The salon with a till."""

    salon: Salon
    payments: SandboxPayments
    runtime: Flaky
    http: Http
    heard: list[Published] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def book(self, clock: str = "09:00") -> BookingId:
        command = CreateBooking(service_id=self.salon.cut, start_at=berlin(clock), staff_id=self.salon.sam.user_id)
        outcome = await self.salon.do(command, self.salon.customer)
        assert outcome.error is None, outcome.error
        return BookingId(outcome.to.id)

    async def asked_to_pay(self, booking_id: BookingId) -> PaymentReply:
        outcome = await self.salon.do(PayBooking(booking_id=booking_id), self.salon.customer)
        return msgspec.json.decode(outcome.reply, type=PaymentReply)

    async def pay(self, booking_id: BookingId, query: str = "", **form: str) -> Answer:
        """Pay on the gateway's page."""
        reply = await self.asked_to_pay(booking_id)
        return await self.http.send("POST", f"{reply.checkout_path}/pay{query}", data=form or None)

    async def told(self, **changes: Any) -> Answer:
        """Send a webhook, as the gateway would unless told otherwise."""
        event = {"id": f"evt_{uuid4().hex}", "type": "payment.captured", "created": int(time()), "data": None}
        event |= {name: value for name, value in changes.items() if name in event}
        body = changes.get("body") or msgspec.json.encode(event)
        signature = sign(body, changes.get("secret", SECRETS[0]), int(time()) + changes.get("skew_s", 0))
        headers = {SIGNATURE_HEADER: signature} | changes.get("headers", {})
        return await self.http.send("POST", WEBHOOK_PATH, data=body, headers=headers)

    async def about(self, booking_id: BookingId, amount_minor: int = 5_000, currency: str = "EUR") -> dict[str, Any]:
        """What a webhook says of the booking's payment."""
        reply = await self.asked_to_pay(booking_id)
        return {"payment_id": str(reply.payment_id), "amount": amount_minor, "currency": currency}

    async def hears(self, kind: type) -> None:
        """Wait until such an event was published."""
        async with asyncio.timeout(TIMEOUT_S):
            while not any(isinstance(one.emitted.event, kind) for one in self.heard):
                self.news.clear()
                await self.news.wait()

    async def status(self, booking_id: BookingId) -> tuple[str, str]:
        """The booking's status, and its payment's."""
        row = await self.salon.pool.fetchrow("SELECT status, payment_status FROM bookings WHERE id = $1", booking_id)
        assert row is not None
        return row["status"], row["payment_status"]

    async def moved(self) -> list[tuple[str, int]]:
        """Every transfer so far: why, and how much."""
        rows = await self.salon.pool.fetch("SELECT reason, amount_minor FROM transfers ORDER BY at, id")
        return [(row["reason"], row["amount_minor"]) for row in rows]

    async def odd(self) -> list[tuple[str, str]]:
        """Every event that was kept: its type, and its problem."""
        rows = await self.salon.pool.fetch("SELECT type, problem FROM gateway_events ORDER BY received_at")
        return [(row["type"], row["problem"]) for row in rows]


@pytest.fixture
async def shop(database_dsn: str, pool: Pool, tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_salon(database_dsn, pool) as salon:
        runtime = Flaky(salon)
        opened = open_sandbox_payments(
            pool, runtime, now=salon.node.clock.now, keys_dir=tmp_path, webhook_secrets=SECRETS
        )
        async with opened as payments:
            payments.sandbox._slow_s = payments.sandbox._wait_first_s = payments.sandbox._late_look_s = 0.01
            app = HttpApp(
                runtime=runtime,
                queries={},
                procedures={},
                authenticate=authenticate,
                pool=pool,
                extra=payments.routes,
                declarations=(),
            )
            async with serve(app) as http:
                shop = Shop(salon, payments, runtime, http)
                publish = salon.node.runtime.publish

                def tell(published: Published) -> None:
                    publish(published)
                    payments.on_event(published)
                    shop.heard.append(published)
                    shop.news.set()

                salon.node.runtime.publish = tell
                payments.start(f"http://127.0.0.1:{http.port}")
                yield shop


class TestCheckout:
    async def test_the_page_says_what_is_paid_to_whom(self, shop: Shop) -> None:
        reply = await shop.asked_to_pay(await shop.book())

        page = await shop.http.send("GET", reply.checkout_path)

        text = page.body.decode()
        assert page.status == 200
        for said in ("50.00", "EUR", "Salon Olga", "Cut", 'type="submit"', "width=device-width"):
            assert said in text
        assert "script" not in text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        css = (await shop.http.send("GET", "/gateway/checkout.css")).body.decode()
        assert "#1A237E" in css
        assert "#FFB74D" in css

    async def test_what_others_wrote_is_shown_as_text(self, shop: Shop) -> None:
        await shop.salon.pool.execute("UPDATE businesses SET name = '<script>alert(1)</script>'")
        await shop.salon.pool.execute("UPDATE services SET title = '\"><b>'")
        booking_id = await shop.book()
        await shop.salon.pool.execute("UPDATE bookings SET title = '\"><img src=x>'")

        page = (await shop.http.send("GET", (await shop.asked_to_pay(booking_id)).checkout_path)).body.decode()

        assert "<script" not in page
        assert "<img" not in page

    @pytest.mark.parametrize("payment", [str(uuid4()), "nonsense"])
    @pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("POST", "/pay")])
    async def test_a_payment_that_never_was_has_no_page(
        self, shop: Shop, payment: str, method: str, suffix: str
    ) -> None:
        answer = await shop.http.send(method, f"/gateway/checkout/{payment}{suffix}")

        assert answer.status == 404

    async def test_after_paying_the_page_says_so_and_has_no_button(self, shop: Shop) -> None:
        booking_id = await shop.book()
        answer = await shop.pay(booking_id)
        await shop.payments.sandbox.at_rest()

        page = (await shop.http.send("GET", answer.headers["Location"])).body.decode()

        assert answer.status == 303
        assert "Thank you" in page
        assert 'type="submit"' not in page

    @pytest.mark.parametrize(
        ("return_to", "goes_to"),
        [
            ("/app/bookings?x=1", "/app/bookings?x=1"),
            ("https://evil.test/", None),
            ("//evil.test/", None),
            ("/\\evil.test", None),
            ("/a\r\nSet-Cookie: x=1", None),
            ("/" + "a" * 600, None),
        ],
    )
    async def test_the_way_back_stays_on_this_server(self, shop: Shop, return_to: str, goes_to: str | None) -> None:
        answer = await shop.pay(await shop.book(), return_to=return_to)

        assert answer.headers["Location"] == goes_to or answer.headers["Location"].startswith("/gateway/checkout/")
        assert (answer.headers["Location"] == goes_to) == (goes_to is not None)


class TestPaying:
    async def test_paying_secures_the_booking_and_the_approval_confirms_it(self, shop: Shop) -> None:
        booking_id = await shop.book()

        await shop.pay(booking_id)
        await shop.payments.sandbox.at_rest()

        assert await shop.status(booking_id) == ("PENDING", "SECURED")
        assert await shop.moved() == [("payment_captured", 5_000)]
        await shop.salon.do(ApproveBooking(booking_id=booking_id), shop.salon.sam)
        assert await shop.status(booking_id) == ("CONFIRMED", "SECURED")

    @pytest.mark.parametrize("options", ["?twice=1", "?slow=1", "?out_of_order=1", "?twice=1&slow=1&out_of_order=1"])
    async def test_however_the_gateway_tells_it_it_counts_once(self, shop: Shop, options: str) -> None:
        booking_id = await shop.book()

        await shop.pay(booking_id, options)
        await shop.payments.sandbox.at_rest()

        assert await shop.status(booking_id) == ("PENDING", "SECURED")
        assert await shop.moved() == [("payment_captured", 5_000)]
        kept = [("payment.authorized", "unknown_type")] if "out_of_order" in options else []
        assert await shop.odd() == kept

    async def test_options_may_come_by_the_form_too(self, shop: Shop) -> None:
        await shop.pay(await shop.book(), out_of_order="on", whatever="else")
        await shop.payments.sandbox.at_rest()

        assert await shop.odd() == [("payment.authorized", "unknown_type")]

    async def test_paying_twice_on_the_page_counts_once(self, shop: Shop) -> None:
        reply = await shop.asked_to_pay(await shop.book())
        await asyncio.gather(*[shop.http.send("POST", f"{reply.checkout_path}/pay") for _ in range(5)])
        await shop.payments.sandbox.at_rest()
        await shop.http.send("POST", f"{reply.checkout_path}/pay")
        await shop.payments.sandbox.at_rest()

        assert await shop.moved() == [("payment_captured", 5_000)]

    async def test_a_late_payment_revives_the_booking_if_its_time_is_free(self, shop: Shop) -> None:
        booking_id = await shop.book()
        await shop.pay(booking_id, "?late=1")
        assert await shop.status(booking_id) == ("PENDING", "UNPAID")

        await shop.salon.node.advance(timedelta(minutes=17))
        await shop.payments.sandbox.at_rest()

        assert await shop.status(booking_id) == ("PENDING", "SECURED")
        types = [one.emitted.event.type for one in shop.heard]
        assert types[-3:] == ["booking.expired", "booking.revived", "booking.paid"]
        slots = await shop.salon.pool.fetch("SELECT booking_id FROM slots")
        assert [row["booking_id"] for row in slots] == [booking_id]

    async def test_a_late_payment_whose_time_is_taken_goes_back_to_its_source(self, shop: Shop) -> None:
        late = await shop.book("09:00")
        about = await shop.about(late)
        await shop.salon.node.advance(timedelta(minutes=15))
        await shop.book("09:30")

        await shop.told(data=about)
        await shop.hears(PaymentReturned)

        assert await shop.status(late) == ("EXPIRED", "REFUNDED")
        assert await shop.moved() == [("payment_unplaced", 5_000), ("payment_returned", 5_000)]
        assert await shop.salon.pool.fetchval("SELECT status FROM payments") == "REFUNDED"

    async def test_a_payment_after_the_cancellation_goes_back_to_its_source(self, shop: Shop) -> None:
        booking_id = await shop.book()
        about = await shop.about(booking_id)
        await shop.salon.do(CancelBooking(booking_id=booking_id), shop.salon.customer)

        await shop.told(data=about)
        await shop.hears(PaymentReturned)

        assert await shop.status(booking_id) == ("CANCELLED", "REFUNDED")

    async def test_a_wrong_amount_goes_back_in_its_own_currency(self, shop: Shop) -> None:
        booking_id = await shop.book()

        await shop.told(data=await shop.about(booking_id, 6_000, "JPY"))
        await shop.hears(PaymentReturned)

        assert await shop.moved() == [("payment_unplaced", 6_000), ("payment_returned", 6_000)]
        assert await shop.salon.pool.fetchval("SELECT currency FROM payments") == "JPY"


class TestWebhooks:
    async def test_two_hundred_means_that_it_is_durable(self, shop: Shop) -> None:
        booking_id = await shop.book()

        answer = await shop.told(data=await shop.about(booking_id))

        assert (answer.status, answer.json) == (200, {"received": True})
        assert await shop.status(booking_id) == ("PENDING", "SECURED")

    async def test_many_at_once_are_one(self, shop: Shop) -> None:
        about = await shop.about(await shop.book())

        same = [shop.told(id="evt_same", data=about) for _ in range(12)]
        others = [shop.told(data=about) for _ in range(50)]
        answers = await asyncio.gather(*same, *others)

        assert {answer.status for answer in answers} == {200}
        assert await shop.moved() == [("payment_captured", 5_000)]
        assert await shop.odd() == []

    async def test_payment_and_expiry_at_once_leave_one_of_two_clean_ends(self, shop: Shop) -> None:
        booking_id = await shop.book()
        about = await shop.about(booking_id)

        await asyncio.gather(shop.told(data=about), shop.salon.node.advance(timedelta(minutes=15)))

        assert await shop.status(booking_id) == ("PENDING", "SECURED")
        assert await shop.moved() == [("payment_captured", 5_000)]
        assert await shop.salon.pool.fetchval("SELECT count(*) FROM slots") == 1

    @pytest.mark.parametrize("secret", SECRETS)
    async def test_both_secrets_hold_while_they_rotate(self, shop: Shop, secret: str) -> None:
        answer = await shop.told(data=await shop.about(await shop.book()), secret=secret)

        assert answer.status == 200
        assert await shop.moved()

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"secret": "whsec_other"}, "mismatch"),
            ({"skew_s": -TOLERANCE_S - 5}, "too_old"),
            ({"headers": {SIGNATURE_HEADER: ""}}, "missing"),
            ({"headers": {SIGNATURE_HEADER: "t=1"}}, "malformed"),
        ],
    )
    async def test_what_the_gateway_did_not_sign_lately_changes_nothing(
        self, shop: Shop, changes: dict[str, Any], reason: str
    ) -> None:
        booking_id = await shop.book()

        answer = await shop.told(data=await shop.about(booking_id), **changes)

        assert answer.status == 400
        assert (answer.problem["code"], answer.problem["fields"]["reason"]) == ("signature_invalid", reason)
        assert await shop.status(booking_id) == ("PENDING", "UNPAID")
        assert await shop.odd() == []

    @pytest.mark.parametrize(
        "announced",
        [
            f"Content-Length: {WEBHOOK_BYTES_MAX + 1}\r\n\r\n",
            "Content-Length: 10000000\r\n\r\n",
            f"Transfer-Encoding: chunked\r\n\r\n{WEBHOOK_BYTES_MAX + 1:x}\r\n{'x' * (WEBHOOK_BYTES_MAX + 1)}\r\n",
        ],
        ids=["a byte too much", "10 MB", "of unknown length"],
    )
    async def test_a_body_that_is_too_large_is_refused_before_it_is_whole(self, shop: Shop, announced: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", shop.http.port)
        try:
            writer.write(f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\n{announced}".encode())
            async with asyncio.timeout(TIMEOUT_S):
                status = await reader.readline()
        finally:
            writer.close()

        assert status.split()[1] == b"413"

    async def test_an_unknown_type_is_taken_and_kept_once(self, shop: Shop) -> None:
        for _ in range(2):
            assert (await shop.told(id="evt_1", type="customer.updated", data={"name": "Zoë \0"})).status == 200

        assert await shop.odd() == [("customer.updated", "unknown_type")]

    @pytest.mark.parametrize(
        "data",
        [
            None,
            {"payment_id": "nonsense", "amount": 5, "currency": "EUR"},
            {"payment_id": str(uuid4()), "amount": 0, "currency": "EUR"},
            {"payment_id": str(uuid4()), "amount": -5, "currency": "EUR"},
            {"payment_id": str(uuid4()), "amount": 10**18, "currency": "EUR"},
            {"payment_id": str(uuid4()), "amount": 5, "currency": "XXX"},
            {"payment_id": str(uuid4()), "amount": 5.5, "currency": "EUR"},
        ],
    )
    async def test_a_known_type_with_odd_content_is_taken_and_kept(self, shop: Shop, data: Any) -> None:
        assert (await shop.told(data=data)).status == 200

        assert await shop.odd() == [("payment.captured", "malformed")]

    async def test_a_payment_that_is_none_of_ours_is_taken_and_kept(self, shop: Shop) -> None:
        about = {"payment_id": str(uuid4()), "amount": 5_000, "currency": "EUR"}

        assert (await shop.told(data=about)).status == 200

        assert await shop.odd() == [("payment.captured", "unknown_payment")]

    @pytest.mark.parametrize(
        "body", [b"", b"nonsense", b"[]", b"{}", b'{"id":"a b","type":"x"}', b"\xff\xfe", b"[" * 9000]
    )
    async def test_what_is_no_event_at_all_is_malformed(self, shop: Shop, body: bytes) -> None:
        signature = {SIGNATURE_HEADER: sign(body, SECRETS[0], int(time()))}

        answer = await shop.http.send("POST", WEBHOOK_PATH, data=body, headers=signature)

        assert (answer.status, answer.problem["code"]) == (400, "malformed")

    async def test_an_event_id_that_comes_with_other_content_is_kept(self, shop: Shop) -> None:
        about = await shop.about(await shop.book())
        await shop.told(id="evt_1", data=about)

        answer = await shop.told(id="evt_1", data={**about, "amount": 1})

        assert answer.status == 200
        assert await shop.odd() == [("payment.captured", "command_id_reused")]

    @pytest.mark.parametrize("fault", [Busy(queue="mailbox", retry_after_s=1.0), InFlight(id="x", retry_after_s=1.0)])
    async def test_a_fault_asks_the_gateway_to_come_again(self, shop: Shop, fault: Fault) -> None:
        booking_id = await shop.book()
        about = await shop.about(booking_id)
        shop.runtime.faults = [fault]

        first = await shop.told(id="evt_1", data=about)
        again = await shop.told(id="evt_1", data=about)

        assert (first.status, again.status) == (503, 200)
        assert "Retry-After" in first.headers
        assert await shop.status(booking_id) == ("PENDING", "SECURED")

    async def test_the_gateway_comes_again_by_itself(self, shop: Shop) -> None:
        booking_id = await shop.book()
        shop.runtime.faults = [Busy(queue="mailbox", retry_after_s=1.0) for _ in range(3)]

        await shop.pay(booking_id)
        await shop.payments.sandbox.at_rest()

        assert shop.runtime.faults == []
        assert await shop.status(booking_id) == ("PENDING", "SECURED")


class TestRefundsAtTheGateway:
    async def ask(self, shop: Shop, key: str = "refund-1", token: str | None = None, **changes: Any) -> Answer:
        wish = {"payment_id": str(uuid4()), "amount": 5_000, "currency": "EUR"} | changes
        headers = {"Authorization": f"Bearer {token or shop.payments.sandbox._api_key}", "Idempotency-Key": key}
        body = msgspec.json.encode(wish)
        return await shop.http.send("POST", "/gateway/refunds", data=body, headers=headers)

    async def test_the_same_key_is_the_same_refund(self, shop: Shop) -> None:
        payment_id = str(uuid4())
        first = await self.ask(shop, payment_id=payment_id)
        again = await self.ask(shop, payment_id=payment_id)
        other = await self.ask(shop, "refund-2", payment_id=payment_id)

        assert first.status == again.status == 201
        assert first.json == again.json
        assert other.json["id"] != first.json["id"]

    async def test_the_same_key_for_something_else_is_a_conflict(self, shop: Shop) -> None:
        await self.ask(shop)

        assert (await self.ask(shop)).status == 409

    async def test_nobody_else_gets_money_back(self, shop: Shop) -> None:
        assert (await self.ask(shop, token="guessed")).status == 401
        assert (await shop.http.send("POST", "/gateway/refunds", data=b"{}")).status == 401

    async def test_a_wish_that_is_none_is_refused(self, shop: Shop) -> None:
        assert (await self.ask(shop, amount="much")).status == 400
        assert (await self.ask(shop, key="")).status == 422

    async def test_the_adapter_knows_down_from_no(self, shop: Shop) -> None:
        payment = _payment()
        async with ClientSession() as http:
            down = SandboxGateway(http, lambda: "http://127.0.0.1:9", api_key="x", webhook_secrets=SECRETS)
            refused = SandboxGateway(
                http, lambda: f"http://127.0.0.1:{shop.http.port}", api_key="x", webhook_secrets=SECRETS
            )

            with pytest.raises(GatewayDown):
                await down.refund(payment)
            with pytest.raises(GatewayRefused):
                await refused.refund(payment)


def _payment(number: int = 0) -> Payment:
    return Payment(
        payment_id=PaymentId(uuid4()),
        booking_id=BookingId(uuid4()),
        amount_minor=5_000,
        currency="EUR",
        status="REFUNDING",
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
    teller: Teller, load_page: Callable[[Payment | None], Awaitable[list[Payment]]], *, round_every_s: float = 60.0
) -> AsyncIterator[Refunds]:
    worker = Refunds(teller, load_page, ask_again_first_s=0.001, round_every_s=round_every_s)
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


class TestRefunds:
    async def test_what_was_left_undone_is_asked_for_at_the_start(self, shop: Shop) -> None:
        booking_id = await shop.book()
        about = await shop.about(booking_id)
        await shop.payments.stop()
        await shop.salon.do(CancelBooking(booking_id=booking_id), shop.salon.customer)
        await shop.told(data=about)
        assert await shop.status(booking_id) == ("CANCELLED", "REFUNDING")

        shop.payments.start(f"http://127.0.0.1:{shop.http.port}")
        await shop.hears(PaymentReturned)

        assert await shop.status(booking_id) == ("CANCELLED", "REFUNDED")

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
            "INSERT INTO payments SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),"
            " 'card', 5000, 'EUR', CASE WHEN n % 100 = 0 THEN 'REFUNDING' ELSE 'CAPTURED' END,"
            " now() + n * interval '1 minute' FROM generate_series(1, 5000) n"
        )
        await pool.execute("ANALYZE payments")
        async with pool.acquire() as connection:
            await connection.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE asked AS {REFUNDING}")
            rows = await connection.fetch("EXPLAIN EXECUTE asked(NULL, NULL)")
            await connection.execute("DEALLOCATE asked")

        plan = "\n".join(row[0] for row in rows)
        assert "payments_refunding" in plan
        assert "Seq Scan on payments" not in plan

    async def test_pages_of_the_work_hold_everything_once(self, shop: Shop) -> None:
        booking_id = await shop.book()
        await shop.payments.stop()
        await shop.salon.pool.execute(
            "INSERT INTO payments SELECT gen_random_uuid(), $1, $2, $3, 'card', n, 'EUR', 'REFUNDING',"
            " '2030-06-01'::timestamptz + (n / 3) * interval '1 minute' FROM generate_series(1, $4::int) n",
            *(booking_id, shop.salon.customer.user_id, shop.salon.business_id, PAGE + 50),
        )

        first = await load_refunding(shop.salon.pool, None)
        second = await load_refunding(shop.salon.pool, first[-1])

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
        class Nobody:
            async def execute(self, call: Call) -> Outcome:
                raise NotImplementedError

        secrets = []
        for _ in range(2):
            opened = open_sandbox_payments(pool, Nobody(), now=lambda: datetime.now(UTC), keys_dir=tmp_path / "keys")
            async with opened as payments:
                secrets.append(payments.sandbox._secret)

        assert secrets[0] == secrets[1]
        assert len(secrets[0]) > 40
        (kept,) = (tmp_path / "keys").iterdir()
        assert kept.stat().st_mode & 0o777 == 0o600
