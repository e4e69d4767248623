"""A mail server that accepts e-mails, or misbehaves as scripted.

async with mail_server() as mail:
    smtp = Smtp(mail.config, now)
    mail.faults["DATA"] = [CUT, "451 4.3.0 not now"]      # the next two e-mails; the third one is accepted
"""

import asyncio
import ssl
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.delivery.config import EmailConfig

#: Closes the connection without a reply; after DATA it has received the whole e-mail.
CUT = "cut"
#: Never replies.
SILENCE = "silence"
#: Replies with what is not SMTP.
GARBAGE = "garbage"

USERNAME, PASSWORD = "guildwire", "open sesame"
Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class Taken:
    """One accepted e-mail."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    signed_in: bool
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        """The e-mail, parsed."""
        return message_from_bytes(self.data, policy=default)


@dataclass(eq=False)
class MailServer:
    """The accepted e-mails, and the scripted faults."""

    config: EmailConfig
    taken: list[Taken] = field(default_factory=list)
    #: How often each command came; ``connect`` counts connections.
    heard: Counter[str] = field(default_factory=Counter)
    #: Command, or ``connect`` → what happens the next times: CUT, SILENCE, GARBAGE, or a reply such as ``421 bye``.
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: The same, every time.
    always: dict[str, str] = field(default_factory=dict)
    #: Delay of the reply to DATA.
    delay_s: float = 0.0
    lines: set["_Line"] = field(default_factory=set)

    def cut_all(self) -> None:
        """Break every connection."""
        for line in list(self.lines):
            line.cut()

    def fault(self, command: str) -> str | None:
        """The fault for this command, if any."""
        self.heard[command] += 1
        coming = self.faults[command]
        return coming.pop(0) if coming else self.always.get(command)


class _Line(SMTP):
    """One connection."""

    def __init__(self, mail: MailServer, **options: Any) -> None:
        super().__init__(_Handler(mail), **options)
        self.mail = mail
        self.heard = "connect"
        self.mail.lines.add(self)

    def cut(self) -> None:
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()

    @property
    def encrypted(self) -> bool:
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is not None

    def connection_lost(self, error: Exception | None) -> None:
        self.mail.lines.discard(self)
        super().connection_lost(error)

    async def push(self, status: Any) -> None:
        said = status if isinstance(status, str) else status.decode()
        if said.startswith("220 ") and self.heard == "connect":
            self.heard = ""
            said = await self.instead("connect", said)
        await super().push(said)

    async def instead(self, command: str, said: str) -> str:
        """Reply, or produce the fault."""
        fault = self.mail.fault(command)
        if fault == CUT:
            self.cut()
        if fault in (CUT, SILENCE):
            await asyncio.Event().wait()
        if fault == GARBAGE:
            return "\x00\xff¡buenos días!\r\nthis is not SMTP"
        return fault or said

    async def smtp_NOOP(self, arg: str) -> None:  # noqa: N802
        await self.push(await self.instead("NOOP", "250 OK"))

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        await self.instead("QUIT", "")
        await super().smtp_QUIT(arg)


class _Handler:
    def __init__(self, mail: MailServer) -> None:
        self._mail = mail

    async def handle_MAIL(  # noqa: N802
        self, server: _Line, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = await server.instead("MAIL", "250 OK")
        if said.startswith("250"):
            envelope.mail_from = address
        return said

    async def handle_RCPT(  # noqa: N802
        self, server: _Line, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = await server.instead("RCPT", "250 OK")
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: _Line, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self._mail.delay_s)
        number = len(self._mail.taken) + 1
        said = await server.instead("DATA", f"250 2.0.0 OK: queued as T{number}")
        if said.startswith("250"):
            assert envelope.mail_from is not None
            self._mail.taken.append(
                Taken(
                    envelope.mail_from,
                    tuple(envelope.rcpt_tos),
                    cast(bytes, envelope.original_content),
                    bool(session.authenticated),
                    server.encrypted,
                )
            )
        return said


@asynccontextmanager
async def mail_server(
    security: Security = "none", folder: Path | None = None, *, password: str = "", utf8: bool = True
) -> AsyncIterator[MailServer]:
    """A mail server on a free port, without faults at first.

    Args:
        folder: where its certificate goes, unless ``security`` is none.
        password: the client's password; only PASSWORD is accepted. Empty: no sign-in.
        utf8: whether it understands addresses beyond ASCII.
    """
    ca_path = ""
    context: ssl.SSLContext | None = None
    if security != "none":
        assert folder is not None
        ca_path = str(_certificate(folder))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(ca_path, str(folder / "key.pem"))
    loop = asyncio.get_running_loop()
    options = {
        "hostname": "mail.test",
        "ident": "stand-in",
        "enable_SMTPUTF8": utf8,
        "tls_context": context if security == "starttls" else None,
        "auth_require_tls": security == "starttls",
        "authenticator": _authenticate,
        "loop": loop,
    }
    mail = MailServer(EmailConfig())
    server = await loop.create_server(
        lambda: _Line(mail, **options), "127.0.0.1", 0, ssl=context if security == "tls" else None
    )
    mail.config = EmailConfig(
        host="127.0.0.1",
        port=server.sockets[0].getsockname()[1],
        security=security,
        ca_path=ca_path,
        username=USERNAME if password else "",
        password=password,
        from_address="no-reply@guild.test",
        from_name="The Guild",
    )
    try:
        yield mail
    finally:
        server.close()
        mail.cut_all()
        await server.wait_closed()


def _authenticate(server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    fits = isinstance(data, LoginPassword) and data == LoginPassword(USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=fits, handled=False)


def _certificate(folder: Path) -> Path:
    """Create a self-signed certificate and its key; returns the certificate's file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(pem))
    return path
