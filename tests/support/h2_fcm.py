"""FCM over TLS and HTTP/2, with a self-signed certificate."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from firebase_admin import messaging
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded
from h2.settings import SettingCodes, Settings

from tests.support.fcm import PROJECT

#: Fewer than the messages of a batch.
STREAMS_MAX = 10


@dataclass
class Google2:
    """The received messages."""

    url: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    #: Maximum of open streams on one connection.
    streams: int = 0
    #: After this many responses the connection is closed, once.
    cut_after: int | None = None


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, google: Google2) -> None:
        self._google = google
        self._h2 = H2Connection(H2Configuration(client_side=False))
        limits = {SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_MAX}
        self._h2.local_settings = Settings(client=False, initial_values=limits)
        self._bodies: dict[int, bytearray] = {}
        self._paths: dict[int, str] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._google.connections += 1
        self._h2.initiate_connection()
        transport.write(self._h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        for event in self._h2.receive_data(data):
            self._take(event)
        self._google.streams = max(self._google.streams, self._h2.open_inbound_streams)
        if not self._transport.is_closing():
            self._transport.write(self._h2.data_to_send())

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(stream)):
                headers = {_text(name): _text(value) for name, value in event.headers or ()}
                self._paths[stream], self._bodies[stream] = headers[":path"], bytearray()
            case DataReceived(stream_id=int(stream), data=bytes(data)):
                self._bodies[stream] += data
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            case StreamEnded(stream_id=int(stream)):
                asyncio.get_running_loop().call_soon(self._answer, stream)

    def _answer(self, stream: int) -> None:
        google, transport = self._google, self._transport
        assert transport is not None
        if transport.is_closing():
            return
        google.received.append(json.loads(self._bodies[stream]))
        if google.cut_after is not None and len(google.received) > google.cut_after:
            google.cut_after = None
            transport.close()
            return
        body = json.dumps({"name": f"projects/{PROJECT}/messages/{len(google.received)}"}).encode()
        self._h2.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
        self._h2.send_data(stream, body, end_stream=True)
        transport.write(self._h2.data_to_send())


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


@asynccontextmanager
async def open_google2(folder: Path) -> AsyncIterator[Google2]:
    """Serve on a free port; the library uses it and trusts its certificate only."""
    google = Google2()
    context, authority = _certificate(folder)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(google), "127.0.0.1", 0, ssl=context)
    google.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority))
        patch.setattr(messaging._MessagingService, "FCM_URL", f"{google.url}/v1/projects/{{0}}/messages:send")
        try:
            yield google
        finally:
            server.close()
            await server.wait_closed()


def _certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A self-signed certificate for this address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "FCM of the tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, secret = folder / "fcm.pem", folder / "fcm.key"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path, secret)
    context.set_alpn_protocols(["h2"])
    return context, path
