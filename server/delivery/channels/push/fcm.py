"""Firebase Cloud Messaging: messages to phones, by Google's library.

Three behaviours of the library are replaced here: it fetches access tokens in the event loop, retries a refused message
four times before it reports it, and loses a whole batch when one response cannot be parsed.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from json import JSONDecodeError
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import firebase_admin
import httpx
from firebase_admin import exceptions, messaging
from firebase_admin._http_client import HttpxAsyncClient
from firebase_admin._retry import HttpxRetry
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from protocol.delivery.channels import Channel
from protocol.notification.types import Importance
from server.delivery.adapters import Gone, Outcome, Refused, Sent, Suppressed, TryLater, send_each
from server.delivery.channels.push.composer import Push
from server.delivery.channels.push.devices import FindDevices, find_devices
from server.delivery.retry_after import retry_after_s
from server.edge.adapter_error import AdapterError

#: Messages of one batch, and of these sent concurrently: each takes some 2 ms of the event loop.
BATCH_MAX = 50
AT_ONCE_MAX = 25
#: For one response, and for one message with all its waits; twice that is below the delivery worker's timeout.
RESPONSE_TIMEOUT_S = 15.0
SEND_TIMEOUT_S = 20.0
#: For fetching an access token, before any message is sent.
TOKEN_TIMEOUT_S = 10.0
#: An access token is renewed this long before it expires.
TOKEN_AHEAD_S = 300.0
#: The wait after 429 without Retry-After, as FCM requires.
QUOTA_WAIT_S = 60.0
#: A Firebase installation id; longer ones are registration tokens, the older form.
_INSTALLATION = re.compile(r"[\w-]{22}", re.ASCII)
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_TOPIC_OF_CHECK = "guildwire-check"


class Fcm:
    """The adapter of one Firebase project.

    Args:
        credentials: the file with its service account.
        find: finds the push addresses of devices.
        now: the domain's clock.
    """

    channel = Channel.PUSH
    batch_max = BATCH_MAX

    def __init__(
        self,
        credentials: Path,
        find: FindDevices,
        now: Callable[[], datetime],
        *,
        response_timeout_s: float = RESPONSE_TIMEOUT_S,
    ) -> None:
        self._project = Project(credentials, response_timeout_s)
        self._find = find
        self._now = now

    async def send(self, messages: Sequence[Push]) -> Sequence[Outcome]:
        """Send messages; returns one outcome for each, in order."""
        addresses = await find_devices(self._find, [message.device_id for message in messages])
        if isinstance(addresses, TryLater):
            return [addresses] * len(messages)
        if failure := await self._project.prepare():
            return [failure if one.device_id in addresses else Suppressed("device_forgotten") for one in messages]
        at_once = asyncio.Semaphore(AT_ONCE_MAX)

        async def send(message: Push) -> Outcome:
            async with at_once:
                if (to := addresses.get(message.device_id)) is None:
                    return Suppressed("device_forgotten")
                return await self._project.send(fcm_message(message, to.address, self._now()))

        return await send_each(send, messages)

    async def check(self) -> str:
        """Send a dry-run message to a topic without subscribers. Raises: AdapterError."""
        failure = await self._project.prepare()
        message = messaging.Message(topic=_TOPIC_OF_CHECK, notification=messaging.Notification(title="check"))
        outcome = failure or await self._project.send(message, dry_run=True)
        if not isinstance(outcome, Sent):
            raise AdapterError(f"Firebase project {self._project.name}: {outcome.reason}")
        return f"Firebase project {self._project.name}, as {self._project.account_name}"

    async def close(self) -> None:
        """Close connections."""
        await self._project.close()


class FetchedToken(Credentials):
    """An access token fetched outside the event loop; the library must not fetch one itself."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # google.auth says that it is typed

    def refresh(self, request: object) -> None:
        """Called when FCM refuses the token. Raises: RefreshError."""
        raise RefreshError("unauthenticated")

    def before_request(self, request: object, method: str, url: str, headers: Any) -> None:
        """Add the token to a request."""
        headers["authorization"] = f"Bearer {self.token}"


class FetchedCredential(firebase_admin.credentials.Base):  # type: ignore[misc]  # firebase_admin ships no types
    """The token, wrapped for firebase_admin."""

    def __init__(self, token: FetchedToken) -> None:
        self._token = token

    def get_credential(self) -> FetchedToken:
        """Return the token."""
        return self._token


class Project:
    """One Firebase project: service account, access token and the library's client.

    Args:
        response_timeout_s: for one response of FCM.
    """

    def __init__(self, credentials: Path, response_timeout_s: float) -> None:
        try:
            self._account = service_account.Credentials.from_service_account_file(str(credentials), scopes=[_SCOPE])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, GoogleAuthError) as error:
            raise AdapterError(f"push.fcm_credentials: {credentials}: {_message_of(error)}") from error
        if not self._account.project_id:
            raise AdapterError(f"push.fcm_credentials: {credentials}: has no project_id")
        self.name: str = self._account.project_id
        self.account_name: str = self._account.service_account_email
        self._response_timeout_s = response_timeout_s
        self._token = FetchedToken()
        self._app: firebase_admin.App | None = None
        self._client: HttpxAsyncClient | None = None
        self._preparing = asyncio.Lock()

    async def prepare(self) -> TryLater | None:
        """Open the client and renew the token if needed; returns a TryLater if that fails."""
        async with self._preparing:
            if self._app is None:
                await asyncio.to_thread(self._open)
            if not self._expires_soon():
                return None
            try:
                async with asyncio.timeout(TOKEN_TIMEOUT_S):
                    await asyncio.to_thread(self._fetch_token)
            except TimeoutError:
                return TryLater("token_timeout")
            except TransportError:
                return TryLater("token_unreachable")
            except GoogleAuthError:
                return TryLater("token_refused")
            except (ValueError, KeyError, TypeError, AttributeError):
                return TryLater("token_malformed")
        return None

    async def send(self, message: messaging.Message, *, dry_run: bool = False) -> Outcome:
        """Send one message."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                batch = await messaging.send_each_async([message], dry_run=dry_run, app=self._app)
        except TimeoutError:
            return TryLater("timeout", unknown=True)
        except ValueError:
            return Refused("invalid_message")
        except exceptions.FirebaseError as error:
            return self._outcome_of(error)
        (response,) = batch.responses
        if response.exception is not None:
            return self._outcome_of(response.exception)
        if not isinstance(response.message_id, str):
            return TryLater("malformed", unknown=True)
        return Sent(response.message_id.rpartition("/")[2])

    async def close(self) -> None:
        """Close connections."""
        if self._client is None or self._app is None:
            return
        await self._client.aclose()
        # The library closes its client in a new event loop, which needs a thread without one.
        await asyncio.to_thread(firebase_admin.delete_app, self._app)
        self._app = self._client = None

    def _open(self) -> None:
        """Create the library's client; it takes a while to read the system's certificates."""
        options = {"projectId": self.name, "httpTimeout": self._response_timeout_s}
        app = firebase_admin.initialize_app(FetchedCredential(self._token), options, name=f"guildwire-{uuid4()}")
        self._client = HttpxAsyncClient(
            credential=self._token, timeout=self._response_timeout_s, retry_config=HttpxRetry(max_retries=0)
        )
        # There is no setting that turns off the library's retries, which bypass the breaker and hide Retry-After.
        messaging._get_messaging_service(app)._async_client = self._client
        self._app = app

    def _expires_soon(self) -> bool:
        expiry = self._account.expiry  # naive, in UTC
        soon = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=TOKEN_AHEAD_S)
        return self._token.token is None or expiry is None or expiry < soon

    def _fetch_token(self) -> None:
        """Fetch an access token. Raises: GoogleAuthError; ValueError and the like for a bad response."""
        self._account.refresh(partial(Request(), timeout=TOKEN_TIMEOUT_S))
        self._token.token = self._account.token

    def _outcome_of(self, error: exceptions.FirebaseError) -> Outcome:
        if error.code == exceptions.UNAUTHENTICATED or isinstance(error.cause, RefreshError):
            self._token.token = None  # renewed before the next message
        return outcome_of(error)


#: The library's exception → outcome. Others are named by their HTTP status.
_REFUSALS: Mapping[type[Exception], Outcome] = {
    messaging.UnregisteredError: Gone("unregistered"),
    messaging.SenderIdMismatchError: Gone("sender_id_mismatch"),
    exceptions.InvalidArgumentError: Refused("invalid_argument"),
    messaging.ThirdPartyAuthError: TryLater("third_party_auth"),
    exceptions.UnauthenticatedError: TryLater("unauthenticated"),
    exceptions.PermissionDeniedError: TryLater("permission_denied"),
}
#: Failures without a response. Subclasses first.
_FAILURES: tuple[tuple[type[BaseException], TryLater], ...] = (
    (RefreshError, TryLater("unauthenticated")),
    (httpx.ConnectTimeout, TryLater("connect_timeout")),
    (httpx.PoolTimeout, TryLater("busy")),
    (httpx.ConnectError, TryLater("unreachable")),
    (httpx.TimeoutException, TryLater("timeout", unknown=True)),
    (JSONDecodeError, TryLater("malformed", unknown=True)),
    (httpx.HTTPError, TryLater("cut", unknown=True)),
    (BaseException, TryLater("malformed", unknown=True)),
)


def outcome_of(error: exceptions.FirebaseError) -> Outcome:
    """The outcome of the library's exception."""
    if (known := _REFUSALS.get(type(error))) is not None and error.http_response is not None:
        return known
    if error.http_response is None:
        return next(outcome for kind, outcome in _FAILURES if isinstance(error.cause, kind))
    status = error.http_response.status_code
    after_s = retry_after_s(error.http_response.headers.get("Retry-After"))
    if status == 429:
        return TryLater("quota_exceeded", QUOTA_WAIT_S if after_s is None else after_s)
    return TryLater(f"http_{status}", after_s)


def fcm_message(push: Push, token: str, now: datetime) -> messaging.Message:
    """The message in FCM's form, for Android and Apple's devices."""
    ttl_s, sound = push.ttl_s(now), "default" if push.sounds else None
    to = {"fid" if _INSTALLATION.fullmatch(token) else "token": token}
    return messaging.Message(
        **to,
        notification=messaging.Notification(title=push.title, body=push.body),
        data=push.data,
        android=messaging.AndroidConfig(
            collapse_key=push.collapse_key,
            priority="high" if push.importance is Importance.CRITICAL else "normal",
            ttl=timedelta(seconds=ttl_s),
            notification=messaging.AndroidNotification(
                tag=push.collapse_key, sound=sound, notification_count=push.badge
            ),
        ),
        apns=messaging.APNSConfig(
            headers={
                "apns-collapse-id": push.collapse_key,
                "apns-expiration": str(int(time()) + ttl_s),
                "apns-priority": "5" if push.importance is Importance.ORDINARY else "10",
            },
            payload=messaging.APNSPayload(messaging.Aps(badge=push.badge, sound=sound, thread_id=push.entity)),
        ),
    )


def _message_of(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
