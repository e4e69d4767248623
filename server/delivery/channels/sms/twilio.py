"""Sends short messages by Twilio, as SMS or WhatsApp messages.

Twilio takes no idempotency key, so a message whose connection is lost after the request may arrive twice.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import aiohttp
from twilio.base import values
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client

from protocol.delivery.channels import Channel
from server.delivery.adapters import Gone, Outcome, Refused, Sent, TryLater
from server.delivery.channels.sms.composer import Sms
from server.delivery.channels.sms.twilio_http import REQUEST_TIMEOUT_S, NotNow, TwilioHttp
from server.delivery.config import SmsConfig
from server.edge.adapter_error import AdapterError

STATUS_PATH = "/webhooks/twilio/status"
#: The longest validity period that Twilio accepts, in seconds.
VALIDITY_MAX_S = 36_000

#: https://www.twilio.com/docs/api/errors: invalid number, not a mobile number, not on WhatsApp.
_NO_SUCH_NUMBER = frozenset({21211, 21614, 63003})
UNSUBSCRIBED = 21610
STOPPED = Gone("stopped")
_TOO_MANY = 20429
#: Our account or its permissions: not about a message.
_ACCOUNT = frozenset({401, 403})
_WHATSAPP = "whatsapp:"


async def ignore_opt_out(number: str) -> None:
    """Ignore opt-outs, for checks of the provider without a database."""


class Twilio:
    """One channel of a Twilio account.

    Args:
        now: the domain's clock.
        public_url: base of the status callback URL; empty: no status callbacks.
        opted_out: receives numbers that Twilio may not send to any more.
    """

    #: Each outcome is stored as soon as it is known.
    batch_max = 1

    def __init__(
        self,
        config: SmsConfig,
        channel: Channel,
        now: Callable[[], datetime],
        *,
        public_url: str = "",
        opted_out: Callable[[str], Awaitable[None]] = ignore_opt_out,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self.channel = channel
        self._config = config
        self._now = now
        self._status_url = public_url.rstrip("/") + STATUS_PATH if public_url else ""
        self._opted_out = opted_out
        self._http = TwilioHttp(timeout_s)
        # Without the process environment, whose variables could choose the host.
        self._client = Client(
            config.account_sid, config.auth_token, http_client=self._http, environment={"TWILIO_EDGE": ""}
        )
        if config.base_url:
            self._client.api.base_url = config.base_url

    async def send(self, messages: Sequence[Sms]) -> Sequence[Outcome]:
        """Send messages; returns one outcome for each, in order."""
        return [await self._send(message) for message in messages]

    async def check(self) -> str:
        """Fetch our account. Raises: AdapterError."""
        try:
            account = await self._client.api.v2010.accounts(self._config.account_sid).fetch_async()
            status = str(account.status)
        except (TwilioException, NotNow, aiohttp.ClientError, OSError, ValueError, TypeError, KeyError) as error:
            outcome = outcome_of(error)
            raise AdapterError(f"Twilio: {outcome.reason}") from None
        if status != "active":
            raise AdapterError(f"Twilio: the account is {status}")
        callbacks = "with status callbacks" if self._status_url else "server.public_url is empty: no status callbacks"
        return f"Twilio, account …{self._config.account_sid[-4:]}, {callbacks}"

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()

    async def _send(self, sms: Sms) -> Outcome:
        try:
            message = await self._client.api.v2010.account.messages.create_async(**self._request(sms))
            return Sent(str(message.sid))
        except (TwilioException, NotNow, aiohttp.ClientError, OSError, ValueError, TypeError, KeyError) as error:
            outcome = outcome_of(error)
            if outcome == STOPPED:
                await self._opted_out(sms.to)
            return outcome

    def _request(self, sms: Sms) -> dict[str, Any]:
        """The library's arguments for a message."""
        config = self._config
        status_url = f"{self._status_url}?delivery={sms.id}" if self._status_url else values.unset
        request: dict[str, Any] = {"to": sms.to, "body": sms.text, "status_callback": status_url}
        if sms.expires_at is not None:
            left_s = int((sms.expires_at - self._now()).total_seconds())
            request["validity_period"] = min(max(left_s, 1), VALIDITY_MAX_S)
        if self.channel is Channel.WHATSAPP:
            request |= {"to": _WHATSAPP + sms.to, "from_": _WHATSAPP + config.whatsapp_from}
            if config.whatsapp_content_sid:
                del request["body"]
                variables = json.dumps({"1": " ".join(sms.text.split())})
                request |= {"content_sid": config.whatsapp_content_sid, "content_variables": variables}
        elif config.messaging_service_sid:
            request["messaging_service_sid"] = config.messaging_service_sid
        else:
            request["from_"] = config.from_number
        return request


def outcome_of(error: Exception) -> TryLater | Refused | Gone:
    """The outcome of an error. Of Twilio's text only the code is used: the rest may hold personal data."""
    match error:
        case NotNow():
            return TryLater(f"http_{error.status}", error.after_s)
        case TwilioRestException() | TwilioServiceException():
            return _refusal(error.status, error.code or error.status)
    return next(outcome for kind, outcome in _FAILURES if isinstance(error, kind))


def _refusal(status: int, code: int) -> TryLater | Refused | Gone:
    reason = f"twilio_{code:d}"
    if code in _NO_SUCH_NUMBER:
        return Gone(reason)
    if code == UNSUBSCRIBED:
        return STOPPED
    if code == _TOO_MANY or status in _ACCOUNT:
        return TryLater(reason)
    return Refused(reason)


#: Subclasses first. After the request was written, the message may have been accepted.
_FAILURES: tuple[tuple[type[Exception], TryLater], ...] = (
    (aiohttp.ClientConnectorDNSError, TryLater("no_such_host")),
    (aiohttp.ClientSSLError, TryLater("tls")),
    (aiohttp.ClientConnectorError, TryLater("unreachable")),
    (aiohttp.ConnectionTimeoutError, TryLater("connect_timeout")),
    (TimeoutError, TryLater("timeout", unknown=True)),
    (aiohttp.ClientResponseError, TryLater("malformed", unknown=True)),
    (aiohttp.ClientError, TryLater("cut", unknown=True)),
    (OSError, TryLater("cut", unknown=True)),
    (Exception, TryLater("malformed", unknown=True)),
)
