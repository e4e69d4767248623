"""The AsyncAPI 3.0 document of the live protocol, derived from the registry, the frames and the events.

It describes the server's side: *receive* is what clients send, *send* is what they receive.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec
from msgspec import NODEFAULT, Struct, field
from msgspec.structs import fields

from protocol.events import EVENTS, Event
from protocol.frames import (
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MSGPACK,
    Bye,
    CloseCode,
    CommandFrame,
    ErrorFrame,
    EventFrame,
    Inbound,
    Ping,
    Pong,
    QueryFrame,
    ReplyFrame,
    SignalState,
    Welcome,
)
from protocol.registry import Declaration, Mode
from protocol.topics import ONLINE, TYPING
from server.edge.event_route import EVENTS_PATH, SOCKET_PATH
from server.rest.dialect import used
from server.rest.endpoints import is_internal
from server.rest.schemas import Schemas

ASYNCAPI_VERSION = "3.0.0"

Json = dict[str, Any]
StructType = type[Struct]

_ABOUT = """\
One WebSocket carries commands, queries and the user's numbered events; the same events go over Server-Sent Events.

* The first frame is `hello`, within 10 s. A token never stands in a URL.
* The subprotocol chooses the encoding: the same frames as JSON text or as MessagePack.
* A command's `id` makes a retry harmless, over either transport.
* `seq` is contiguous for each user. Come back with `since: "epoch:seq"` and every missed event follows, or a `reset`.
* Close codes below 4500 mean: reconnect and resume. From 4500 on something must change first.
"""


def _shown(frame: StructType) -> StructType:
    """The frame for the schema: its ``data``, which is ``Raw`` in the code, becomes an object."""
    said = [(info.name, info.type, info.default) for info in fields(frame) if info.name != "data"]
    config = frame.__struct_config__
    return msgspec.defstruct(
        frame.__name__,
        [*[one if one[2] is not NODEFAULT else one[:2] for one in said], ("data", Json, field(default_factory=dict))],
        namespace={"__doc__": frame.__doc__},
        tag=config.tag,
        tag_field=config.tag_field,
        kw_only=True,
        forbid_unknown_fields=True,
    )


_ASKED = {Mode.COMMAND: _shown(CommandFrame), Mode.QUERY: _shown(QueryFrame)}
_SHOWN_FOR: dict[StructType, StructType] = {_ASKED[Mode.COMMAND]: CommandFrame, _ASKED[Mode.QUERY]: QueryFrame}

#: Frames that a client sends and whose payload is the frame itself; commands and queries have a message each.
_PLAIN_IN = tuple(frame for frame in get_args(Inbound) if frame not in (CommandFrame, QueryFrame))
#: Frames that the server sends and that are not replies.
_PLAIN_OUT = (Welcome, ErrorFrame, Bye, Ping, Pong)
#: Ephemeral events on the topics of `subscribe`, not stored and without a number: type → the fields of its data.
_EPHEMERAL: Mapping[str, Json] = {
    TYPING: {
        "user_id": {"type": "string", "format": "uuid"},
        "state": {"enum": [state.value for state in SignalState]},
    },
    ONLINE: {"online": {"type": "boolean"}},
}


def build_asyncapi(declarations: Iterable[Declaration], *, version: str) -> Json:
    """Describe all messages of the socket and the event stream."""
    sendable = sorted((d for d in declarations if _goes_over_the_socket(d)), key=lambda d: d.name)
    writer = _Writer(sendable, sorted(EVENTS.values(), key=lambda event: event.type))
    document = {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {"title": "Guildwire", "version": version, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {
            "socket": _server("ws"),
            "secure_socket": _server("wss"),
            "stream": _server("http"),
            "secure_stream": _server("https"),
        },
        "channels": writer.channels(),
        "operations": writer.operations(),
        "components": {
            "schemas": used(writer.schemas.components, writer.messages),
            "messages": writer.messages,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The access token of a session."},
                "hello": {"type": "apiKey", "in": "user", "description": "The access token, in the `hello` frame."},
            },
        },
        "x-close-codes": [
            {"code": int(code), "reason": code.reason, "reconnect": code.reconnect, "advice": code.advice}
            for code in CloseCode
        ],
    }
    plain: Json = msgspec.json.decode(msgspec.json.encode(document))
    _drop_discriminators(plain)
    for name, schema in plain["components"]["schemas"].items():
        _name_enums(schema, name)
    return plain


def _goes_over_the_socket(declaration: Declaration) -> bool:
    return declaration.mode is not Mode.PROCEDURE and not is_internal(declaration)


_CHANGES = (
    "The public fields of the entity's view that changed, as the view has them. Put them over what you hold if its "
    "version is this one's predecessor; else fetch the entity again. The first event has the whole view."
)
_EITHER = "May be left out if `to` names the entity."
_REFETCH = "Fields of the view that may look different now and that no event carries; `*`: all of them."

_REDACTED: Json = {
    "title": "Redacted",
    "description": "An event that the user may no longer see.",
    "type": "object",
    "properties": {"redacted": {"type": "boolean", "const": True}},
    "required": ["redacted"],
}


class _Writer:
    """Writes channels and operations, and collects the messages that they refer to."""

    def __init__(self, sendable: list[Declaration], events: list[type[Event]]) -> None:
        self._sendable = sendable
        structs: list[StructType] = [
            _ASKED[Mode.COMMAND],
            _ASKED[Mode.QUERY],
            ReplyFrame,
            EventFrame,
            *_PLAIN_IN,
            *_PLAIN_OUT,
        ]
        for declaration in sendable:
            structs += [declaration.type, declaration.reply]
        contents = [event.content for event in events if event.content is not None]
        self.schemas = Schemas([*structs, *events, *dict.fromkeys(contents)], _SHOWN_FOR)
        self.messages: Json = {}
        self._redacted = self._component(_REDACTED)
        self._in = [self._frame("in", frame) for frame in _PLAIN_IN]
        self._out = [self._frame("out", frame) for frame in _PLAIN_OUT]
        self._asked = {declaration.name: self._sent(declaration) for declaration in sendable}
        self._answered = {declaration.name: self._reply(declaration) for declaration in sendable}
        self._events = [self._event(event) for event in events]
        self._ephemeral = [self._signal(name, properties) for name, properties in _EPHEMERAL.items()]

    def channels(self) -> Json:
        """Describe the socket, and the stream, which carries the numbered events only."""
        every = [*self._in, *self._asked.values(), *self._out, *self._answered.values(), *self._events]
        subprotocols = {"type": "string", "enum": [SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK]}
        headers = {"type": "object", "properties": {"Sec-WebSocket-Protocol": subprotocols}}
        return {
            "socket": {
                "address": SOCKET_PATH,
                "title": "The socket",
                "servers": [_ref("servers", "socket"), _ref("servers", "secure_socket")],
                "messages": {name: _ref("components/messages", name) for name in [*every, *self._ephemeral]},
                "bindings": {"ws": {"method": "GET", "headers": headers}},
            },
            "events": {
                "address": EVENTS_PATH,
                "title": "The numbered events, as Server-Sent Events",
                "servers": [_ref("servers", "stream"), _ref("servers", "secure_stream")],
                "messages": {name: _ref("components/messages", name) for name in self._streamed()},
            },
        }

    def operations(self) -> Json:
        """Describe what the server receives and sends."""
        operations: Json = {f"receive.{name}": _operation("receive", [name], security="hello") for name in self._in}
        for declaration in self._sendable:
            answers = [self._answered[declaration.name], "out.error"]
            operations[declaration.name] = _operation("receive", [self._asked[declaration.name]]) | {
                "summary": _first_line(declaration.type),
                "tags": [{"name": declaration.name.partition(".")[0]}],
                "reply": {"channel": _ref("channels", "socket"), "messages": _in_channel("socket", answers)},
                "x-roles": sorted(declaration.by),
            }
            if rate := declaration.rate:
                operations[declaration.name]["x-rate"] = {"times": rate.burst, "window_s": rate.window_s}
        operations["send.session"] = _operation("send", self._out)
        operations["send.events"] = _operation("send", self._events)
        operations["send.ephemeral"] = _operation("send", self._ephemeral)
        query = {"type": "object", "properties": {"since": {"type": "string"}}, "additionalProperties": False}
        stream = _operation("send", self._streamed(), channel="events", security="bearer")
        operations["stream.events"] = stream | {"bindings": {"http": {"method": "GET", "query": query}}}
        return operations

    def _streamed(self) -> list[str]:
        """The messages of an event stream."""
        about_session = [f"out.{frame.__struct_config__.tag}" for frame in (Welcome, ErrorFrame, Bye)]
        return [*about_session, *self._events]

    def _frame(self, direction: str, frame: StructType) -> str:
        tag = frame.__struct_config__.tag
        return self._message(f"{direction}.{tag}", _first_line(frame), self.schemas.ref(frame))

    def _sent(self, declaration: Declaration) -> str:
        mode = declaration.mode.value
        data = self.schemas.ref(declaration.type)
        if declaration.key is not None:
            data = self._addressed(declaration, declaration.key)
        said = {"name": _constant(declaration.name), "data": data}
        payload = self._filled(f"{mode.capitalize()}{declaration.type.__name__}", _ASKED[declaration.mode], said)
        return self._message(f"{mode}.{declaration.name}", _first_line(declaration.type), payload)

    def _addressed(self, declaration: Declaration, key: str) -> Json:
        """The data of a command whose entity is named in ``to`` or in the data."""
        name = f"{declaration.type.__name__}Data"
        whole = self.schemas.components[declaration.type.__name__]
        properties = {**whole["properties"], key: {**whole["properties"][key], "description": _EITHER}}
        required = [required for required in whole.get("required", ()) if required != key]
        return self._component({**whole, "title": name, "properties": properties, "required": required})

    def _reply(self, declaration: Declaration) -> str:
        said = {"data": self.schemas.ref(declaration.reply)}
        payload = self._filled(f"Reply{declaration.type.__name__}", ReplyFrame, said)
        return self._message(f"reply.{declaration.name}", f"The answer to {declaration.name}.", payload)

    def _event(self, event: type[Event]) -> str:
        beside: Json = {"changes": {"type": "object", "description": _CHANGES}}
        if event.content is not None:
            beside["content"] = self.schemas.ref(event.content)
        if event.refetch:
            item = {"type": "string", "enum": list(event.refetch)}
            beside["refetch"] = {"type": "array", "items": item, "description": _REFETCH}
        data = self.schemas.components[event.__name__]
        data["properties"] = data.get("properties", {}) | beside
        said = {"type": _constant(event.type), "data": {"anyOf": [self.schemas.ref(event), self._redacted]}}
        payload = self._filled(f"Event{event.__name__}", EventFrame, said)
        return self._message(f"event.{event.type}", _first_line(event), payload)

    def _signal(self, name: str, properties: Json) -> str:
        title = "".join(word.capitalize() for word in name.split("."))
        data = self._component({"title": title, "type": "object", "properties": properties})
        payload = self._filled(f"Ephemeral{title}", EventFrame, {"type": _constant(name), "data": data})
        return self._message(
            f"ephemeral.{name}", "Ephemeral: heard by subscription, without a number, never kept.", payload
        )

    def _filled(self, title: str, frame: StructType, said: Json) -> Json:
        """A frame with its name and data as a schema of its own: generators make a named model of it."""
        whole = self.schemas.components[frame.__name__]
        return self._component({**whole, "title": title, "properties": whole["properties"] | said})

    def _component(self, schema: Json) -> Json:
        name = schema["title"]
        assert name not in self.schemas.components, f"two schemas are named {name}"
        self.schemas.components[name] = schema
        return _ref("components/schemas", name)

    def _message(self, name: str, summary: str, payload: Json) -> str:
        self.messages[name] = {"name": name, "summary": summary, "payload": payload}
        return name


def _server(protocol: str) -> Json:
    variable = {"default": "127.0.0.1:8080", "description": "Where this server listens."}
    return {"host": "{host}", "protocol": protocol, "variables": {"host": variable}}


def _operation(action: str, messages: list[str], *, channel: str = "socket", security: str = "") -> Json:
    described = {"action": action, "channel": _ref("channels", channel), "messages": _in_channel(channel, messages)}
    return described | ({"security": [_ref("components/securitySchemes", security)]} if security else {})


def _in_channel(channel: str, messages: Iterable[str]) -> list[Json]:
    return [_ref(f"channels/{channel}/messages", name) for name in messages]


def _constant(text: str) -> Json:
    return {"type": "string", "const": text}


def _ref(place: str, name: str) -> Json:
    return {"$ref": f"#/{place}/{name}"}


def _first_line(struct: StructType) -> str:
    return inspect.cleandoc(struct.__doc__ or struct.__name__).partition("\n")[0]


def _drop_discriminators(node: Any) -> None:
    """Remove OpenAPI's discriminators: AsyncAPI expects a string there, and the tags are constants anyway."""
    if isinstance(node, dict):
        if isinstance(node.get("discriminator"), dict):
            del node["discriminator"]
        for part in node.values():
            _drop_discriminators(part)
    elif isinstance(node, list):
        for part in node:
            _drop_discriminators(part)


def _name_enums(schema: Json, owner: str) -> None:
    """Give the enums of a component's properties a title; an enum of one value becomes a constant."""
    for name, described in schema.get("properties", {}).items():
        title = owner + "".join(word.capitalize() for word in name.split("_"))
        for one in (described, described.get("items"), *described.get("anyOf", ())):
            if isinstance(one, dict) and isinstance(one.get("enum"), list):
                if len(one["enum"]) == 1 and isinstance(one["enum"][0], str):
                    one.update(_constant(one.pop("enum")[0]))
                else:
                    one.setdefault("title", title)
