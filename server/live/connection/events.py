"""``GET /v1/events``: one's own numbered events without a WebSocket, as an event stream or by long polling.

Which of the two is said by ``Accept``. The token comes in the header and never in the URL.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

from aiohttp.web import BaseRequest, Response, StreamResponse

from protocol.errors import RETRY_AFTER_S, Unavailable
from protocol.frames import Hello, Position, parse_position
from protocol.listening import PollAsked, StreamAsked
from protocol.registry import Route
from protocol.roles import Principal
from server.edge.decoding import QueryDecoder
from server.edge.exchange import EXCHANGE
from server.edge.gate import Gate
from server.edge.guards import invalid
from server.edge.handlers import JSON_HEADERS
from server.edge.problems import NotAcceptable
from server.edge.rates import Limiters
from server.live.connection.codec import JSON, Codec
from server.live.connection.event_stream import MEDIA_TYPE, EventStream, SseCodec
from server.live.connection.long_poll import Poll
from server.live.hub.hub import Hub
from server.live.limits import Limits

PATH = "/v1/events"
JSON_TYPE = "application/json"
#: Media types of an Accept header that are looked at.
ACCEPTED_MAX = 16
SINCE_MAX = 64
LAST_EVENT_ID = "Last-Event-ID"

#: Nobody on the way may keep the stream, or hold it back.
_STREAM_HEADERS = {
    "Content-Type": MEDIA_TYPE,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "Connection": "close",
    "Vary": "Accept",
}
_PAGE_HEADERS = {**JSON_HEADERS, "Vary": "Accept"}


class Events:
    """Serves the route.

    Args:
        authenticate: token → principal. Raises: Unauthenticated.
    """

    def __init__(self, hub: Hub, authenticate: Callable[[str], Principal], limiters: Limiters) -> None:
        self._hub = hub
        self._gate = Gate(authenticate, limiters)
        self._read_stream = QueryDecoder(StreamAsked, Route("GET", PATH))
        self._read_poll = QueryDecoder(PollAsked, Route("GET", PATH))
        # Comments keep the line open; nobody answers them.
        self._stream_limits = replace(hub.limits, pong_s=inf)
        self._codec = SseCodec("")

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Serve the route.

        Raises: Unauthenticated, NotAcceptable, Invalid, Malformed, LimitReached, Busy, Unavailable before the stream.
        """
        principal = self._gate.principal(request)
        self._gate.limiters.query(principal.user_id)
        wanted = wanted_type(request.headers.getall("Accept", []))
        if self._hub.draining:
            raise Unavailable(retry_after_s=RETRY_AFTER_S)
        with self._hub.place(request):
            if wanted == MEDIA_TYPE:
                return await self._stream(request, principal)
            return await self._poll(request)

    async def _stream(self, request: BaseRequest, principal: Principal) -> StreamResponse:
        asked: StreamAsked = self._read_stream(request.rel_url.raw_query_string, ())
        since = _since(request, asked.since)
        if request.method == "HEAD":
            return Response(headers=_STREAM_HEADERS)
        head = await self._hub.ports.log.position(principal.user_id)
        if self._codec.epoch != head.epoch:
            self._codec = SseCodec(head.epoch)
        response = StreamResponse(headers=_STREAM_HEADERS)
        response.force_close()
        await request[EXCHANGE].start(request, response)
        writer, transport = await response.prepare(request), request.transport
        if transport is None or writer is None:
            return response
        stream = EventStream(
            request=request,
            writer=writer,
            transport=transport,
            **self._session(request, "sse", self._codec, since, self._stream_limits),
        )
        await self._hub.serve(stream)
        return response

    async def _poll(self, request: BaseRequest) -> StreamResponse:
        asked: PollAsked = self._read_poll(request.rel_url.raw_query_string, ())
        since = _since(request, asked.since)
        if request.method == "HEAD":
            return Response(headers=_PAGE_HEADERS)
        poll = Poll(
            request=request,
            wait_s=asked.wait_s,
            limit=asked.limit,
            **self._session(request, "poll", JSON, since, self._hub.limits),
        )
        await self._hub.serve(poll)
        return Response(body=poll.page(), headers=_PAGE_HEADERS)

    def _session(
        self, request: BaseRequest, transport: str, codec: Codec, since: Position | None, limits: Limits
    ) -> dict[str, Any]:
        """What every listener is made of."""
        token = request.headers["Authorization"].partition(" ")[2].strip()
        hub = self._hub
        return {
            "session": hub.new_session(codec, limits),
            "codec": codec,
            "traffic": hub.traffic[transport],
            "hello": Hello(token=token, since=None if since is None else str(since)),
            "ports": hub.ports,
            "hub": hub,
            "limits": limits,
            "wall": hub.wall,
        }


def wanted_type(headers: list[str]) -> str:
    """Choose the event stream if it is named, else the page. Raises: NotAcceptable."""
    offered: dict[str, float] = {}
    for wish in ",".join(headers).split(",")[:ACCEPTED_MAX]:
        name, *parameters = (part.strip().lower() for part in wish.split(";"))
        if name:
            offered[name] = _quality(parameters)
    stream = offered.get(MEDIA_TYPE, 0.0)
    page = max((offered.get(name, 0.0) for name in (JSON_TYPE, "application/*", "*/*")), default=0.0)
    if stream and stream >= offered.get(JSON_TYPE, 0.0):
        return MEDIA_TYPE
    if page or not offered:
        return JSON_TYPE
    if offered.get("text/*"):
        return MEDIA_TYPE
    raise NotAcceptable(supported=[MEDIA_TYPE, JSON_TYPE])


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def _since(request: BaseRequest, asked: str | None) -> Position | None:
    """Where to go on: by the header, else by the URL. Raises: Invalid."""
    last = request.headers.get(LAST_EVENT_ID)
    return _cursor(LAST_EVENT_ID, last) if last else _cursor("since", asked)


def _cursor(name: str, text: str | None) -> Position | None:
    """Read a position. Raises: Invalid, naming where it came from."""
    if text is None:
        return None
    position = parse_position(text) if len(text) <= SINCE_MAX else None
    if position is None:
        raise invalid({name: "bad_format"}, note="epoch:seq, as the last event had it")
    return position
