"""``POST /webhooks/twilio/…``: states of short messages, and replies to them.

Duplicates and any order are harmless: the furthest state of a message counts, and each reply counts once. The response
is 200 only after the commit. Numbers and texts are neither stored nor logged, except the list of opted-out numbers.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
import structlog
from aiohttp.web import BaseRequest, Response, StreamResponse
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from protocol.errors import Malformed
from protocol.ids import DeliveryId
from server.delivery.channels.sms.opt_out import Meaning, meaning
from server.delivery.channels.sms.twilio import STATUS_PATH, UNSUBSCRIBED
from server.edge.bodies import read_body
from server.edge.handlers import PlainHandler
from server.edge.webhooks import SignatureInvalid
from storage.database import Pool
from storage.queries.payment import UnmatchedEvent, keep_unmatched_event
from storage.short_messages import record_opt_out, record_provider_state, record_reply

INBOUND_PATH = "/webhooks/twilio/inbound"
SIGNATURE_HEADER = "X-Twilio-Signature"
WEBHOOK_BYTES_MAX = 64 * 1024
#: Fields of one webhook; Twilio sends about twenty.
FIELDS_MAX = 128
#: Characters of an identifier.
NAME_CHARS_MAX = 64

#: The order of states; of two final states the better one wins.
_RANKS: Mapping[str, int] = {
    "accepted": 1,
    "scheduled": 1,
    "queued": 2,
    "sending": 3,
    "sent": 4,
    "canceled": 5,
    "failed": 5,
    "undelivered": 5,
    "delivered": 6,
    "read": 7,
}
_NO_REPLY: Final = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
#: The prefix of WhatsApp numbers.
_CHANNEL = "whatsapp:"

log = structlog.get_logger(__name__)


class TwilioWebhooks:
    """Handles Twilio's webhooks.

    Args:
        auth_token: verifies Twilio's signatures.
        public_url: this server's URL as Twilio calls it; the signature covers it.
        now: the domain's clock.
    """

    def __init__(self, pool: Pool, auth_token: str, public_url: str, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._validator = RequestValidator(auth_token)
        self._public_url = public_url.rstrip("/")
        self._now = now

    @property
    def routes(self) -> Mapping[tuple[str, str], PlainHandler]:
        """The routes."""
        return {("POST", STATUS_PATH): self.status, ("POST", INBOUND_PATH): self.inbound}

    async def status(self, request: BaseRequest) -> StreamResponse:
        """Store a message's state. Raises: BodyTooLarge, SignatureInvalid, Malformed."""
        fields = await self._read(request)
        sid, state, code = _name(fields, "MessageSid"), _name(fields, "MessageStatus"), _code(fields)
        if code == UNSUBSCRIBED:
            await record_opt_out(self._pool, _number(fields, "To"), self._now())
        problem = await self._record_state(request.query.get("delivery", ""), sid, state, code)
        if problem:
            log.warning("twilio.odd_event", action="keep", event_id=sid, type=state, problem=problem)
            body = msgspec.json.encode({"MessageSid": sid, "MessageStatus": state, "ErrorCode": code})
            await keep_unmatched_event(
                self._pool,
                UnmatchedEvent(provider="twilio", event_id=f"{sid}:{state}", type=state, problem=problem, body=body),
            )
        return Response(status=200)

    async def inbound(self, request: BaseRequest) -> StreamResponse:
        """Handle a reply; sends nothing back. Raises: BodyTooLarge, SignatureInvalid, Malformed."""
        fields = await self._read(request)
        reply = fields.get("OptOutType") or fields.get("Body") or ""
        means = meaning(reply)
        number = _number(fields, "From")
        await record_reply(self._pool, _name(fields, "MessageSid"), number, means.value, self._now())
        if means is not Meaning.OTHER:
            log.info("sms.replied", action="apply", means=means.value)
        return Response(body=_NO_REPLY, content_type="text/xml")

    async def _record_state(self, delivery: str, sid: str, state: str, code: int | None) -> str:
        """Store a state with its delivery; returns the problem, or an empty string."""
        if state not in _RANKS:
            return "unknown_type"
        try:
            delivery_id = DeliveryId(UUID(delivery))
        except ValueError:
            return "unknown_delivery"
        known = await record_provider_state(self._pool, delivery_id, sid, state=state, code=code, ranks=_RANKS)
        return "" if known else "unknown_delivery"

    async def _read(self, request: BaseRequest) -> MultiDict[str]:
        """Read the form and verify its signature. Raises: BodyTooLarge, SignatureInvalid, Malformed."""
        body = await read_body(request, WEBHOOK_BYTES_MAX)
        signature = request.headers.get(SIGNATURE_HEADER)
        if not signature:
            raise SignatureInvalid(reason="missing")
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
        except ValueError:
            raise Malformed(reason="not_a_form") from None
        fields = MultiDict(pairs)
        if not self._validator.validate(self._public_url + request.rel_url.raw_path_qs, fields, signature):
            raise SignatureInvalid(reason="mismatch")
        return fields


def _name(fields: MultiDict[str], name: str) -> str:
    """An identifier made by Twilio. Raises: Malformed."""
    value = fields.get(name, "")
    if not value or len(value) > NAME_CHARS_MAX or not value.isascii() or not value.isalnum():
        raise Malformed(reason=f"no_{name}")
    return value


def _number(fields: MultiDict[str], name: str) -> str:
    """A number in E.164, without the channel's prefix. Raises: Malformed."""
    number = fields.get(name, "").removeprefix(_CHANNEL)
    if not number or len(number) > NAME_CHARS_MAX or not number.lstrip("+").isalnum():
        raise Malformed(reason=f"no_{name}")
    return number


def _code(fields: MultiDict[str]) -> int | None:
    text = fields.get("ErrorCode", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None
