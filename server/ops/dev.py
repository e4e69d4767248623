"""Endpoints of development mode: a clock that can be moved."""

from datetime import timedelta
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from server.edge.bodies import UnsupportedMediaType, read_json
from server.edge.decoding import decode_body
from server.edge.node import Node

ADVANCE_MAX_S = 400 * 24 * 3600


class Advance(Struct, frozen=True, forbid_unknown_fields=True):
    """How far to move the domain's clock."""

    advance_s: Annotated[float, Meta(ge=0, le=ADVANCE_MAX_S)]


_advance = msgspec.json.Decoder(Advance)


class MovableClock:
    """``GET /dev/clock`` shows the domain's time; ``POST`` with ``{"advance_s": 86400}`` moves it forward by a day."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def show(self, request: web.BaseRequest) -> web.StreamResponse:
        """Show the time of the domain's clock."""
        clock = self._node.clock
        body = {"now": clock.now(), "offset_s": clock.offset.total_seconds()}
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")

    async def advance(self, request: web.BaseRequest) -> web.StreamResponse:
        """Move the clock forward; timers that become due fire. Raises: Malformed, Invalid, UnsupportedMediaType."""
        if "Content-Type" not in request.headers:  # a page of another site may send that without a preflight
            raise UnsupportedMediaType(header="Content-Type", supported="application/json; charset=utf-8")
        body = decode_body(_advance, await read_json(request))
        await self._node.advance(timedelta(seconds=body.advance_s))
        return await self.show(request)
