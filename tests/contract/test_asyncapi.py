"""The AsyncAPI document: whole in itself, complete, and true of the frames that are sent."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import protocol
from protocol.events import EVENTS
from protocol.frames import CloseCode
from protocol.registry import BY_NAME, Mode
from server.rest.asyncapi import ASYNCAPI_VERSION, build_asyncapi
from server.rest.endpoints import is_internal
from tests.support.server import Site

for module in pkgutil.walk_packages(protocol.__path__, "protocol."):
    importlib.import_module(module.name)

GOLDEN = Path(__file__).parent / "golden" / "frames"
#: golden file → the message that it is an example of.
EXAMPLES = {
    "in_ack": "in.ack",
    "in_command": "command.conversation.post",
    "in_hello": "in.hello",
    "in_hello_bare": "in.hello",
    "in_ping": "in.ping",
    "in_pong": "in.pong",
    "in_refresh": "in.refresh",
    "in_signal": "in.signal",
    "in_subscribe": "in.subscribe",
    "in_unsubscribe": "in.unsubscribe",
    "out_bye": "out.bye",
    "out_error": "out.error",
    "out_error_of_session": "out.error",
    "out_event_ephemeral": "ephemeral.conversation.typing",
    "out_ping": "out.ping",
    "out_pong": "out.pong",
    "out_welcome": "out.welcome",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_asyncapi(list(BY_NAME.values()), version="1")


def refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for part in node.values():
            yield from refs(part)
    elif isinstance(node, list):
        for part in node:
            yield from refs(part)


def resolve(document: dict[str, Any], ref: str) -> Any:
    node: Any = document
    for step in ref.removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(refs(document))

    assert len(found) > 100
    for ref in found:
        assert resolve(document, ref) is not None, ref


def test_the_stream_tells_every_kind_of_frame_that_it_has_a_golden_text_of(document: dict[str, Any]) -> None:
    told = set(document["channels"]["events"]["messages"])

    for path in GOLDEN.glob("sse_*.txt"):
        said = dict(line.split(": ", 1) for line in path.read_text().splitlines() if line[:1] not in ("", ":"))
        if said:
            frame = json.loads(said["data"])
            name = f"event.{said['event']}" if frame["frame"] == "event" else f"out.{said['event']}"
            assert name in told, path.name


def test_every_message_is_a_flat_schema_with_a_name_of_its_own(document: dict[str, Any]) -> None:
    """Else generators merge the frames of all messages, or number the models."""
    messages, schemas = document["components"]["messages"], document["components"]["schemas"]
    payloads = [
        message["payload"]["$ref"].rpartition("/")[2]
        for name, message in messages.items()
        if "." in name and name.partition(".")[0] not in ("in", "out")
    ]
    booked = schemas["EventBookingCreated"]["properties"]

    assert len(set(payloads)) == len(payloads)
    assert [name for name in payloads if schemas[name]["title"] != name or schemas[name]["type"] != "object"] == []
    assert "allOf" not in json.dumps(document)
    assert messages["event.booking.created"]["payload"] == {"$ref": "#/components/schemas/EventBookingCreated"}
    assert booked["type"] == {"type": "string", "const": "booking.created"}
    assert booked["data"] == {
        "anyOf": [{"$ref": "#/components/schemas/BookingCreated"}, {"$ref": "#/components/schemas/Redacted"}]
    }
    assert {"customer_id", "changes"} <= schemas["BookingCreated"]["properties"].keys()


def test_every_schema_is_used_and_its_enums_have_names(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    inside = [
        one
        for schema in schemas.values()
        for described in schema.get("properties", {}).values()
        for one in (described, described.get("items", {}), *described.get("anyOf", ()))
        if isinstance(one, dict) and "enum" in one
    ]

    assert {ref for ref in refs(document) if "/schemas/" in ref} == {f"#/components/schemas/{name}" for name in schemas}
    assert len(inside) > 5
    assert [one for one in inside if "title" not in one] == []


def test_it_has_the_shape_of_version_3(document: dict[str, Any]) -> None:
    assert document["asyncapi"] == ASYNCAPI_VERSION == "3.0.0"
    assert set(document) <= {
        *("asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"),
        "x-close-codes",
    }
    for name in (*document["channels"], *document["operations"], *document["components"]["messages"]):
        assert re.fullmatch(r"[\w.\-]+", name), name
    for server in document["servers"].values():
        assert {"host", "protocol"} <= set(server)
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        inside = operation["channel"]["$ref"] + "/messages/"
        assert all(message["$ref"].startswith(inside) for message in operation["messages"])


def test_every_command_and_query_that_may_be_sent_is_there_and_nothing_else(document: dict[str, Any]) -> None:
    sendable = {
        f"{declared.mode.value}.{name}"
        for name, declared in BY_NAME.items()
        if declared.mode is not Mode.PROCEDURE and not is_internal(declared)
    }

    described = {name for name in document["components"]["messages"] if name.startswith(("command.", "query."))}

    assert described == sendable
    for name in sendable:
        operation = document["operations"][name.partition(".")[2]]
        assert operation["reply"]["messages"][0]["$ref"].endswith(f"reply.{name.partition('.')[2]}")


def test_a_rate_of_its_own_is_said(document: dict[str, Any]) -> None:
    said = {name: operation["x-rate"] for name, operation in document["operations"].items() if "x-rate" in operation}
    rates = {name: declared.rate for name, declared in BY_NAME.items() if declared.rate is not None}

    assert said == {name: {"times": rate.burst, "window_s": rate.window_s} for name, rate in rates.items()}
    assert "booking.create" in said


def test_every_event_and_every_close_code_is_there(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]

    assert {name for name in messages if name.startswith("event.")} == {f"event.{type_}" for type_ in EVENTS}
    assert [code["code"] for code in document["x-close-codes"]] == [int(code) for code in CloseCode]


@pytest.mark.parametrize("golden", sorted(EXAMPLES))
def test_a_golden_frame_fits_its_message(document: dict[str, Any], golden: str) -> None:
    frame = json.loads((GOLDEN / f"{golden}.json").read_text())
    payload = resolve(document, f"#/components/messages/{EXAMPLES[golden]}")["payload"]
    validator = jsonschema.Draft202012Validator(document | payload)

    assert [error.message for error in validator.iter_errors(frame)] == []
    assert not validator.is_valid(frame | {"frame": "nonsense"})


async def test_it_is_served_and_real_frames_fit_it(server: Site) -> None:
    """What the server says of itself is true of what it sends: each event of a booking fits its message."""
    market, customer = await server.market(), await server.person(live=True)
    booking_id = await server.confirmed(market, customer)
    await customer.hears("booking.confirmed", f"booking/{booking_id}")

    answer = await server.request("GET", "/asyncapi.json")

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    heard = [event for event in customer.heard if event.type in EVENTS]
    assert len(heard) >= 3
    for event in heard:
        payload = resolve(answer.json, f"#/components/messages/event.{event.type}")["payload"]
        frame: dict[str, object] = {
            "frame": "event",
            "seq": event.seq,
            "type": event.type,
            "entity": event.entity,
            "at": str(event.at),
        }
        frame |= {"version": event.version, "cause": event.cause, "data": event.data}
        validator = jsonschema.Draft202012Validator(answer.json | payload)
        validator.validate(frame)
        assert not validator.is_valid({**frame, "version": "one"})
