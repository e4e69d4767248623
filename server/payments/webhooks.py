"""``POST /webhooks/payments/<gateway>``: what a payment gateway says becomes a command to the payment.

Duplicates and any order are harmless: the event's id is the command's id, and the payment takes what fits its stage.
The gateway gets 200 only once the command is durable; on anything else it sends the webhook again.
"""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp.web import BaseRequest, Response, StreamResponse

from actors.runtime.call import Caller
from protocol.errors import RETRY_AFTER_S, Fault, Unavailable
from protocol.ids import Kind, PaymentId, Ref
from protocol.payment.commands import RecordCapture, RecordReturn
from protocol.payment.terms import GATEWAY, CaptureNotice, GatewayEvent, RefundNotice
from protocol.roles import Principal, Role
from server.edge.bodies import read_body
from server.payments.gateway import PaymentGateway
from storage.queries.payment import UnmatchedEvent

WEBHOOK_BYTES_MAX = 64 * 1024

GATEWAY_PRINCIPAL = Principal(user_id=GATEWAY, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))

log = structlog.get_logger(__name__)


class PaymentWebhooks:
    """Takes one gateway's webhooks.

    Args:
        find_payment: which payment the gateway means by its reference; None if it is none of ours.
        keep: keeps an event that changed nothing, for an operator.
    """

    def __init__(
        self,
        gateway: PaymentGateway,
        runtime: Caller,
        find_payment: Callable[[str], Awaitable[PaymentId | None]],
        keep: Callable[[UnmatchedEvent], Awaitable[None]],
    ) -> None:
        self._gateway = gateway
        self._runtime = runtime
        self._find_payment = find_payment
        self._keep = keep

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Take one event. Raises: BodyTooLarge, SignatureInvalid, Malformed, and any Fault as one of 5xx."""
        body = await read_body(request, WEBHOOK_BYTES_MAX)
        event = self._gateway.read(request.headers, body)
        problem = event.problem or await self._take(event)
        if problem:
            log.warning(
                "payments.odd_event",
                action="keep",
                gateway=self._gateway.name,
                event_id=event.id,
                type=event.type,
                problem=problem,
            )
            name = self._gateway.name
            await self._keep(
                UnmatchedEvent(provider=name, event_id=event.id, type=event.type, problem=problem, body=body)
            )
        return Response(body=b'{"received":true}', content_type="application/json")

    async def _take(self, event: GatewayEvent) -> str:
        """Send the command and wait until it is durable; returns why nothing changed, if nothing did. Raises: Fault."""
        assert event.notice is not None
        payment_id = await self._find_payment(event.notice.reference)
        if payment_id is None:
            return "unknown_payment"
        key = f"{self._gateway.name}:{event.id}"
        to = Ref(Kind.PAYMENT, payment_id)
        outcome = await self._runtime.call(_command(payment_id, event.notice), to, GATEWAY_PRINCIPAL, key=key)
        error = outcome.error
        if isinstance(error, Fault):
            raise error if error.status >= 500 else Unavailable(retry_after_s=RETRY_AFTER_S)
        return "" if error is None else error.code


def _command(payment_id: PaymentId, notice: CaptureNotice | RefundNotice) -> RecordCapture | RecordReturn:
    kind = RecordCapture if isinstance(notice, CaptureNotice) else RecordReturn
    return kind(payment_id=payment_id, amount_minor=notice.amount_minor, currency=notice.currency)
