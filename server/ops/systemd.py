"""Reports to systemd (``sd_notify(3)``): ready, stopping, and that the event loop works."""

import asyncio
import os
import socket
from collections.abc import Mapping

import structlog

log = structlog.get_logger()

READY, STOPPING, WATCHDOG = b"READY=1", b"STOPPING=1", b"WATCHDOG=1"


class Systemd:
    """The service manager that started this process; without one, nothing is sent.

    Args:
        environ: with NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        #: A name that begins with ``@`` is in the abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_s = _watchdog_s(environ) if address else None

    def notify(self, state: bytes) -> None:
        """Send one state; a failure is logged, since the server works without systemd."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.sendto(state, self._address)
        except OSError as error:
            log.warning("systemd.not_notified", state=state.decode(), error=str(error))

    async def watch(self) -> None:
        """Report that the event loop works, twice in each watchdog interval, until cancelled."""
        if self._watchdog_s is None:
            return
        while True:
            self.notify(WATCHDOG)
            await asyncio.sleep(self._watchdog_s / 2)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """The watchdog's interval; None if there is none, or if it is for another process."""
    usec = environ.get("WATCHDOG_USEC", "")
    if not usec.isdecimal() or int(usec) == 0 or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(usec) / 1_000_000
