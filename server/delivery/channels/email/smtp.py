"""Brings letters to a mail server by SMTP.

Until DATA nothing can have been taken, so whatever goes wrong is simply tried again; from then on a cut leaves it
unknown. A refusal of our own name, password or sender says nothing about a letter: that is tried later too.
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
from server.delivery.channels.email.connections import Connections, start_over
from server.delivery.channels.email.mime import BadAddress, Email, Sender, Wire, to_wire
from server.delivery.config import EmailConfig
from server.edge.adapter_error import AdapterError

#: How long it may take to get a connection and have the envelope accepted.
ENVELOPE_TIMEOUT_S = 25.0
#: How long the server may take for the letter itself; together with the envelope, less than a courier waits.
DATA_TIMEOUT_S = 30.0

#: The server is about to close the connection.
_CLOSING = 421
#: Bad mailbox, bad system, moved, never takes mail (RFC 3463, RFC 7505).
_GONE = frozenset({"5.1.1", "5.1.2", "5.1.6", "5.1.10"})
_ENHANCED = re.compile(r"5\.\d{1,3}\.\d{1,3}(?=\s|$)")
_QUEUED = re.compile(r"\b(?:queued as|id=)\s*([\w.-]{1,64})", re.IGNORECASE)


class _Cut(Exception):
    """The connection is of no use any more; ``reason`` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Smtp:
    """A mail server that takes our letters.

    Args:
        now: the clock for a letter's date.
    """

    channel = Channel.EMAIL
    #: Each is noted as soon as it is sent: SMTP knows no idempotency key.
    batch_max = 1

    def __init__(self, config: EmailConfig, now: Callable[[], datetime]) -> None:
        self._config = config
        self._now = now
        self._sender = Sender(config.from_address, config.from_name)
        self._tls: ssl.SSLContext | None = None
        self._connections = Connections(self._connect)

    async def send(self, messages: Sequence[Email]) -> Sequence[Outcome]:
        """Bring letters to the server; answers one outcome for each, in order."""
        return [await self._send(message) for message in messages]

    async def check(self) -> str:
        """Connect, greet, sign in, and ask for nothing. Raises: AdapterError."""
        config = self._config
        try:
            async with asyncio.timeout(ENVELOPE_TIMEOUT_S), self._connections.take(fresh=True) as connection:
                await connection.smtp.noop()
        except (SMTPException, OSError, TimeoutError) as error:
            raise AdapterError(f"{config.host}:{config.port}: {reason_of(error)}") from error
        signed_in = ", signed in" if config.username else ""
        return f"{config.host}:{config.port}, {_SECURITY[config.security]}{signed_in}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._connections.close()

    async def _send(self, email: Email) -> Outcome:
        try:
            # Some milliseconds, which the loop has better use for.
            wire = await asyncio.to_thread(to_wire, email, self._sender, self._now())
        except BadAddress:
            return Refused("bad_address")
        handed_over = False
        try:
            async with asyncio.timeout(ENVELOPE_TIMEOUT_S) as limit:

                def hand_over() -> None:
                    nonlocal handed_over
                    handed_over = True
                    limit.reschedule(asyncio.get_running_loop().time() + DATA_TIMEOUT_S)

                return await self._transfer(wire, hand_over)
        except TimeoutError:
            return TryLater("timeout", unknown=handed_over)
        except _Cut as cut:
            return TryLater(cut.reason, unknown=handed_over)
        except (SMTPException, OSError) as error:
            return TryLater(reason_of(error), unknown=handed_over)

    async def _transfer(self, wire: Wire, hand_over: Callable[[], None]) -> Outcome:
        """Send a letter; a connection that was kept and turns out to be dead is replaced once. Raises as _converse."""
        was_kept = False
        try:
            async with self._connections.take() as connection:
                was_kept = connection.kept
                return await self._converse(connection.smtp, wire, hand_over)
        except _Cut:
            if not was_kept:
                raise
        async with self._connections.take(fresh=True) as connection:
            return await self._converse(connection.smtp, wire, hand_over)

    async def _converse(self, smtp: SMTP, wire: Wire, hand_over: Callable[[], None]) -> Outcome:
        """Raises: _Cut, before the letter is handed over; SMTPException and OSError afterwards."""
        if wire.utf8 and not smtp.supports_extension("smtputf8"):
            return Refused("smtputf8_missing")
        options, encoding = (["SMTPUTF8"], "utf-8") if wire.utf8 else ([], "ascii")
        try:
            await smtp.mail(wire.sender, options=options, encoding=encoding)
            await smtp.rcpt(wire.recipient, encoding=encoding)
        except SMTPRecipientRefused as error:
            return await _refused(smtp, error, handed_over=False)
        except (SMTPException, OSError) as error:
            raise _Cut(reason_of(error)) from error
        hand_over()
        try:
            response = await smtp.data(wire.data)
        except SMTPDataError as error:
            return await _refused(smtp, error, handed_over=True)
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


async def _refused(smtp: SMTP, error: SMTPRecipientRefused | SMTPDataError, *, handed_over: bool) -> Outcome:
    """What the refusal of a recipient or of a letter means; the connection is ready for the next one, or closed."""
    reason = reason_of(error)
    if not 400 <= error.code < 600:
        smtp.close()
        return TryLater("malformed", unknown=handed_over)
    if error.code == _CLOSING:
        smtp.close()
        return TryLater(reason)
    await start_over(smtp)
    if error.code < 500:
        return TryLater(reason, alone=not handed_over)  # a recipient's server is busy, or greets new ones so
    enhanced = _ENHANCED.match(error.message)
    return Gone(reason) if enhanced is not None and enhanced[0] in _GONE else Refused(reason)


def reason_of(error: BaseException) -> str:
    """A code for what went wrong; nothing that a server wrote, which may name people."""
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
