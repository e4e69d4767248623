"""Web Push: messages to browsers, encrypted for each (RFC 8291), signed by this server's key (RFC 8292).

Each browser names its push service, and users may register any endpoint. So the failures and pauses of one service
affect its own messages only: each has a circuit breaker.
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
from server.delivery.channels.push.vapid import NO_CONTACT, NoKeyYet, VapidKey
from server.delivery.public_client import PrivateAddress, open_client
from server.delivery.retry_after import retry_after_s
from server.edge.adapter_error import AdapterError
from server.edge.secret_file import UnusableKey
from storage.queries.device import DeviceAddress

#: Messages of one batch, sent concurrently.
BATCH_MAX = 32
CONNECTIONS_MAX = 256
CONNECT_TIMEOUT_S = 5.0
#: For one message, connection included. Push services respond at once; a slow one delays the rest of its batch.
SEND_TIMEOUT_S = 10.0
#: Bytes of a response that are read.
RESPONSE_BYTES_MAX = 1024
_TOPIC_CHARS = 32


class WebPush:
    """The adapter of browsers' push services.

    Args:
        load_key: returns the signing key. Raises: UnusableKey.
        find: finds the push addresses of devices.
        now: the domain's clock.
        private: allow private addresses, and endpoints without TLS.
        monotonic: seconds of a monotonic clock, for the breakers.
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
        """Send messages, each to its push service; returns one outcome for each, in order."""
        addresses = await find_devices(self._find, [message.device_id for message in messages])
        if isinstance(addresses, TryLater):
            return [addresses] * len(messages)

        async def send(message: Push) -> Outcome:
            return await self._send(message, addresses.get(message.device_id))

        return await send_each(send, messages)

    async def check(self) -> str:
        """Check that signing works; there is no provider to contact, since each browser names its own."""
        try:
            key = self._signer()
            key.headers("https://push.example")
        except NoKeyYet:
            return "the first start creates its key"
        except (UnusableKey, VapidException) as error:
            raise AdapterError(str(error)) from error
        contact = "without a contact (set push.vapid_subject)" if key.subject == NO_CONTACT else f"as {key.subject}"
        return f"signs {contact} for the push services of browsers"

    async def close(self) -> None:
        """Close connections."""
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
                self._http().post(endpoint, data=body, headers=headers, allow_redirects=False) as response,
            ):
                await response.content.read(RESPONSE_BYTES_MAX)
                return outcome_of(response.status, response.headers.get("Retry-After"))
        except (aiohttp.InvalidURL, UnicodeError):  # an impossible host name
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
    """Encrypt a message for one browser. Raises: ValueError, TypeError, WebPushException for malformed keys."""
    subscription = {"endpoint": to.address, "keys": {"p256dh": to.p256dh, "auth": to.auth}}
    body: bytes = WebPusher(subscription).encode(payload_of(message))["body"]
    return body


def payload_of(message: Push) -> bytes:
    """The payload for the service worker."""
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
    """The Topic header: a hash of the key in 32 characters of base64url (RFC 8030 §5.4)."""
    return urlsafe_b64encode(sha256(collapse_key.encode()).digest()).decode()[:_TOPIC_CHARS]


def failed(error: Exception) -> Outcome:
    """The outcome of a request without a response."""
    if isinstance(getattr(error, "os_error", None), PrivateAddress):
        return Refused("private_address")
    return next(outcome for kind, outcome in _FAILURES if isinstance(error, kind))


#: Subclasses first. After the request was written, the message may have arrived.
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
    """The outcome of a push service's response (RFC 8030 §5, §7.3, §8.4)."""
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
