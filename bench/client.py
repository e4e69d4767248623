"""Shared by the load clients: the measuring window of a closed loop, its latencies, and the report.

A client is a process of its own. It reads its plan as JSON from standard input, and writes a line when its window
opens, one when it closes, and its result. It is lean on purpose: it shares the cores with the server.
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
#: How long requests that are under way when the window closes may take.
DRAIN_TIMEOUT_S = 10.0
DRAIN_POLL_S = 0.01


class WindowResult(Struct, frozen=True, kw_only=True):
    """What a client measured in its window."""

    #: Successful requests.
    done: int
    seconds: float
    p50_s: float
    p99_s: float
    #: The client's own CPU time.
    cpu_s: float
    #: All successful requests, including those before and after the window.
    done_in_all: int
    #: Error → count; a run is valid only without errors.
    wrong: dict[str, int]


class Window:
    """The time of measuring; clients send requests while it is ``open``, and during the warm-up before.

    ``latencies`` takes the seconds of every response; only those within the window are counted.
    """

    def __init__(self, warmup_s: float, seconds: float) -> None:
        self.latencies = array("d")
        self.wrong: dict[str, int] = {}
        #: False once no more requests are to be sent.
        self.open = True
        self._warmup_s = warmup_s
        self._seconds = seconds
        self._before = 0
        self._done = 0
        self._began_at = 0.0
        self._took_s = 0.0
        self._cpu_s = 0.0

    def failed(self, what: str) -> None:
        """Count an error."""
        self.wrong[what] = self.wrong.get(what, 0) + 1

    async def run(self, idle: Callable[[], bool]) -> None:
        """Wait for warm-up and window, then until no request is under way."""
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
        self.open = False
        self._took_s, self._cpu_s = perf_counter() - self._began_at, process_time() - self._cpu_s
        self._done = len(self.latencies)
        _say(CLOSED)

    def result(self) -> WindowResult:
        """Compute the result."""
        counted = sorted(self.latencies[self._before : self._done]) or [0.0]
        return WindowResult(
            done=self._done - self._before,
            seconds=self._took_s,
            p50_s=counted[len(counted) // 2],
            p99_s=counted[len(counted) * 99 // 100],
            cpu_s=self._cpu_s,
            done_in_all=len(self.latencies),
            wrong=self.wrong,
        )


def report(result: Struct) -> None:
    """Write the result for the process that started this client."""
    _say(msgspec.json.encode(result).decode())


def _say(line: str) -> None:
    print(line, flush=True)


def read_plan() -> bytes:
    """Read the plan from standard input."""
    return sys.stdin.buffer.read()


def address_of(url: str) -> tuple[str, int]:
    """Host and port of a URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
