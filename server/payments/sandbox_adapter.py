"""The adapter to the sandbox gateway."""

from collections.abc import Callable, Mapping
from time import time
from uuid import UUID

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from protocol.errors import Malformed
from protocol.money import check_amount_minor, check_currency
from protocol.payment.terms import CaptureNotice, Gateway, GatewayEvent, RefundNotice
from server.payments.gateway import GatewayDown, GatewayRefused
from server.payments.sandbox.wire import CAPTURED, REFUNDED, SIGNATURE_HEADER, SandboxEvent, SandboxPayment
from server.payments.signature import verify
from storage.queries.payment import Payment

#: One request to a gateway.
REQUEST_TIMEOUT_S = 10.0


_KINDS: Mapping[str, type[CaptureNotice | RefundNotice]] = {CAPTURED: CaptureNotice, REFUNDED: RefundNotice}


_event = msgspec.json.Decoder(SandboxEvent)


class SandboxGateway:
    """Speaks to the sandbox as to any gateway elsewhere: by HTTP, and by its signed webhooks.

    Args:
        url: where it is.
        webhook_secrets: what its webhooks may be signed with, newest first.
    """

    name = Gateway.SANDBOX.value

    def __init__(
        self, http: ClientSession, url: Callable[[], str], *, api_key: str, webhook_secrets: tuple[str, ...]
    ) -> None:
        self._http = http
        self._url = url
        self._api_key = api_key
        self._secrets = webhook_secrets

    def read(self, headers: Mapping[str, str], body: bytes) -> GatewayEvent:
        """See PaymentGateway."""
        verify(headers.get(SIGNATURE_HEADER), body, self._secrets, time())
        try:
            event = _event.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(reason="not_an_event") from error
        kind = _KINDS.get(event.type)
        if kind is None:
            return GatewayEvent(id=event.id, type=event.type, notice=None, problem="unknown_type")
        try:
            return GatewayEvent(id=event.id, type=event.type, notice=_notice(kind, event))
        except (msgspec.ValidationError, ValueError):
            return GatewayEvent(id=event.id, type=event.type, notice=None, problem="malformed")

    async def refund(self, payment: Payment) -> None:
        """See PaymentGateway."""
        wish = SandboxPayment(
            payment_id=str(payment.payment_id), amount=payment.amount_minor, currency=payment.currency
        )
        headers = {
            "Authorization": f"Bearer {self._api_key}",
            "Idempotency-Key": f"refund-{payment.payment_id}",
            "Content-Type": "application/json",
        }
        try:
            async with self._http.post(
                f"{self._url()}/gateway/refunds",
                data=msgspec.json.encode(wish),
                headers=headers,
                timeout=ClientTimeout(total=REQUEST_TIMEOUT_S),
                allow_redirects=False,
            ) as response:
                status = response.status
        except (ClientError, OSError, TimeoutError) as error:
            raise GatewayDown(repr(error)) from error
        if status >= 500 or status == 429:
            raise GatewayDown(f"status {status}")
        if status >= 300:
            raise GatewayRefused(f"status {status}")


def _notice(kind: type[CaptureNotice | RefundNotice], event: SandboxEvent) -> CaptureNotice | RefundNotice:
    """Read what the event is about. Raises: ValidationError, ValueError."""
    told = msgspec.convert(event.data, SandboxPayment)
    return kind(
        reference=str(UUID(told.payment_id)),
        amount_minor=check_amount_minor(told.amount),
        currency=check_currency(told.currency),
    )
