"""Connections to a mail server that are kept from one letter to the next: few, and none that has gone stale."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aiosmtplib import SMTP, SMTPException

#: Connections at once; who needs another one waits.
CONNECTIONS_MAX = 8
#: Letters that one connection carries; many servers cut it soon after.
LETTERS_MAX = 100
#: A connection that nobody needed for so long is closed.
IDLE_MAX_S = 30.0
#: One that rested for so long is asked whether it still works.
CHECK_AFTER_S = 5.0
#: How long a server may take for NOOP, RSET and QUIT.
CHECK_TIMEOUT_S = 5.0


@dataclass(slots=True, eq=False)
class Connection:
    """One connection, in somebody's hands or resting."""

    smtp: SMTP
    letters: int = 0
    #: When it came to rest, by the loop's clock.
    rests_since: float = 0.0
    #: Closes it unless it is needed before.
    closing: asyncio.TimerHandle | None = None

    @property
    def kept(self) -> bool:
        """Whether it has carried a letter before: the server may have gone meanwhile."""
        return self.letters > 0


class Connections:
    """The connections to one server.

    Args:
        connect: makes one that is ready for letters.
    """

    def __init__(self, connect: Callable[[], Awaitable[SMTP]]) -> None:
        self._connect = connect
        self._free = asyncio.Semaphore(CONNECTIONS_MAX)
        self._resting: list[Connection] = []

    @asynccontextmanager
    async def take(self, *, fresh: bool = False) -> AsyncIterator[Connection]:
        """Have a connection for one letter; what is left in the middle of something is closed.

        Args:
            fresh: none that was kept.
        """
        async with self._free:
            connection = None if fresh else await self._kept()
            if connection is None:
                connection = Connection(await self._connect())
            try:
                yield connection
            except BaseException:
                connection.smtp.close()
                raise
            connection.letters += 1
            await self._give_back(connection)

    async def close(self) -> None:
        """Say goodbye on all that rest."""
        await asyncio.gather(*[_quit(self._wake(connection).smtp) for connection in list(self._resting)])

    async def _kept(self) -> Connection | None:
        """One that was kept and still works; the last one used is the likeliest."""
        while self._resting:
            connection = self._wake(self._resting[-1])
            rested_s = asyncio.get_running_loop().time() - connection.rests_since
            if not connection.smtp.is_connected:
                connection.smtp.close()
            elif rested_s < CHECK_AFTER_S or await _answers(connection.smtp):
                return connection
            else:  # the others rested for longer
                for other in list(self._resting):
                    self._drop(other)
        return None

    async def _give_back(self, connection: Connection) -> None:
        if not connection.smtp.is_connected:
            connection.smtp.close()
        elif connection.letters >= LETTERS_MAX:
            await _quit(connection.smtp)
        else:
            loop = asyncio.get_running_loop()
            connection.rests_since = loop.time()
            connection.closing = loop.call_later(IDLE_MAX_S, self._drop, connection)
            self._resting.append(connection)

    def _wake(self, connection: Connection) -> Connection:
        self._resting.remove(connection)
        if connection.closing is not None:
            connection.closing.cancel()
        return connection

    def _drop(self, connection: Connection) -> None:
        self._wake(connection).smtp.close()


async def start_over(smtp: SMTP) -> None:
    """Have the server forget the letter that it refused; if it does not, the connection is closed."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await smtp.rset()
    except (SMTPException, OSError, TimeoutError):
        smtp.close()


async def _answers(smtp: SMTP) -> bool:
    """Whether the server still answers; if it does not, or nobody waits for it any more, the connection is closed."""
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
