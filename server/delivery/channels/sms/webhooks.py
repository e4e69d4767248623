"""``POST /webhooks/twilio/…``: what became of short messages, and what people answered.

Duplicates and any order are harmless: of a message the furthest state counts, and each answer counts once. Twilio hears
200 only once it is durable. Nothing that is kept or logged holds a number or a text, but the list of those who said
STOP.
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
from storage.short_messages import note_state, note_stop, take_answer

INBOUND_PATH = "/webhooks/twilio/inbound"
SIGNATURE_HEADER = "X-Twilio-Signature"
WEBHOOK_BYTES_MAX = 64 * 1024
#: Fields of one webhook; Twilio sends some twenty.
FIELDS_MAX = 128
#: Of a name that Twilio made, as far as it is kept.
NAME_CHARS_MAX = 64

#: How far a message is in each state; of two that end it, the better one.
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
_NOTHING_TO_SAY: Final = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
#: What comes before a number that is reached by another channel than SMS.
_CHANNEL = "whatsapp:"

log = structlog.get_logger(__name__)


class TwilioWebhooks:
    """Takes Twilio's webhooks.

    Args:
        auth_token: what Twilio signs with.
        public_url: how Twilio reaches this server; the signature covers it.
        now: the domain's clock.
    """

    def __init__(self, pool: Pool, auth_token: str, public_url: str, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._validator = RequestValidator(auth_token)
        self._public_url = public_url.rstrip("/")
        self._now = now

    @property
    def routes(self) -> Mapping[tuple[str, str], PlainHandler]:
        """What is served."""
        return {("POST", STATUS_PATH): self.status, ("POST", INBOUND_PATH): self.inbound}

    async def status(self, request: BaseRequest) -> StreamResponse:
        """Take news of a message. Raises: BodyTooLarge, SignatureInvalid, Malformed."""
        fields = await self._read(request)
        sid, state, code = _name(fields, "MessageSid"), _name(fields, "MessageStatus"), _code(fields)
        if code == UNSUBSCRIBED:
            await note_stop(self._pool, _number(fields, "To"), self._now())
        problem = await self._note(request.query.get("delivery", ""), sid, state, code)
        if problem:
            log.warning("twilio.odd_event", action="keep", event_id=sid, type=state, problem=problem)
            body = msgspec.json.encode({"MessageSid": sid, "MessageStatus": state, "ErrorCode": code})
            await keep_unmatched_event(
                self._pool,
                UnmatchedEvent(provider="twilio", event_id=f"{sid}:{state}", type=state, problem=problem, body=body),
            )
        return Response(status=200)

    async def inbound(self, request: BaseRequest) -> StreamResponse:
        """Take an answer, and say nothing to it. Raises: BodyTooLarge, SignatureInvalid, Malformed."""
        fields = await self._read(request)
        said = fields.get("OptOutType") or fields.get("Body") or ""
        means = meaning(said)
        number = _number(fields, "From")
        await take_answer(self._pool, _name(fields, "MessageSid"), number, means.value, self._now())
        if means is not Meaning.OTHER:
            log.info("sms.answered", action="heed", means=means.value)
        return Response(body=_NOTHING_TO_SAY, content_type="text/xml")

    async def _note(self, delivery: str, sid: str, state: str, code: int | None) -> str:
        """Keep the state with its delivery; answers why that was not possible, if it was not."""
        if state not in _RANKS:
            return "unknown_type"
        try:
            delivery_id = DeliveryId(UUID(delivery))
        except ValueError:
            return "unknown_delivery"
        known = await note_state(self._pool, delivery_id, sid, state=state, code=code, ranks=_RANKS)
        return "" if known else "unknown_delivery"

    async def _read(self, request: BaseRequest) -> MultiDict[str]:
        """Read the form, once it is sure whose it is. Raises: BodyTooLarge, SignatureInvalid, Malformed."""
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
    """A name that Twilio made. Raises: Malformed."""
    value = fields.get(name, "")
    if not value or len(value) > NAME_CHARS_MAX or not value.isascii() or not value.isalnum():
        raise Malformed(reason=f"no_{name}")
    return value


def _number(fields: MultiDict[str], name: str) -> str:
    """A number in E.164, whichever channel it is reached by. Raises: Malformed."""
    number = fields.get(name, "").removeprefix(_CHANNEL)
    if not number or len(number) > NAME_CHARS_MAX or not number.lstrip("+").isalnum():
        raise Malformed(reason=f"no_{name}")
    return number


def _code(fields: MultiDict[str]) -> int | None:
    text = fields.get("ErrorCode", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None
