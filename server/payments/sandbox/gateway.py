"""The sandbox gateway itself: a page to pay on, refunds, and signed webhooks that are sent until they are taken.

What it remembers is in memory and bounded: a restart loses what was under way, as an outage of a gateway would.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from hmac import compare_digest
from time import time
from typing import Any, TypeVar
from uuid import UUID, uuid4

import msgspec
import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout
from aiohttp.web import BaseRequest, Response, StreamResponse

from protocol.errors import Busy, Conflict, Invalid, Malformed, NotFound, Unauthenticated
from protocol.ids import PaymentId
from server.edge.bodies import read_body
from server.edge.exchange import EXCHANGE
from server.edge.handlers import PlainHandler
from server.payments.sandbox.pages import STYLE, asked_of, checkout_page, page_headers
from server.payments.sandbox.wire import (
    AUTHORIZED,
    CAPTURED,
    REFUNDED,
    SIGNATURE_HEADER,
    WEBHOOK_PATH,
    SandboxEvent,
    SandboxPayment,
    SandboxRefund,
)
from server.payments.signature import sign
from storage.queries.payment import Payment

#: A form, or a wish for a refund.
BODY_BYTES_MAX = 4 * 1024
#: A webhook is sent so often at most; between the tries it waits, twice as long each time, up to a bound.
SENDS_MAX = 12
WAIT_FIRST_S = 0.5
WAIT_MAX_S = 60.0
SEND_TIMEOUT_S = 10.0
#: ``slow``: the webhook leaves after this.
SLOW_S = 3.0
#: ``late``: it leaves when the domain's clock is so far past the wish to pay. That clock can be moved and tells nobody.
LATE_AFTER = timedelta(minutes=16)
LATE_LOOK_S = 0.2
#: Webhooks under way, and payments and refunds that are remembered.
DELIVERIES_MAX = 1_000
REMEMBERED_MAX = 10_000

K = TypeVar("K")
V = TypeVar("V")

log = structlog.get_logger(__name__)


class Sandbox:
    """The gateway of development mode.

    Args:
        url: its own and its merchant's address; the webhooks go to a path under it.
        find_payment: what its merchant has told it of a payment.
        secret: signs its webhooks.
        api_key: whoever wants a refund shows this.
        now: the domain's clock, for payments that come late.
    """

    def __init__(
        self,
        http: ClientSession,
        url: Callable[[], str],
        find_payment: Callable[[PaymentId], Awaitable[Payment | None]],
        *,
        secret: str,
        api_key: str,
        now: Callable[[], datetime],
        slow_s: float = SLOW_S,
        wait_first_s: float = WAIT_FIRST_S,
        late_look_s: float = LATE_LOOK_S,
    ) -> None:
        self._http = http
        self._url = url
        self._find_payment = find_payment
        self._secret = secret
        self._api_key = api_key
        self._now = now
        self._slow_s = slow_s
        self._wait_first_s = wait_first_s
        self._late_look_s = late_look_s
        self._tasks: set[asyncio.Task[None]] = set()
        #: Payments that somebody has paid here.
        self._paid: OrderedDict[PaymentId, None] = OrderedDict()
        #: Idempotency key → the wish, and the answer to it.
        self._refunds: OrderedDict[str, tuple[SandboxPayment, SandboxRefund]] = OrderedDict()

    @property
    def routes(self) -> Mapping[tuple[str, str], PlainHandler]:
        """What it serves."""
        return {
            ("GET", "/gateway/checkout.css"): self.style,
            ("GET", "/gateway/checkout/{payment_id}"): self.checkout,
            ("POST", "/gateway/checkout/{payment_id}/pay"): self.pay,
            ("POST", "/gateway/refunds"): self.refund,
        }

    async def stop(self) -> None:
        """Send nothing any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def at_rest(self) -> None:
        """Wait until no webhook is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # What it serves

    async def style(self, request: BaseRequest) -> StreamResponse:
        """The look of its page."""
        return Response(body=STYLE, headers={"Content-Type": "text/css; charset=utf-8", "Cache-Control": "no-cache"})

    async def checkout(self, request: BaseRequest) -> StreamResponse:
        """The page to pay on; afterwards it tells what became of it. Raises: NotFound."""
        payment = await self._payment(request)
        asked = asked_of(request.rel_url.raw_query_string.encode())
        page = checkout_page(payment, accepted=payment.payment_id in self._paid, asked=asked)
        return Response(body=page, headers=page_headers())

    async def pay(self, request: BaseRequest) -> StreamResponse:
        """Take the customer's money, and tell the merchant. Raises: NotFound, Malformed, Busy."""
        payment = await self._payment(request)
        query = request.rel_url.raw_query_string.encode()
        asked = asked_of(query + b"&" + await read_body(request, BODY_BYTES_MAX))
        if payment.status in ("REQUESTED", "CAPTURED"):
            self._send(self._tell_captured(payment, asked.options))
            _remember(self._paid, payment.payment_id, None)
        location = asked.return_to or f"/gateway/checkout/{payment.payment_id}"
        return Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})

    async def refund(self, request: BaseRequest) -> StreamResponse:
        """Send a payment back to its source; the same key again is the same refund.

        Raises: Unauthenticated, Malformed, Invalid, Conflict, Busy.
        """
        shown = request.headers.get("Authorization", "")
        if not compare_digest(shown.encode(errors="replace"), f"Bearer {self._api_key}".encode()):
            raise Unauthenticated(reason="invalid_token")
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            raise Invalid(**{"Idempotency-Key": "missing"})
        try:
            wish = msgspec.json.decode(await read_body(request, BODY_BYTES_MAX), type=SandboxPayment)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Malformed(reason="not_a_refund") from error
        known = self._refunds.get(key)
        if known is None:
            known = wish, SandboxRefund(id=f"re_{uuid4().hex}")
            self._send(self._tell_refunded(wish))
            _remember(self._refunds, key, known)
        if known[0] != wish:
            raise Conflict(reason="key_reused")
        return Response(body=msgspec.json.encode(known[1]), status=201, content_type="application/json")

    async def _payment(self, request: BaseRequest) -> Payment:
        try:
            payment_id = PaymentId(UUID(request[EXCHANGE].path_params["payment_id"]))
        except ValueError:
            raise NotFound(entity="payment") from None
        payment = await self._find_payment(payment_id)
        if payment is None:
            raise NotFound(entity="payment", id=str(payment_id))
        return payment

    # What it tells its merchant. The id of an event follows from what it tells: said again, it is the same event.

    async def _tell_captured(self, payment: Payment, options: frozenset[str]) -> None:
        about = SandboxPayment(
            payment_id=str(payment.payment_id), amount=payment.amount_minor, currency=payment.currency
        )
        captured = _event(CAPTURED, about)
        if "slow" in options:
            await asyncio.sleep(self._slow_s)
        if "late" in options:
            while self._now() < payment.requested_at + LATE_AFTER:  # noqa: ASYNC110  # see LATE_AFTER
                await asyncio.sleep(self._late_look_s)
        times = 2 if "twice" in options else 1
        await asyncio.gather(*[self._deliver(captured) for _ in range(times)])
        if "out_of_order" in options:
            await self._deliver(_event(AUTHORIZED, about, created=captured.created - 1))

    async def _tell_refunded(self, wish: SandboxPayment) -> None:
        await self._deliver(_event(REFUNDED, wish))

    def _send(self, delivery: Coroutine[Any, Any, None]) -> None:
        """Let a delivery run on its own. Raises: Busy."""
        if len(self._tasks) >= DELIVERIES_MAX:
            delivery.close()
            raise Busy(queue="sandbox", retry_after_s=WAIT_MAX_S)
        task = asyncio.create_task(delivery)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("sandbox.crashed", exc_info=error)

    async def _deliver(self, event: SandboxEvent) -> None:
        """Send a webhook until it is answered with 200, or often enough."""
        body = msgspec.json.encode(event)
        for sent in range(SENDS_MAX):
            status = await self._post(body)
            if status == 200:
                return
            log.info("sandbox.not_taken", action="send_again", event_id=event.id, status=status, sent=sent + 1)
            await asyncio.sleep(min(WAIT_MAX_S, self._wait_first_s * 2**sent))
        log.error("sandbox.gave_up", action="pay_again", event_id=event.id, sent=SENDS_MAX)

    async def _post(self, body: bytes) -> int:
        """Send it once, signed as of now; answers the status, 0 for no answer."""
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: sign(body, self._secret, int(time()))}
        timeout = ClientTimeout(total=SEND_TIMEOUT_S)
        try:
            async with self._http.post(
                self._url() + WEBHOOK_PATH, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return response.status
        except (ClientError, OSError, TimeoutError):
            return 0


def _event(kind: str, about: SandboxPayment, created: int | None = None) -> SandboxEvent:
    return SandboxEvent(
        id=f"evt_{about.payment_id}_{kind}",
        type=kind,
        created=int(time()) if created is None else created,
        data=about,
    )


def _remember(kept: OrderedDict[K, V], key: K, value: V) -> None:
    """Keep it; the oldest makes room."""
    kept[key] = value
    while len(kept) > REMEMBERED_MAX:
        kept.popitem(last=False)
