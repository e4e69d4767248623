"""Google's servers for FCM on a free port: access tokens for a service account, and messages."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from firebase_admin import messaging

PROJECT = "guild-test"
_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
#: FCM's own code → status, and the general code beside it.
_ERRORS = {
    "UNREGISTERED": (404, "NOT_FOUND"),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED"),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED"),
    "UNAVAILABLE": (503, "UNAVAILABLE"),
    "INTERNAL": (500, "INTERNAL"),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED"),
    "PERMISSION_DENIED": (403, "PERMISSION_DENIED"),
}


@dataclass
class Google:
    """The requests, and the scripted responses."""

    url: str = ""
    #: Device token → one of FCM's codes, or ``slow``, ``cut`` (accepted, then disconnected), ``malformed``,
    #: ``not_json``, ``nameless``, ``odd_error``. Others are accepted.
    answers: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    #: The received messages.
    received: list[dict[str, Any]] = field(default_factory=list)
    #: Issued access tokens, and those that are accepted.
    tokens: list[str] = field(default_factory=list)
    valid_tokens: set[str] = field(default_factory=set)
    #: None: access tokens are issued.
    token_answer: int | str | None = None
    token_lasts_s: int = 3600
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def to(self, token: str) -> list[dict[str, Any]]:
        """The messages of one device."""
        return [one["message"] for one in self.received if _addressee(one["message"]) == token]

    async def token(self, request: web.Request) -> web.StreamResponse:
        """Issue an access token to an account."""
        await request.read()
        match self.token_answer:
            case int(status):
                return web.json_response({"error": "invalid_grant"}, status=status)
            case "slow":
                await self.released.wait()
            case "malformed":
                return web.Response(text="this is no JSON")
        self.tokens.append(f"access-{len(self.tokens)}")
        self.valid_tokens.add(self.tokens[-1])
        return web.json_response(
            {"access_token": self.tokens[-1], "expires_in": self.token_lasts_s, "token_type": "Bearer"}
        )

    async def take(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911  # one for each answer
        """Receive a message."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.valid_tokens:
            return self._refusal(401, "UNAUTHENTICATED", None)
        body = await request.json()
        self.received.append(body)
        answer = self.answers.get(_addressee(body["message"]), "")
        name = {"name": f"projects/{PROJECT}/messages/{len(self.received)}"}
        match answer:
            case "":
                return web.json_response(name)
            case "slow":
                await self.released.wait()
                return web.json_response(name)
            case "cut" | "malformed":
                assert request.transport is not None
                if answer == "malformed":
                    request.transport.write(b"this is no HTTP\r\n\r\n")
                request.transport.close()
                return web.Response()
            case "not_json":
                return web.Response(text="this is no JSON")
            case "nameless":
                return web.json_response({})
            case "odd_error":
                return web.json_response({"error": "no object"}, status=502)
        status, general = _ERRORS[answer]
        return self._refusal(status, general, answer)

    def _refusal(self, status: int, general: str, code: str | None) -> web.Response:
        details = [] if code is None else [{"@type": _ERROR, "errorCode": code}]
        error = {"code": status, "message": "scripted", "status": general, "details": details}
        return web.json_response({"error": error}, status=status, headers=self.headers)


def _addressee(message: dict[str, Any]) -> str:
    return str(message.get("token") or message.get("fid") or "")


@asynccontextmanager
async def open_google() -> AsyncIterator[Google]:
    """Serve on a free port, and point the library to it."""
    google = Google()
    app = web.Application()
    app.router.add_post("/token", google.token)
    app.router.add_post(f"/v1/projects/{PROJECT}/messages:send", google.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        google.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        with _fcm_at(google.url):
            yield google
    finally:
        google.released.set()
        await runner.cleanup()


@contextmanager
def _fcm_at(url: str) -> Iterator[None]:
    """Replace FCM's URL, a constant of the library; the account's file has the URL of access tokens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messaging._MessagingService, "FCM_URL", f"{url}/v1/projects/{{0}}/messages:send")
        yield


def write_account(path: Path, url: str, **said: Any) -> Path:
    """A service account's file, as the Firebase console creates it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": f"push@{PROJECT}.test",
        "token_uri": f"{url}/token",
        **said,
    }
    path.write_text(json.dumps(account))
    return path
