"""``GET /v1/events`` in the OpenAPI document: two media types, one cursor."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from protocol.errors import (
    Busy,
    GuildwireError,
    Internal,
    Invalid,
    LimitReached,
    Malformed,
    Unauthenticated,
    Unavailable,
)
from protocol.http_events import EventPage, PollParams
from server.edge import problems
from server.edge.event_route import EVENTS_PATH, JSON_TYPE, LAST_EVENT_ID, STREAM_TYPE
from server.edge.problems import NotAcceptable
from server.rest.schemas import Schemas

Json = dict[str, Any]

_REFUSALS = (Malformed, Unauthenticated, NotAcceptable, Invalid, LimitReached, Internal, Busy, Unavailable)
_HEADERS = {401: "WWWAuthenticate", 429: "RetryAfter", 503: "RetryAfter"}
_NAMES = {"WWWAuthenticate": "WWW-Authenticate", "RetryAfter": "Retry-After"}
_ABOUT = """\
For clients that cannot hold a WebSocket. The cursor is that of the socket: each goes on where another ended.

* `Accept: text/event-stream`: Server-Sent Events. `event` is the event's type, or the frame's kind (`welcome`, `error`,
  `bye`); `data` is the frame of the socket as JSON, `id` the cursor. First comes `welcome`; `bye` comes
  last, if the server ends it.
* `Accept: application/json`: a page of events, at once if there are any, else with the first one, else an empty one.

`since`, or `Last-Event-ID`, which goes before it, is all or nothing: `resumed` brings every missed event, `reset` says
that a fresh snapshot is needed.

For: everybody who is signed in.
"""


def events_path() -> Mapping[str, Json]:
    """The path item."""
    schemas = Schemas([EventPage, PollParams], {})
    page = _inlined(schemas.ref(EventPage), schemas.components)
    stream = {"type": "string", "description": "Server-Sent Events; see docs/protocol.md."}
    content = {JSON_TYPE: {"schema": page}, STREAM_TYPE: {"schema": stream}}
    operation: Json = {
        "operationId": "events.listen",
        "summary": "Receive one's own events, as an event stream or by long polling.",
        "description": _ABOUT,
        "tags": ["transport"],
        "parameters": [*_query_parameters(schemas), _last_event_id(schemas)],
        "responses": {"200": {"description": "OK", "content": content}} | _refusals(_REFUSALS),
    }
    return {EVENTS_PATH: {"get": operation}}


def _query_parameters(schemas: Schemas) -> Iterable[Json]:
    for name in PollParams.__struct_fields__:
        schema = schemas.field(PollParams, name)
        described = {"name": name, "in": "query", "description": schema.pop("description", "")}
        yield described | {"schema": _without_null(schema)}


def _last_event_id(schemas: Schemas) -> Json:
    about = "The `id` of the last event that was handled; goes before `since`."
    schema = _without_null(schemas.field(PollParams, "since"))
    schema.pop("description", None)
    return {"name": LAST_EVENT_ID, "in": "header", "description": about, "schema": schema}


def _without_null(schema: Json) -> Json:
    """In a request, null is only expressed by leaving out."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    kept: Json = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    kept |= options[0]
    return kept


def _inlined(schema: Any, components: Mapping[str, Any]) -> Any:
    """The schema with its components inlined; none of them is recursive."""
    if isinstance(schema, list):
        return [_inlined(part, components) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        beside = {name: said for name, said in schema.items() if name != "$ref"}
        return _inlined({**components[schema["$ref"].rpartition("/")[2]], **beside}, components)
    return {name: _inlined(part, components) for name, part in schema.items()}


def _refusals(errors: Iterable[type[GuildwireError]]) -> Json:
    by_status: defaultdict[int, list[type[GuildwireError]]] = defaultdict(list)
    for error in errors:
        by_status[int(error.status)].append(error)
    return {str(status): _refusal(status, some) for status, some in sorted(by_status.items())}


def _refusal(status: int, errors: list[type[GuildwireError]]) -> Json:
    codes = {error.code: (error.__doc__ or "").strip().partition("\n")[0] for error in errors}
    narrowed = {
        "properties": {
            "code": {"type": "string", "enum": sorted(codes)},
            "status": {"type": "integer", "enum": [status]},
        }
    }
    described: Json = {
        "description": "\n".join(f"* `{code}`: {about}" for code, about in sorted(codes.items())),
        "content": {problems.MEDIA_TYPE: {"schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}}},
    }
    if status in _HEADERS:
        header = _HEADERS[status]
        described["headers"] = {_NAMES[header]: {"$ref": f"#/components/headers/{header}"}}
    return described
