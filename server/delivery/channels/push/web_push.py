"""Web Push: messages to browsers, encrypted for each (RFC 8291), signed by this server's key (RFC 8292).

Each browser names a push service of its own, and whoever registers one may name any. So what one of them does, or asks
for, is about its own messages alone: each has a breaker of its own.
"""

import asyncio
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256

import aiohttp
import msgspec
from py_vapid import VapidException
from pywebpush import WebPusher, WebPushException

from actors.rules.public_urls import endpoint_problem
from protocol.delivery.channels import Channel
from server.delivery.adapters import Gone, Outcome, Refused, Sent, Suppressed, TryLater, send_each
from server.delivery.channels.push.composer import Push
from server.delivery.channels.push.devices import FindDevices, find_devices
from server.delivery.channels.push.services import Services
from server.delivery.channels.push.vapid import NOBODY, NoKeyYet, VapidKey
from server.delivery.public_client import PrivateAddress, open_client
from server.delivery.retry_after import retry_after_s
from server.edge.adapter_error import AdapterError
from server.edge.secret_file import UnusableKey
from storage.queries.device import DeviceAddress

#: Messages of one batch, all of them under way at once.
BATCH_MAX = 32
CONNECTIONS_MAX = 256
CONNECT_TIMEOUT_S = 5.0
#: For one message, from the connection on. Push services answer at once; who does not holds up the others of a batch.
SEND_TIMEOUT_S = 10.0
#: Of an answer; nobody reads more.
ANSWER_BYTES_MAX = 1024
_TOPIC_CHARS = 32


class WebPush:
    """Sends to the push services of browsers.

    Args:
        load_key: gives the key that it signs with. Raises: UnusableKey.
        find: where devices' messages go.
        now: the domain's clock.
        private: endpoints may be private addresses, and without TLS.
        monotonic: seconds, for pauses.
    """

    channel = Channel.WEB_PUSH
    batch_max = BATCH_MAX

    def __init__(
        self,
        load_key: Callable[[], VapidKey],
        find: FindDevices,
        now: Callable[[], datetime],
        *,
        private: bool,
        timeout_s: float = SEND_TIMEOUT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load_key = load_key
        self._key: VapidKey | None = None
        self._find = find
        self._now = now
        self._private = private
        self._timeout_s = timeout_s
        self._services = Services(monotonic)
        self._client: aiohttp.ClientSession | None = None

    async def send(self, messages: Sequence[Push]) -> Sequence[Outcome]:
        """Send messages, each to its own push service."""
        addresses = await find_devices(self._find, [message.device_id for message in messages])
        if isinstance(addresses, TryLater):
            return [addresses] * len(messages)

        async def send(message: Push) -> Outcome:
            return await self._send(message, addresses.get(message.device_id))

        return await send_each(send, messages)

    async def check(self) -> str:
        """There is nobody to ask, since each browser brings its own push service; but a signature must come about."""
        try:
            key = self._signer()
            key.headers("https://push.example")
        except NoKeyYet:
            return "the first start makes its key"
        except (UnusableKey, VapidException) as error:
            raise AdapterError(str(error)) from error
        who = "as nobody in particular (set push.vapid_subject)" if key.subject == NOBODY else f"as {key.subject}"
        return f"signs {who} for the push services of browsers"

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()

    async def _send(self, message: Push, to: DeviceAddress | None) -> Outcome:
        if to is None:
            return Suppressed("device_forgotten")
        if problem := endpoint_problem(to.address, private=self._private):
            return Refused(problem)
        try:
            body = encrypted(message, to)
        except (ValueError, TypeError, WebPushException):
            return Gone("bad_keys")
        try:
            signature = self._signer().headers(to.address)
        except VapidException:
            return Gone("not_signable")
        headers = {
            **signature,
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(message.ttl_s(self._now())),
            "Urgency": message.urgency,
            "Topic": topic_of(message.collapse_key),
        }
        return await self._services.ask(to.address, lambda: self._post(to.address, body, headers))

    async def _post(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http().post(endpoint, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                await answer.content.read(ANSWER_BYTES_MAX)
                return outcome_of(answer.status, answer.headers.get("Retry-After"))
        except (aiohttp.InvalidURL, UnicodeError):  # no host can have that name
            return Gone("not_a_url")
        except (aiohttp.ClientError, OSError) as error:
            return failed(error)

    def _signer(self) -> VapidKey:
        if self._key is None:
            self._key = self._load_key()
        return self._key

    def _http(self) -> aiohttp.ClientSession:
        if self._client is None:
            timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S)
            self._client = open_client(connections_max=CONNECTIONS_MAX, timeout=timeout, private=self._private)
        return self._client


def encrypted(message: Push, to: DeviceAddress) -> bytes:
    """The message for one browser's eyes. Raises: ValueError, TypeError, WebPushException for keys that are none."""
    subscription = {"endpoint": to.address, "keys": {"p256dh": to.p256dh, "auth": to.auth}}
    body: bytes = WebPusher(subscription).encode(payload_of(message))["body"]
    return body


def payload_of(message: Push) -> bytes:
    """What the service worker gets."""
    return msgspec.json.encode(
        {
            "title": message.title,
            "body": message.body,
            "tag": message.collapse_key,
            "badge": message.badge,
            "silent": not message.sounds,
            **message.data,
        }
    )


def topic_of(collapse_key: str) -> str:
    """The key as push services take it: 32 characters of base64url (RFC 8030 §5.4), which tell them nothing."""
    return urlsafe_b64encode(sha256(collapse_key.encode()).digest()).decode()[:_TOPIC_CHARS]


def failed(error: Exception) -> Outcome:
    """What it means that no answer came."""
    if isinstance(getattr(error, "os_error", None), PrivateAddress):
        return Refused("private_address")
    return next(outcome for kind, outcome in _FAILURES if isinstance(error, kind))


#: In this order: a more special one comes first. What was written before it failed may have arrived.
_FAILURES: tuple[tuple[type[Exception], TryLater], ...] = (
    (aiohttp.ClientConnectorDNSError, TryLater("no_such_host")),
    (aiohttp.ClientSSLError, TryLater("tls")),
    (aiohttp.ClientConnectorError, TryLater("unreachable")),
    (aiohttp.ConnectionTimeoutError, TryLater("connect_timeout")),
    (TimeoutError, TryLater("timeout", unknown=True)),
    (aiohttp.ClientResponseError, TryLater("malformed", unknown=True)),
    (Exception, TryLater("cut", unknown=True)),
)


def outcome_of(status: int, retry_after: str | None) -> Outcome:
    """What a push service's answer means (RFC 8030 §5, §7.3, §8.4)."""
    match status:
        case 200 | 201 | 202 | 204:
            return Sent()
        case 404 | 410:
            return Gone(f"http_{status}")
        case 408 | 429:
            return TryLater(f"http_{status}", retry_after_s(retry_after))
        case _ if status >= 500:
            return TryLater(f"http_{status}", retry_after_s(retry_after))
        case _:
            return Refused(f"http_{status}")
