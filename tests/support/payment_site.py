"""The sample business with the sandbox payment gateway and its webhooks, over real HTTP and the real runtime."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import msgspec

from actors.runtime.call import SYSTEM_PRINCIPAL, Outcome, Published
from protocol.booking.commands import CreateBooking, PayBooking
from protocol.booking.views import PaymentReply
from protocol.errors import Fault
from protocol.ids import BookingId, Ref
from protocol.registry import Command
from protocol.roles import Principal
from server.payments.part import SandboxPayments, open_sandbox
from server.payments.sandbox.wire import SIGNATURE_HEADER, WEBHOOK_PATH
from server.payments.signature import sign
from server.rest.app import HttpApp
from storage.database import Pool
from tests.support.http_server import Answer, Http, authenticate, serve
from tests.support.sample_business import SampleBusiness, berlin, open_sample_business

SECRETS = ("whsec_new", "whsec_old")
TIMEOUT_S = 20


class Flaky:
    """The runtime, which fails a given number of times before it works."""

    def __init__(self, salon: SampleBusiness) -> None:
        self._runtime = salon.node.runtime
        self.faults: list[Fault] = []

    async def call(self, command: Command, to: Ref, principal: Principal = SYSTEM_PRINCIPAL, **options: Any) -> Outcome:
        if self.faults:
            return Outcome(to, error=self.faults.pop())
        return await self._runtime.call(command, to, principal, **options)

    def new_id(self) -> Any:
        return self._runtime.new_id()


@dataclass
class PaymentSite:
    """The sample business with a payment gateway."""

    salon: SampleBusiness
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

    async def send_webhook(self, **changes: Any) -> Answer:
        """Send a webhook like the gateway's, with changes."""
        event = {"id": f"evt_{uuid4().hex}", "type": "payment.captured", "created": int(time()), "data": None}
        event |= {name: value for name, value in changes.items() if name in event}
        body = changes.get("body") or msgspec.json.encode(event)
        signature = sign(body, changes.get("secret", SECRETS[0]), int(time()) + changes.get("skew_s", 0))
        headers = {SIGNATURE_HEADER: signature} | changes.get("headers", {})
        return await self.http.send("POST", WEBHOOK_PATH, data=body, headers=headers)

    async def at_rest(self) -> None:
        """Wait until all webhooks, and all messages between payments and bookings, are handled."""
        await self.payments.sandbox.at_rest()
        await self.salon.node.at_rest()

    async def about(self, booking_id: BookingId, amount_minor: int = 5_000, currency: str = "EUR") -> dict[str, Any]:
        """The data of a webhook about the booking's payment."""
        reply = await self.asked_to_pay(booking_id)
        return {"payment_id": str(reply.payment_id), "amount": amount_minor, "currency": currency}

    async def wait_for(self, kind: type) -> None:
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
        """The reasons and amounts of all transfers."""
        rows = await self.salon.pool.fetch("SELECT reason, amount_minor FROM transfers ORDER BY at, id")
        return [(row["reason"], row["amount_minor"]) for row in rows]

    async def odd(self) -> list[tuple[str, str]]:
        """The types and problems of all unmatched webhooks."""
        rows = await self.salon.pool.fetch("SELECT type, problem FROM unmatched_webhooks ORDER BY received_at")
        return [(row["type"], row["problem"]) for row in rows]


@asynccontextmanager
async def open_payment_site(dsn: str, pool: Pool, keys_dir: Path) -> AsyncIterator[PaymentSite]:
    """Open the sample business, its gateway, and an HTTP server for both; the gateway has short delays."""
    async with open_sample_business(dsn, pool) as salon, AsyncExitStack() as stack:
        runtime = Flaky(salon)
        payments = open_sandbox(pool, runtime, now=salon.node.clock.now, keys_dir=keys_dir, webhook_secrets=SECRETS)
        stack.push_async_callback(payments.stop)
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
            site = PaymentSite(salon, payments, runtime, http)
            publish = salon.node.runtime.publish

            def tell(published: Published) -> None:
                publish(published)
                payments.on_event(published)
                site.heard.append(published)
                site.news.set()

            salon.node.runtime.publish = tell
            payments.start(f"http://127.0.0.1:{http.port}")
            yield site
