"""``GET /v1/events``: a user's numbered events without a WebSocket, as an event stream or by long polling.

``Accept`` chooses between the two. The token is in the header and never in the URL.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf

from aiohttp.web import BaseRequest, Response, StreamResponse

from protocol.errors import RETRY_AFTER_S, Unavailable
from protocol.frames import Hello, Position, parse_position
from protocol.http_events import PollParams, StreamParams
from protocol.registry import Route
from protocol.roles import Principal
from server.edge.addresses import limited_as
from server.edge.decoding import QueryDecoder
from server.edge.event_route import EVENTS_PATH, JSON_TYPE, LAST_EVENT_ID, STREAM_TYPE
from server.edge.exchange import EXCHANGE
from server.edge.gate import Gate
from server.edge.guards import invalid
from server.edge.handlers import JSON_HEADERS
from server.edge.problems import NotAcceptable
from server.edge.rates import Limiters
from server.live.connection.event_stream import EventStream, SseCodec
from server.live.connection.long_poll import LongPoll
from server.live.hub.hub import Hub

#: Media types of an Accept header that are read; the rest is ignored.
ACCEPTED_MAX = 16
SINCE_MAX = 64

#: Proxies must neither store nor buffer the stream.
_STREAM_HEADERS = {
    "Content-Type": STREAM_TYPE,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "Connection": "close",
    "Vary": "Accept",
}
_PAGE_HEADERS = {**JSON_HEADERS, "Vary": "Accept"}


class EventsEndpoint:
    """Serves the route.

    Args:
        authenticate: token → principal. Raises: Unauthenticated.
    """

    def __init__(self, hub: Hub, authenticate: Callable[[str], Principal], limiters: Limiters) -> None:
        self._hub = hub
        self._gate = Gate(authenticate, limiters)
        self._read_stream = QueryDecoder(StreamParams, Route("GET", EVENTS_PATH))
        self._read_poll = QueryDecoder(PollParams, Route("GET", EVENTS_PATH))
        # Pings are comments, which clients do not answer.
        self._stream_limits = replace(hub.limits, pong_s=inf)
        self._codec = SseCodec("")

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Serve the route.

        Raises: Unauthenticated, NotAcceptable, Invalid, Malformed, LimitReached, Busy, Unavailable before the stream.
        """
        principal = self._gate.principal(request)
        self._gate.limiters.query(principal.user_id)
        media_type = choose_media_type(request.headers.getall("Accept", []))
        if self._hub.draining:
            raise Unavailable(retry_after_s=RETRY_AFTER_S)
        with self._hub.limiter.entered(limited_as(request[EXCHANGE].address)):
            if media_type == STREAM_TYPE:
                return await self._stream(request, principal)
            return await self._poll(request)

    async def _stream(self, request: BaseRequest, principal: Principal) -> StreamResponse:
        asked: StreamParams = self._read_stream(request.rel_url.raw_query_string, ())
        since = _since(request, asked.since)
        if request.method == "HEAD":
            return Response(headers=_STREAM_HEADERS)
        head = await self._hub.log.position(principal.user_id)
        if self._codec.epoch != head.epoch:
            self._codec = SseCodec(head.epoch)
        response = StreamResponse(headers=_STREAM_HEADERS)
        response.force_close()
        await request[EXCHANGE].start(request, response)
        writer, transport = await response.prepare(request), request.transport
        if transport is None or writer is None:
            return response
        stream = EventStream(
            hub=self._hub,
            codec=self._codec,
            limits=self._stream_limits,
            hello=_hello(request, since),
            request=request,
            writer=writer,
            transport=transport,
        )
        await self._hub.serve(stream)
        return response

    async def _poll(self, request: BaseRequest) -> StreamResponse:
        asked: PollParams = self._read_poll(request.rel_url.raw_query_string, ())
        since = _since(request, asked.since)
        if request.method == "HEAD":
            return Response(headers=_PAGE_HEADERS)
        poll = LongPoll(
            hub=self._hub,
            limits=self._hub.limits,
            hello=_hello(request, since),
            request=request,
            wait_s=asked.wait_s,
            events_max=asked.limit,
        )
        await self._hub.serve(poll)
        return Response(body=poll.page(), headers=_PAGE_HEADERS)


def choose_media_type(accept: list[str]) -> str:
    """Choose the event stream if ``Accept`` names it, else the JSON page. Raises: NotAcceptable."""
    offered: dict[str, float] = {}
    for element in ",".join(accept).split(",")[:ACCEPTED_MAX]:
        name, *parameters = (part.strip().lower() for part in element.split(";"))
        if name:
            offered[name] = _quality(parameters)
    stream = offered.get(STREAM_TYPE, 0.0)
    page = max((offered.get(name, 0.0) for name in (JSON_TYPE, "application/*", "*/*")), default=0.0)
    if stream and stream >= offered.get(JSON_TYPE, 0.0):
        return STREAM_TYPE
    if page or not offered:
        return JSON_TYPE
    if offered.get("text/*"):
        return STREAM_TYPE
    raise NotAcceptable(supported=[STREAM_TYPE, JSON_TYPE])


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def _hello(request: BaseRequest, since: Position | None) -> Hello:
    """The hello that a WebSocket would send."""
    token = request.headers["Authorization"].partition(" ")[2].strip()
    return Hello(token=token, since=None if since is None else str(since))


def _since(request: BaseRequest, since: str | None) -> Position | None:
    """The position to resume from: of the header, else of the URL. Raises: Invalid."""
    last = request.headers.get(LAST_EVENT_ID)
    return _parse_since(LAST_EVENT_ID, last) if last else _parse_since("since", since)


def _parse_since(name: str, text: str | None) -> Position | None:
    """Parse a position. Raises: Invalid, with the name of its source."""
    if text is None:
        return None
    position = parse_position(text) if len(text) <= SINCE_MAX else None
    if position is None:
        raise invalid({name: "bad_format"}, note="epoch:seq, as the last event had it")
    return position
