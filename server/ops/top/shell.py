"""The shell of ``server top``: scrapes a server repeatedly, and shows each frame."""

import asyncio
import signal
from time import monotonic

import aiohttp
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from server.ops.top.frame import make_frame
from server.ops.top.scrape import Change, Scrape, read_scrape
from server.ops.top.screen import show

#: How long a server may take to respond.
ANSWER_TIMEOUT_S = 5.0
INTERVAL_MIN_S = 0.1
#: Errors of a scrape while the server is away, or is another program.
TROUBLE = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


class Top:
    """One terminal that shows one server."""

    def __init__(self, url: str, interval_s: float, console: Console) -> None:
        self._url = url.rstrip("/")
        self._interval_s = max(INTERVAL_MIN_S, interval_s)
        self._console = console
        self._stop = asyncio.Event()
        self._before: Scrape | None = None

    async def once(self) -> int:
        """Print one frame, from two scrapes; returns the exit code."""
        async with self._session() as http:
            try:
                self._before = await self._look(http)
                await asyncio.sleep(self._interval_s)
                self._console.print(await self._next(http))
            except TROUBLE as error:
                self._console.print(self._away(error))
                return 1
        return 0

    async def run(self) -> int:
        """Show frame after frame until SIGINT or SIGTERM; retry a server that is away."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        live = Live(console=self._console, screen=self._console.is_terminal, auto_refresh=False)
        async with self._session() as http:
            with live:
                while not self._stop.is_set():
                    try:
                        live.update(await self._next(http), refresh=True)
                    except TROUBLE as error:
                        self._before = None
                        live.update(self._away(error), refresh=True)
                    await self._pause()
        return 0

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._interval_s):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _next(self, http: aiohttp.ClientSession) -> RenderableType:
        before, after = self._before, await self._look(http)
        self._before = after
        if before is None:
            return Text(f"guildwire {self._url}: looked at once, the next look gives the figures")
        return show(self._url, await self._health(http), make_frame(Change(before, after)))

    async def _look(self, http: aiohttp.ClientSession) -> Scrape:
        async with http.get(f"{self._url}/metrics") as answer:
            answer.raise_for_status()
            page = await answer.text()
        return read_scrape(page, monotonic())

    async def _health(self, http: aiohttp.ClientSession) -> str:
        async with http.get(f"{self._url}/ready") as answer:
            return "ready" if answer.status == 200 else f"not ready ({answer.status})"

    def _away(self, error: Exception) -> Text:
        return Text(f"guildwire {self._url}: no answer ({type(error).__name__}: {error})", style="red")

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S))
