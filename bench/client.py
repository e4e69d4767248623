"""What the load clients share: a closed loop's measured window, its latencies, and how a client reports.

A client is a process of its own. It reads its plan as JSON from standard input, and writes a line when its window
opens, one when it closes, and its ``Tally``. It is lean on purpose: what it spends is taken from the server's cores.
"""

import asyncio
import sys
from array import array
from collections.abc import Callable
from time import perf_counter, process_time
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

OPENED, CLOSED = "opened", "closed"
#: What is under way when the window closes may take so long to be answered.
DRAIN_TIMEOUT_S = 10.0
DRAIN_POLL_S = 0.01


class Histogram(Struct, frozen=True, kw_only=True):
    """What a client saw in its window."""

    #: Requests answered well.
    done: int
    seconds: float
    p50_s: float
    p99_s: float
    #: The client's own processor time.
    cpu_s: float
    #: Requests answered well in all, before and after the window too.
    done_in_all: int
    #: Whatever did not go as it should, and how often; the run counts only without any.
    wrong: dict[str, int]


class Window:
    """When to measure, and when to stop asking.

    ``latencies`` takes the seconds of every answer; those of before the window are forgotten as it opens.
    """

    def __init__(self, warmup_s: float, seconds: float) -> None:
        self.latencies = array("d")
        self.wrong: dict[str, int] = {}
        #: Unset once nothing more is to be asked.
        self.asking = True
        self._warmup_s = warmup_s
        self._seconds = seconds
        self._before = 0
        self._done = 0
        self._began_at = 0.0
        self._took_s = 0.0
        self._cpu_s = 0.0

    def failed(self, what: str) -> None:
        """Something did not go as it should."""
        self.wrong[what] = self.wrong.get(what, 0) + 1

    async def run(self, idle: Callable[[], bool]) -> None:
        """Let the time pass, then wait until nothing is under way."""
        await asyncio.sleep(self._warmup_s)
        self._open()
        await asyncio.sleep(self._seconds)
        self._close()
        deadline = perf_counter() + DRAIN_TIMEOUT_S
        while not idle() and perf_counter() < deadline:  # noqa: ASYNC110  # an event would cost each request
            await asyncio.sleep(DRAIN_POLL_S)

    def _open(self) -> None:
        self._before = len(self.latencies)
        self._began_at, self._cpu_s = perf_counter(), process_time()
        _say(OPENED)

    def _close(self) -> None:
        self.asking = False
        self._took_s, self._cpu_s = perf_counter() - self._began_at, process_time() - self._cpu_s
        self._done = len(self.latencies)
        _say(CLOSED)

    def tally(self) -> Histogram:
        """Add up."""
        counted = sorted(self.latencies[self._before : self._done]) or [0.0]
        return Histogram(
            done=self._done - self._before,
            seconds=self._took_s,
            p50_s=counted[len(counted) // 2],
            p99_s=counted[len(counted) * 99 // 100],
            cpu_s=self._cpu_s,
            done_in_all=len(self.latencies),
            wrong=self.wrong,
        )


def report(tally: Struct) -> None:
    """Hand the figures to whoever started this client."""
    _say(msgspec.json.encode(tally).decode())


def _say(line: str) -> None:
    print(line, flush=True)


def read_plan() -> bytes:
    """What this client is to do."""
    return sys.stdin.buffer.read()


def address_of(url: str) -> tuple[str, int]:
    """Where to connect."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
