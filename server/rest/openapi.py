"""The OpenAPI 3.1 document, derived from the registry: it documents exactly what is declared."""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from protocol.errors import (
    Busy,
    CommandIdReused,
    Forbidden,
    GuildwireError,
    InFlight,
    Internal,
    Invalid,
    LimitReached,
    Malformed,
    NotFound,
    Unauthenticated,
    Unavailable,
    VersionMismatch,
)
from protocol.registry import Declaration, Mode, Route
from server.edge import problems
from server.edge.bodies import BodyTooLarge, RequestTimeout, UnsupportedMediaType
from server.edge.decoding import BodyDecoder
from server.edge.limits import COMMAND_ID_MAX
from server.rest.dialect import used
from server.rest.endpoints import Envelope, is_internal
from server.rest.router import shape_of
from server.rest.schemas import Schemas

OPENAPI_VERSION = "3.1.0"
ENVELOPE_PATH = "/v1/commands"

Json = dict[str, Any]
Errors = Iterable[type[GuildwireError]]

_ALWAYS: tuple[type[GuildwireError], ...] = (Invalid, LimitReached, Internal, Unavailable)
_SIGNED_IN: tuple[type[GuildwireError], ...] = (Unauthenticated, Forbidden)
_BODY: tuple[type[GuildwireError], ...] = (Malformed, RequestTimeout, BodyTooLarge, UnsupportedMediaType)
_COMMAND: tuple[type[GuildwireError], ...] = (VersionMismatch, InFlight, CommandIdReused, Busy)

_ABOUT = """\
Guildwire serves marketplaces: bookings, payments into escrow, chat and notifications, live.

* Paths work with and without a trailing slash. Ids are UUIDs; instants are RFC 3339 with an offset.
* Send `Idempotency-Key` with every command: a retry with the same key has no second effect and gets the same reply,
  marked `Idempotency-Replayed: true`.
* `ETag` carries the entity's version; `If-Match` refuses a command if the entity has moved on.
* Problems are `application/problem+json` (RFC 9457) with a stable `code` and typed `fields`.
* The same commands go over the WebSocket at `/v1/socket`.
"""


def build_document(
    declarations: Iterable[Declaration], *, version: str, paths: Mapping[str, Json] | None = None
) -> Json:
    """Describe every route of the registry.

    Args:
        paths: path items of routes that are not in the registry, added as they are.
    """
    routed = sorted((d for d in declarations if d.routes and not is_internal(d)), key=lambda d: d.name)
    commands = sorted((d for d in declarations if d.mode is Mode.COMMAND and not is_internal(d)), key=lambda d: d.name)
    writer = _Writer(routed, commands)
    items: defaultdict[str, Json] = defaultdict(dict)
    templates: dict[str, str] = {}
    for declaration in routed:
        for number, route in enumerate(declaration.routes):
            path = templates.setdefault(shape_of(route.path), route.path)
            names = dict(zip(route.params, Route(route.method, path).params, strict=True))
            items[path][route.method.lower()] = writer.operation(declaration, route, number, names)
    if commands:
        items[ENVELOPE_PATH]["post"] = writer.envelope(commands)
    for path, item in (paths or {}).items():
        items[path] |= item
    nouns = sorted({_noun(declaration) for declaration in routed})
    document = {
        "openapi": OPENAPI_VERSION,
        "info": {"title": "Guildwire", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": noun} for noun in nouns] + [{"name": "transport"}],
        "security": [{"bearer": []}],
        "paths": dict(sorted(items.items())),
        "components": {
            "schemas": used(writer.schemas.components, items, writer.responses),
            "responses": dict(sorted(writer.responses.items())),
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The access token of a session."}
            },
        },
    }
    # Defaults may be tuples and sets; in JSON they are lists.
    plain: Json = msgspec.json.decode(msgspec.json.encode(document))
    return plain


class _Writer:
    """Writes operations, and collects the components that they refer to."""

    def __init__(self, routed: list[Declaration], commands: list[Declaration]) -> None:
        structs: list[type[Struct]] = [problems.Problem, Envelope]
        notes_from: dict[type[Struct], type[Struct]] = {}
        for declaration in (*routed, *commands):
            structs += [declaration.type, declaration.reply]
            for route in declaration.routes:
                structs.append(_target(declaration, route))
                if _has_body(declaration, route):
                    decoder = BodyDecoder(declaration.type, route)
                    structs.append(decoder.body)
                    notes_from[decoder.body] = decoder.target
        self.schemas = Schemas(structs, notes_from)
        self.responses: dict[str, Json] = {}

    def operation(self, declaration: Declaration, route: Route, number: int, names: Mapping[str, str]) -> Json:
        """Describe one route of a declaration.

        Args:
            number: 0 for the canonical route.
            names: path parameter → its name in the path's template, which routes of other declarations share.
        """
        doc = (route.wire.__doc__ if route.wire else None) or declaration.doc or declaration.name
        summary, _, rest = inspect.cleandoc(doc).partition("\n")
        alias = f"An alias of `{declaration.name}`, for apps that use this path." if number else ""
        described: Json = {
            "operationId": _alias(declaration, route) if number else declaration.name,
            "summary": summary,
            "description": "\n\n".join(filter(None, [rest.strip(), alias, _who(declaration)])),
            "tags": [_noun(declaration)],
            "parameters": self._parameters(declaration, route, names),
            "responses": self._responses(declaration, route),
            "x-roles": sorted(declaration.by),
        }
        if number:
            described["x-alias-of"] = declaration.name
        if declaration.rate is not None:
            described["x-rate"] = {"times": declaration.rate.burst, "window_s": declaration.rate.window_s}
        if body := self._body(declaration, route):
            described["requestBody"] = body
        if not declaration.by:
            described["security"] = [{}, {"bearer": []}]
        return described

    def envelope(self, commands: list[Declaration]) -> Json:
        """Describe ``POST /v1/commands``."""
        errors = (*_ALWAYS, *_SIGNED_IN, *_BODY, *_COMMAND, NotFound)
        fitting = {
            "allOf": [
                self.schemas.ref(Envelope),
                {
                    "properties": {
                        "name": {"type": "string", "enum": [declaration.name for declaration in commands]},
                        "data": {"anyOf": [self.schemas.ref(declaration.type) for declaration in commands]},
                    }
                },
            ]
        }
        reply = {
            "description": "The command's own reply.",
            "headers": _COMMAND_HEADERS,
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
        created = reply | {"description": "The reply of a command that creates something."}
        return {
            "operationId": "commands.send",
            "summary": "Send any command by its name, in the envelope of the WebSocket.",
            "tags": ["transport"],
            "parameters": [_parameter("IdempotencyKey"), _parameter("IfMatch")],
            "requestBody": {"required": True, "content": {"application/json": {"schema": fitting}}},
            "responses": {"200": reply, "201": created} | self._refusals(errors),
        }

    def _parameters(self, declaration: Declaration, route: Route, names: Mapping[str, str]) -> list[Json]:
        target = _target(declaration, route)
        by_name = {info.name: info for info in fields(target)}
        named = [self._parameter(target, by_name[name], "path", names[name]) for name in route.params]
        if not _has_body(declaration, route):
            asked = [info for info in by_name.values() if info.name not in route.params]
            named += [self._parameter(target, info, "query", info.encode_name) for info in asked]
        elif declaration.mode is Mode.COMMAND:
            named += [_parameter("IdempotencyKey"), _parameter("IfMatch")]
        return named

    def _parameter(self, target: type[Struct], info: FieldInfo, place: str, name: str) -> Json:
        schema = self.schemas.field(target, info.encode_name)
        described: Json = {"name": name, "in": place, "required": place == "path" or _required(info)}
        if note := schema.pop("description", ""):
            described["description"] = note
        if schema.get("default", ...) is None:
            # In a URL, null is only expressed by leaving out.
            del schema["default"]
            options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
            if len(options) == 1:
                del schema["anyOf"]
                schema |= options[0]
        return described | {"schema": schema}

    def _body(self, declaration: Declaration, route: Route) -> Json | None:
        if not _has_body(declaration, route):
            return None
        body = BodyDecoder(declaration.type, route).body
        if not fields(body):
            return None
        required = any(_required(info) for info in fields(body))
        return {"required": required, "content": {"application/json": {"schema": self.schemas.ref(body)}}}

    def _responses(self, declaration: Declaration, route: Route) -> Json:
        success: Json = {
            "description": HTTPStatus(declaration.status).phrase,
            "content": {"application/json": {"schema": self.schemas.ref(declaration.reply)}},
        }
        if declaration.mode is Mode.COMMAND:
            success["headers"] = _COMMAND_HEADERS
        errors = [*_ALWAYS, *declaration.errors]
        errors += _SIGNED_IN if declaration.by else ()
        errors += _BODY if _has_body(declaration, route) else (Malformed,)
        errors += _COMMAND if declaration.mode is Mode.COMMAND else ()
        errors += (NotFound,) if _has_entity(declaration) else ()
        return {str(declaration.status): success} | self._refusals(errors)

    def _refusals(self, errors: Errors) -> Json:
        by_status: defaultdict[int, dict[str, type[GuildwireError]]] = defaultdict(dict)
        for error in errors:
            by_status[int(error.status)][error.code] = error
        return {str(status): self._refusal(status, by_status[status]) for status in sorted(by_status)}

    def _refusal(self, status: int, errors: Mapping[str, type[GuildwireError]]) -> Json:
        name = ".".join(sorted(errors))
        if name not in self.responses:
            lines = [f"* `{code}`: {_first_line(errors[code])}" for code in sorted(errors)]
            schema = {
                "allOf": [
                    self.schemas.ref(problems.Problem),
                    {
                        "properties": {
                            "code": {"type": "string", "enum": sorted(errors)},
                            "status": {"type": "integer", "enum": [status]},
                        }
                    },
                ]
            }
            self.responses[name] = {
                "description": "\n".join(lines),
                "content": {problems.MEDIA_TYPE: {"schema": schema}},
            }
            if status in _STATUS_HEADERS:
                self.responses[name]["headers"] = _STATUS_HEADERS[status]
        return {"$ref": f"#/components/responses/{name}"}


def _alias(declaration: Declaration, route: Route) -> str:
    """The operation id of a further route, from its method and path: ``booking.cancel.put_bookings_status``."""
    words = [part for part in re.split(r"\W+", re.sub(r"{\w+}", "", route.path)) if part]
    return f"{declaration.name}.{'_'.join([route.method.lower(), *words])}"


def _target(declaration: Declaration, route: Route) -> type[Struct]:
    return route.wire or declaration.type


def _has_entity(declaration: Declaration) -> bool:
    """Whether it names an entity, which may not exist or may not be visible to the caller."""
    return declaration.key is not None or any(info.name.endswith("_id") for info in fields(declaration.type))


def _has_body(declaration: Declaration, route: Route) -> bool:
    return declaration.mode is not Mode.QUERY and route.method != "GET"


def _required(info: FieldInfo) -> bool:
    return info.default is NODEFAULT and info.default_factory is NODEFAULT


def _noun(declaration: Declaration) -> str:
    return declaration.name.partition(".")[0]


def _who(declaration: Declaration) -> str:
    who = f"For: {', '.join(sorted(declaration.by))}." if declaration.by else "Needs no token."
    if declaration.rate is None:
        return who
    often = f"{declaration.rate.burst} in {declaration.rate.window_s} s for each user"
    if not declaration.by:
        often += ", or address without a token"
    return f"{who}\n\nAt most {often}, over all transports together."


def _first_line(error: type[GuildwireError]) -> str:
    return (error.__doc__ or error.code).strip().partition("\n")[0]


def _parameter(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _header(name: str) -> Json:
    return {"$ref": f"#/components/headers/{name}"}


_ENTITY_TAGS = r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$'

_PARAMETERS: Json = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The command's id, of your choice; a retry with it has no second effect.",
        "schema": {"type": "string", "minLength": 1, "maxLength": COMMAND_ID_MAX, "pattern": "^[!-~]+$"},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": (
            "Refuse the command (`version_mismatch`) unless the entity has this version, or one of a list. Weak tags "
            '(`W/"7"`) are the same as strong ones; `*` expects nothing.'
        ),
        "schema": {"type": "string", "pattern": _ENTITY_TAGS},
        "example": '"7"',
    },
}

_HEADERS: Json = {
    "ETag": {"description": "The entity's version, in quotes.", "schema": {"type": "string"}},
    "IdempotencyReplayed": {
        "description": "There, and `true`, if this is the stored reply to a retry.",
        "schema": {"type": "string", "const": "true"},
    },
    "RetryAfter": {"description": "Seconds until another try may succeed.", "schema": {"type": "integer"}},
    "WWWAuthenticate": {"description": "Which token is wanted (RFC 6750).", "schema": {"type": "string"}},
}

_COMMAND_HEADERS: Json = {"ETag": _header("ETag"), "Idempotency-Replayed": _header("IdempotencyReplayed")}
_STATUS_HEADERS: dict[int, Json] = {
    401: {"WWW-Authenticate": _header("WWWAuthenticate")},
    429: {"Retry-After": _header("RetryAfter")},
    503: {"Retry-After": _header("RetryAfter")},
}
