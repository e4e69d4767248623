"""W1's client: connections that create bookings in a closed loop, one durable booking a request."""

import asyncio
from array import array
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop
from msgspec import Struct

from bench.client import Window, WindowResult, address_of, read_plan, report

CONNECT_TIMEOUT_S = 10.0
#: Consecutive requests book times this many steps apart, so that they spread over the calendar.
STRIDE = 2_741

_CREATED = b"HTTP/1.1 201 "
_LENGTH = b"Content-Length: "


class BookPlan(Struct, frozen=True, kw_only=True):
    """The parameters of a run."""

    url: str
    warmup_s: float
    seconds: float
    connections: int
    #: Access tokens of customers.
    tokens: list[str]
    #: (service, staff member) pairs.
    offers: list[tuple[str, str]]
    #: Start times that do not overlap; each is booked at most once for an offer.
    starts: list[str]
    #: Makes this run's command ids different from every other's.
    run: str


class Requests:
    """Makes the requests of the run, each for a free slot of its own."""

    def __init__(self, plan: BookPlan) -> None:
        host = urlsplit(plan.url).netloc
        body = b'{"service_id":"%s","staff_id":"%s","start_at":"%s"}'
        length = len(body % tuple(part.encode() for part in (*plan.offers[0], plan.starts[0])))
        self._heads = [
            (
                f"POST /bookings/ HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {length}\r\nIdempotency-Key: {plan.run}-"
            ).encode()
            for token in plan.tokens
        ]
        self._bodies = [(body % (service.encode(), staff.encode(), b"|")).split(b"|") for service, staff in plan.offers]
        self._starts = [start.encode() for start in plan.starts]
        self._made = 0

    def make(self) -> bytes:
        """Make the next request. Raises: IndexError when no slot is left."""
        n = self._made
        self._made = n + 1
        turn, offer = divmod(n, len(self._bodies))
        if turn >= len(self._starts):
            raise IndexError("no slot is left: add staff, or measure for a shorter time")
        before, after = self._bodies[offer]
        start = self._starts[turn * STRIDE % len(self._starts)]
        return b"%b%d\r\n\r\n%b%b%b" % (self._heads[n % len(self._heads)], n, before, start, after)


class Booker(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: Requests, window: Window) -> None:
        self._requests = requests
        self._window = window
        self._latencies: array[float] = window.latencies
        self._held = b""
        self._sent_at = 0.0
        self.waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self) -> None:
        """Send the next request."""
        self.waits = True
        self._sent_at = perf_counter()
        self._transport.write(self._requests.make())

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        head = data.find(b"\r\n\r\n")
        at = data.find(_LENGTH, 0, head)
        if head < 0 or len(data) < head + 4 + int(data[at + len(_LENGTH) : data.find(b"\r", at)]):
            self._held = data
            return
        self._held = b""
        self.waits = False
        if data.startswith(_CREATED):
            self._latencies.append(perf_counter() - self._sent_at)
        else:
            self._window.failed(data[head + 4 :][:200].decode(errors="replace"))
        if self._window.open:
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._window.open:
            self._window.failed(f"connection lost: {exc}")


async def book(plan: BookPlan) -> WindowResult:
    """Run the plan."""
    window, requests, address = Window(plan.warmup_s, plan.seconds), Requests(plan), address_of(plan.url)
    loop = asyncio.get_running_loop()
    bookers = []
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        for _ in range(plan.connections):
            made = await loop.create_connection(lambda: Booker(requests, window), *address)
            bookers.append(made[1])
    for booker in bookers:
        booker.send()
    await window.run(idle=lambda: not any(booker.waits for booker in bookers))
    return window.result()


if __name__ == "__main__":
    report(uvloop.run(book(msgspec.json.decode(read_plan(), type=BookPlan))))
