"""Sends e-mails by SMTP.

Before DATA the server cannot have accepted an e-mail, so any failure is retried; after DATA a lost connection leaves
the outcome unknown. A refusal of our host name, password or sender does not concern an e-mail: it is retried too.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from socket import gaierror
from types import UnionType

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from protocol.delivery.channels import Channel
from server.delivery.adapters import Gone, Outcome, Refused, Sent, TryLater
from server.delivery.channels.email.connections import Connections, reset
from server.delivery.channels.email.mime import BadAddress, Email, Sender, Wire, to_wire
from server.delivery.config import EmailConfig
from server.edge.adapter_error import AdapterError

#: For acquiring a connection and having the envelope accepted.
ENVELOPE_TIMEOUT_S = 25.0
#: For DATA; together with the envelope, less than the delivery worker's timeout.
DATA_TIMEOUT_S = 30.0

#: The server will close the connection.
_CLOSING = 421
#: Bad mailbox, bad system, moved, accepts no mail (RFC 3463, RFC 7505).
_GONE = frozenset({"5.1.1", "5.1.2", "5.1.6", "5.1.10"})
_ENHANCED = re.compile(r"5\.\d{1,3}\.\d{1,3}(?=\s|$)")
_QUEUED = re.compile(r"\b(?:queued as|id=)\s*([\w.-]{1,64})", re.IGNORECASE)


class _ConnectionLost(Exception):
    """The connection is unusable; ``reason`` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Smtp:
    """The adapter of a mail server.

    Args:
        now: the clock for the Date header.
    """

    channel = Channel.EMAIL
    #: Each outcome is stored as soon as it is known: SMTP has no idempotency key.
    batch_max = 1

    def __init__(self, config: EmailConfig, now: Callable[[], datetime]) -> None:
        self._config = config
        self._now = now
        self._sender = Sender(config.from_address, config.from_name)
        self._tls: ssl.SSLContext | None = None
        self._connections = Connections(self._connect)

    async def send(self, messages: Sequence[Email]) -> Sequence[Outcome]:
        """Send e-mails; returns one outcome for each, in order."""
        return [await self._send(message) for message in messages]

    async def check(self) -> str:
        """Connect, sign in and send NOOP. Raises: AdapterError."""
        config = self._config
        try:
            async with asyncio.timeout(ENVELOPE_TIMEOUT_S), self._connections.take(fresh=True) as connection:
                await connection.smtp.noop()
        except (SMTPException, OSError, TimeoutError) as error:
            raise AdapterError(f"{config.host}:{config.port}: {reason_of(error)}") from error
        signed_in = ", signed in" if config.username else ""
        return f"{config.host}:{config.port}, {_SECURITY[config.security]}{signed_in}"

    async def close(self) -> None:
        """Close connections."""
        await self._connections.close()

    async def _send(self, email: Email) -> Outcome:
        try:
            # It takes some milliseconds, so it does not run in the event loop.
            wire = await asyncio.to_thread(to_wire, email, self._sender, self._now())
        except BadAddress:
            return Refused("bad_address")
        data_begun = False
        try:
            async with asyncio.timeout(ENVELOPE_TIMEOUT_S) as timeout:

                def begin_data() -> None:
                    nonlocal data_begun
                    data_begun = True
                    timeout.reschedule(asyncio.get_running_loop().time() + DATA_TIMEOUT_S)

                return await self._transfer(wire, begin_data)
        except TimeoutError:
            return TryLater("timeout", unknown=data_begun)
        except _ConnectionLost as lost:
            return TryLater(lost.reason, unknown=data_begun)
        except (SMTPException, OSError) as error:
            return TryLater(reason_of(error), unknown=data_begun)

    async def _transfer(self, wire: Wire, begin_data: Callable[[], None]) -> Outcome:
        """Send an e-mail; if a reused connection is lost, try once with a new one. Raises as _converse."""
        reused = False
        try:
            async with self._connections.take() as connection:
                reused = connection.reused
                return await self._converse(connection.smtp, wire, begin_data)
        except _ConnectionLost:
            if not reused:
                raise
        async with self._connections.take(fresh=True) as connection:
            return await self._converse(connection.smtp, wire, begin_data)

    async def _converse(self, smtp: SMTP, wire: Wire, begin_data: Callable[[], None]) -> Outcome:
        """Send envelope and data. Raises: _ConnectionLost before DATA; SMTPException and OSError afterwards."""
        if wire.utf8 and not smtp.supports_extension("smtputf8"):
            return Refused("smtputf8_missing")
        options, encoding = (["SMTPUTF8"], "utf-8") if wire.utf8 else ([], "ascii")
        try:
            await smtp.mail(wire.sender, options=options, encoding=encoding)
            await smtp.rcpt(wire.recipient, encoding=encoding)
        except SMTPRecipientRefused as error:
            return await _refused(smtp, error, data_begun=False)
        except (SMTPException, OSError) as error:
            raise _ConnectionLost(reason_of(error)) from error
        begin_data()
        try:
            response = await smtp.data(wire.data)
        except SMTPDataError as error:
            return await _refused(smtp, error, data_begun=True)
        queued = _QUEUED.search(response.message)
        return Sent(queued[1] if queued else None)

    async def _connect(self) -> SMTP:
        config = self._config
        if config.security != "none" and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context, cafile=config.ca_path or None)
        smtp = SMTP(
            hostname=config.host,
            port=config.port,
            local_hostname=self._sender.domain,
            use_tls=config.security == "tls",
            start_tls=config.security == "starttls",
            tls_context=self._tls,
            timeout=None,
        )
        await smtp.connect()
        try:
            if config.username:
                await smtp.login(config.username, config.password)
            elif smtp.is_ehlo_or_helo_needed:
                await smtp.ehlo()
        except BaseException:
            smtp.close()
            raise
        return smtp


_SECURITY = {"starttls": "encrypted by STARTTLS", "tls": "encrypted", "none": "not encrypted"}


async def _refused(smtp: SMTP, error: SMTPRecipientRefused | SMTPDataError, *, data_begun: bool) -> Outcome:
    """The outcome of a refused recipient or e-mail. Afterwards the connection is reset or closed."""
    reason = reason_of(error)
    if not 400 <= error.code < 600:
        smtp.close()
        return TryLater("malformed", unknown=data_begun)
    if error.code == _CLOSING:
        smtp.close()
        return TryLater(reason)
    await reset(smtp)
    if error.code < 500:
        return TryLater(reason, recipient_specific=not data_begun)  # the recipient's server is busy or uses greylisting
    enhanced = _ENHANCED.match(error.message)
    return Gone(reason) if enhanced is not None and enhanced[0] in _GONE else Refused(reason)


def reason_of(error: BaseException) -> str:
    """A code for a failure, without the server's text, which may hold personal data."""
    if isinstance(error, SMTPResponseException) and 200 <= error.code < 600:
        return f"{'auth' if isinstance(error, SMTPAuthenticationError) else 'smtp'}_{error.code}"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error.__cause__, OSError):
        return reason_of(error.__cause__)
    return "disconnected" if isinstance(error, OSError) else "not_supported"


_REASONS: tuple[tuple[type[BaseException] | UnionType, str], ...] = (
    (TimeoutError, "timeout"),
    (SMTPResponseException, "malformed"),
    (ssl.SSLError, "tls"),
    (gaierror, "unknown_host"),
    (ConnectionRefusedError, "connection_refused"),
    (FileNotFoundError | PermissionError, "ca_path_unreadable"),
)
