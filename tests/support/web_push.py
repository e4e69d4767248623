"""A browser and its push service on a free port: scripted responses, and decryption with the browser's keys."""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from os import urandom
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from multidict import CIMultiDictProxy


def encoded(data: bytes) -> str:
    """Base64url without padding, as browsers write it."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Received:
    """One received message."""

    headers: CIMultiDictProxy[str]
    body: bytes


@dataclass
class Browser:
    """One subscription: keys, scripted response and received messages."""

    endpoint: str
    #: A status, or ``slow``, ``cut`` (accepted, then disconnected), ``malformed``.
    answer: int | str = 201
    answer_headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    _secret: bytes = field(default_factory=lambda: urandom(16))

    @property
    def keys(self) -> dict[str, str]:
        """The keys for encryption."""
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"p256dh": encoded(point), "auth": encoded(self._secret)}

    @property
    def subscription(self) -> dict[str, Any]:
        """What ``PushSubscription.toJSON()`` returns."""
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": self.keys}

    def read(self, nth: int = -1) -> Any:
        """Decrypt a message (RFC 8291)."""
        return json.loads(_decrypted(self.received[nth].body, self._key, self._secret))

    def signed(self, nth: int = -1) -> tuple[dict[str, Any], str]:
        """Verify the sender's signature; returns its claims and key (RFC 8292)."""
        scheme, _, said = self.received[nth].headers["Authorization"].partition(" ")
        assert scheme == "vapid"
        parts = dict(part.strip().split("=", 1) for part in said.split(","))
        return _verified(parts["t"], parts["k"]), parts["k"]


def _decrypted(body: bytes, key: ec.EllipticCurvePrivateKey, secret: bytes) -> bytes:
    """The record of a message (RFC 8291 §3.4, RFC 8188 §2), without the sender's code."""
    salt, record_bytes, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    theirs, record = body[21 : 21 + length], body[21 + length :]
    assert len(record) <= record_bytes
    ours = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs))
    secret_of_both = _derived(shared, secret, b"WebPush: info\0" + ours + theirs, 32)
    content_key = _derived(secret_of_both, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret_of_both, salt, b"Content-Encoding: nonce\0", 12)
    text, delimiter, padding = AESGCM(content_key).decrypt(nonce, record, None).rpartition(b"\2")
    assert delimiter
    assert not padding.strip(b"\0")
    return text


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)


def _verified(token: str, key: str) -> dict[str, Any]:
    point = urlsafe_b64decode(key + "=" * (-len(key) % 4))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    options = {"verify_aud": False}
    claims: dict[str, Any] = jwt.decode(token, public, algorithms=["ES256"], options=options)  # type: ignore[arg-type]
    return claims


class PushService:
    """The push service of all browsers here."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.browsers: dict[str, Browser] = {}
        self.released = asyncio.Event()

    def browser(self) -> Browser:
        """Add a subscription."""
        browser = Browser(f"{self.url}/push/{encoded(urandom(16))}")
        self.browsers[browser.endpoint] = browser
        return browser

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Receive a message."""
        browser = self.browsers[str(request.url)]
        browser.received.append(Received(request.headers, await request.read()))
        match browser.answer:
            case "slow":
                await self.released.wait()
            case "cut" | "malformed":
                assert request.transport is not None
                if browser.answer == "malformed":
                    request.transport.write(b"this is no HTTP\r\n\r\n")
                request.transport.close()
            case int(status):
                return web.Response(status=status, headers=browser.answer_headers)
        return web.Response(status=500)


@asynccontextmanager
async def open_push_service() -> AsyncIterator[PushService]:
    """Serve on a free port until the end."""
    app = web.Application()
    runner = web.AppRunner(app, shutdown_timeout=0)
    service = PushService("")
    app.router.add_post("/push/{id}", service.take)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield service
    finally:
        service.released.set()
        await runner.cleanup()
