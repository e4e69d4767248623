"""``/health``: the process runs. ``/ready``: it can take requests. For load balancers and operators."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

import msgspec
from aiohttp import web

from protocol.instants import ZONES_VERSION
from storage.database import Pool

#: How long the database may take to respond before the server is not ready.
DATABASE_TIMEOUT_S = 2.0


class Health:
    """Serves both endpoints.

    Args:
        draining: whether the server is about to stop.
        dead: names of the loops that failed and do not work yet again.
    """

    def __init__(
        self, pool: Pool, version: str, draining: Callable[[], bool], dead: Callable[[], Sequence[str]]
    ) -> None:
        self._pool = pool
        self._version = version
        self._draining = draining
        self._dead = dead
        self._began = monotonic()

    async def health(self, request: web.BaseRequest) -> web.StreamResponse:
        """200 as long as the process responds."""
        uptime_s = round(monotonic() - self._began, 1)
        return _json({"status": "ok", "version": self._version, "uptime_s": uptime_s, "tzdata": ZONES_VERSION})

    async def ready(self, request: web.BaseRequest) -> web.StreamResponse:
        """200 while commands can be decided, otherwise 503 with the reason."""
        dead = self._dead()
        checks = {
            "database": await self._database(),
            "draining": "yes" if self._draining() else "no",
            "tasks": f"dead: {', '.join(dead)}" if dead else "ok",
        }
        fine = checks["database"] == "ok" and not self._draining() and not dead
        return _json({"status": "ready" if fine else "not_ready", "checks": checks}, status=200 if fine else 503)

    async def _database(self) -> str:
        try:
            async with self._pool.acquire(timeout=DATABASE_TIMEOUT_S) as connection:
                try:
                    async with asyncio.timeout(DATABASE_TIMEOUT_S):
                        read_only = await connection.fetchval(
                            "SELECT current_setting('transaction_read_only')::boolean"
                        )
                except TimeoutError:
                    connection.terminate()  # else its release to the pool would wait for the response
                    raise
        except Exception as error:
            return type(error).__name__
        return "read_only" if read_only else "ok"


def _json(data: object, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json", headers=headers)
