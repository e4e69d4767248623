"""``POST /webhooks/payments/<gateway>``: what a payment gateway says becomes a command to the booking that was paid.

Duplicates and any order are harmless: the event's id is the command's id, and the booking takes what fits its state.
The gateway hears 200 only once the command is durable; anything else makes it say so again.
"""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp.web import BaseRequest, Response, StreamResponse

from actors.runtime.call import Caller
from protocol.booking.commands import RecordPayment, RecordRefund
from protocol.errors import RETRY_AFTER_S, Fault, Unavailable
from protocol.ids import BookingId, Kind, PaymentId, Ref
from protocol.payment.terms import GATEWAY, GatewayEvent, PaymentCaptured, PaymentSentBack
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
        find_booking: whose payment it is; None if it is none of ours.
        keep: keeps an event that changed nothing, for an operator.
    """

    def __init__(
        self,
        gateway: PaymentGateway,
        runtime: Caller,
        find_booking: Callable[[PaymentId], Awaitable[BookingId | None]],
        keep: Callable[[UnmatchedEvent], Awaitable[None]],
    ) -> None:
        self._gateway = gateway
        self._runtime = runtime
        self._find_booking = find_booking
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
                UnmatchedEvent(gateway=name, event_id=event.id, type=event.type, problem=problem, body=body)
            )
        return Response(body=b'{"received":true}', content_type="application/json")

    async def _take(self, event: GatewayEvent) -> str:
        """Send the command and wait until it is durable; answers why nothing changed, if nothing did. Raises: Fault."""
        assert event.what is not None
        booking_id = await self._find_booking(event.what.payment_id)
        if booking_id is None:
            return "unknown_payment"
        key = f"{self._gateway.name}:{event.id}"
        to = Ref(Kind.BOOKING, booking_id)
        outcome = await self._runtime.call(_command(booking_id, event.what), to, GATEWAY_PRINCIPAL, key=key)
        error = outcome.error
        if isinstance(error, Fault):
            raise error if error.status >= 500 else Unavailable(retry_after_s=RETRY_AFTER_S)
        return "" if error is None else error.code


def _command(booking_id: BookingId, what: PaymentCaptured | PaymentSentBack) -> RecordPayment | RecordRefund:
    kind = RecordPayment if isinstance(what, PaymentCaptured) else RecordRefund
    return kind(
        booking_id=booking_id, payment_id=what.payment_id, amount_minor=what.amount_minor, currency=what.currency
    )
