"""A pool of SMTP connections: bounded, reused from one e-mail to the next, checked after a rest."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aiosmtplib import SMTP, SMTPException

#: Open connections; a caller that needs another one waits.
CONNECTIONS_MAX = 8
#: E-mails sent over one connection; many servers close it soon after.
EMAILS_PER_CONNECTION_MAX = 100
#: An idle connection is closed after this.
IDLE_MAX_S = 30.0
#: A connection idle for longer is checked before it is reused.
CHECK_AFTER_S = 5.0
#: How long a server may take for NOOP, RSET and QUIT.
CHECK_TIMEOUT_S = 5.0


@dataclass(slots=True, eq=False)
class Connection:
    """One connection, in use or idle."""

    smtp: SMTP
    emails: int = 0
    #: Since when it is idle, on the loop's clock.
    idle_since: float = 0.0
    #: Closes it if it stays idle.
    closing: asyncio.TimerHandle | None = None

    @property
    def reused(self) -> bool:
        """Whether it has sent an e-mail before: the server may have closed it since."""
        return self.emails > 0


class Connections:
    """The connections to one server.

    Args:
        connect: opens one that is ready to send.
    """

    def __init__(self, connect: Callable[[], Awaitable[SMTP]]) -> None:
        self._connect = connect
        self._free = asyncio.Semaphore(CONNECTIONS_MAX)
        self._idle: list[Connection] = []

    @asynccontextmanager
    async def take(self, *, fresh: bool = False) -> AsyncIterator[Connection]:
        """Acquire a connection for one e-mail; it is closed if the caller raises.

        Args:
            fresh: open a new one.
        """
        async with self._free:
            connection = None if fresh else await self._reusable()
            if connection is None:
                connection = Connection(await self._connect())
            try:
                yield connection
            except BaseException:
                connection.smtp.close()
                raise
            connection.emails += 1
            await self._release(connection)

    async def close(self) -> None:
        """Close idle connections with QUIT."""
        await asyncio.gather(*[_quit(self._take_idle(connection).smtp) for connection in list(self._idle)])

    async def _reusable(self) -> Connection | None:
        """An idle connection that still works, the most recently used first."""
        while self._idle:
            connection = self._take_idle(self._idle[-1])
            idle_s = asyncio.get_running_loop().time() - connection.idle_since
            if not connection.smtp.is_connected:
                connection.smtp.close()
            elif idle_s < CHECK_AFTER_S or await _is_alive(connection.smtp):
                return connection
            else:  # the others have been idle for longer
                for other in list(self._idle):
                    self._discard(other)
        return None

    async def _release(self, connection: Connection) -> None:
        if not connection.smtp.is_connected:
            connection.smtp.close()
        elif connection.emails >= EMAILS_PER_CONNECTION_MAX:
            await _quit(connection.smtp)
        else:
            loop = asyncio.get_running_loop()
            connection.idle_since = loop.time()
            connection.closing = loop.call_later(IDLE_MAX_S, self._discard, connection)
            self._idle.append(connection)

    def _take_idle(self, connection: Connection) -> Connection:
        self._idle.remove(connection)
        if connection.closing is not None:
            connection.closing.cancel()
        return connection

    def _discard(self, connection: Connection) -> None:
        self._take_idle(connection).smtp.close()


async def reset(smtp: SMTP) -> None:
    """Reset the session after a refused e-mail; closes the connection if that fails."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await smtp.rset()
    except (SMTPException, OSError, TimeoutError):
        smtp.close()


async def _is_alive(smtp: SMTP) -> bool:
    """Whether the server replies to NOOP; closes the connection if not, or if the call is cancelled."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await smtp.noop()
    except (SMTPException, OSError, TimeoutError):
        smtp.close()
        return False
    except BaseException:
        smtp.close()
        raise
    return True


async def _quit(smtp: SMTP) -> None:
    with suppress(SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await smtp.quit()
    smtp.close()
