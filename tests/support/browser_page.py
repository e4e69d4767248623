"""One page in a real Chromium, driven over the DevTools protocol."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.support.browser import CHROMIUM, TIMEOUT_S

_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


class Page:
    """A page that has loaded."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session = socket, session
        self._numbers = itertools.count(1)

    async def run(self, script: str) -> Any:
        """Run the body of an async function in the page; returns its JSON value. Fails if it throws."""
        expression = f"(async () => {{ {script} }})()"
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        said = await self.call("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol."""
        number = next(self._numbers)
        frame = {"id": number, "method": method, "params": params, "sessionId": self._session}
        return await _answer(self._socket, frame)


@asynccontextmanager
async def open_page(url: str, folder: Path) -> AsyncIterator[Page]:
    """Start a Chromium with a profile of its own, and open a page in it."""
    assert CHROMIUM is not None
    said = ["--headless", "--no-sandbox", "--disable-gpu", *_QUIET, f"--user-data-dir={folder / 'profile'}"]
    chromium = await asyncio.create_subprocess_exec(
        CHROMIUM, *said, "--remote-debugging-port=0", "about:blank", stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            async with connect(await _address(chromium), max_size=None) as socket:
                yield await _opened(socket, url)
    finally:
        chromium.terminate()
        await chromium.wait()


async def _address(chromium: asyncio.subprocess.Process) -> str:
    assert chromium.stderr is not None
    async for line in chromium.stderr:
        if found := re.search(rb"DevTools listening on (ws://\S+)", line):
            return found[1].decode()
    raise AssertionError("Chromium ended")


async def _opened(socket: ClientConnection, url: str) -> Page:
    created = await _answer(socket, {"id": 0, "method": "Target.createTarget", "params": {"url": "about:blank"}})
    attached = {"targetId": created["targetId"], "flatten": True}
    session = await _answer(socket, {"id": 0, "method": "Target.attachToTarget", "params": attached})
    page = Page(socket, session["sessionId"])
    await page.call("Page.enable")
    await page.call("Page.navigate", url=url)
    while json.loads(await socket.recv()).get("method") != "Page.loadEventFired":
        pass
    return page


async def _answer(socket: ClientConnection, frame: dict[str, Any]) -> Any:
    """Send one call and wait for its result; events on the way are ignored."""
    await socket.send(json.dumps(frame))
    while True:
        said = json.loads(await socket.recv())
        if said.get("id") == frame["id"] and said.get("sessionId") == frame.get("sessionId"):
            assert "error" not in said, said
            return said["result"]
