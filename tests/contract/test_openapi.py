"""The OpenAPI document: valid, complete, and the same as what is served."""

import importlib
import json
import pkgutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import ValidationError, validate
from openapi_spec_validator import OpenAPIV31SpecValidator

import protocol
from protocol.registry import BY_NAME, Declaration, Mode
from server.rest.endpoints import is_internal
from server.rest.events_path import events_path
from server.rest.openapi import ENVELOPE_PATH, build_document
from server.rest.router import Router, shape_of
from tests.support.gadget_actor import declared_gadgets

GOLDEN_EVENT = Path(__file__).parent / "golden/frames/out_event.json"
METHODS = ("get", "post", "put", "patch", "delete")

for module in pkgutil.walk_packages(protocol.__path__, "protocol."):
    importlib.import_module(module.name)


def gadgets() -> list[Declaration]:
    with declared_gadgets():
        return [declaration for name, declaration in BY_NAME.items() if name.startswith("gadget.")]


@pytest.fixture(params=["catalogue", "gadgets"])
def declarations(request: pytest.FixtureRequest) -> list[Declaration]:
    return list(BY_NAME.values()) if request.param == "catalogue" else gadgets()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, item[method]) for path, item in document["paths"].items() for method in METHODS if method in item
    ]


def test_the_document_is_valid(declarations: list[Declaration]) -> None:
    errors = OpenAPIV31SpecValidator(build_document(declarations, version="1")).iter_errors()

    assert [error.message for error in errors] == []


def test_every_operation_has_a_name_of_its_own_and_a_summary(declarations: list[Declaration]) -> None:
    described = operations(build_document(declarations, version="1"))
    names = Counter(operation["operationId"] for _, _, operation in described)

    assert [name for name, count in names.items() if count > 1] == []
    assert [operation["operationId"] for _, _, operation in described if not operation["summary"]] == []


def test_a_rate_of_its_own_is_said_to_machines_and_to_people() -> None:
    described = {said.get("x-alias-of", name): said for name, said in _by_name(list(BY_NAME.values())).items()}
    rates = {name: declared.rate for name, declared in BY_NAME.items() if declared.rate is not None}

    assert {name for name, said in described.items() if "x-rate" in said} == set(rates)
    for name, rate in rates.items():
        assert described[name]["x-rate"] == {"times": rate.burst, "window_s": rate.window_s}
        assert f"At most {rate.burst} in {rate.window_s} s for each user" in described[name]["description"]


def _by_name(declarations: list[Declaration]) -> dict[str, dict[str, Any]]:
    document = build_document(declarations, version="1")
    return {operation["operationId"]: operation for _, _, operation in operations(document)}


def test_every_route_is_described_and_nothing_else(declarations: list[Declaration]) -> None:
    document = build_document(declarations, version="1")
    described = {(method, shape_of(path)) for method, path, _ in operations(document)}
    declared = {
        (route.method.lower(), shape_of(route.path)) for declaration in declarations for route in declaration.routes
    }

    assert described == declared | {("post", shape_of(ENVELOPE_PATH))}


def test_no_two_routes_are_the_same(declarations: list[Declaration]) -> None:
    router: Router[str] = Router()
    for declaration in declarations:
        for route in declaration.routes:
            router.add(route.method, route.path, declaration.name)


def test_every_parameter_of_a_path_is_described(declarations: list[Declaration]) -> None:
    for _, path, operation in operations(build_document(declarations, version="1")):
        inside = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        described = {p["name"] for p in operation["parameters"] if p.get("in") == "path"}
        assert described == inside, path


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a document."""
    if isinstance(node, dict):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(part)


def test_no_declared_pattern_lets_a_line_feed_by() -> None:
    """In Python ``$`` alone also matches before one at the end."""
    _, declared = msgspec.json.schema_components([one.type for one in BY_NAME.values()], schema_hook=lambda _: {})
    patterns = {node["pattern"] for node in nodes(declared) if isinstance(node.get("pattern"), str)}

    assert len(patterns) > 5
    assert [pattern for pattern in patterns if pattern.endswith("$")] == []


def test_the_document_has_nothing_that_client_generators_get_wrong() -> None:
    document = build_document(BY_NAME.values(), version="1", paths=events_path())
    found = list(nodes(document))
    kinds = [{option.get("type") for option in node["anyOf"]} for node in found if isinstance(node.get("anyOf"), list)]
    spelled = [node["enum"] for node in found if isinstance(node.get("enum"), list)]

    assert [one for one in kinds if {"integer", "number"} <= one] == []
    assert [node for node in found if isinstance(node.get("prefixItems"), list) or node.get("items") is False] == []
    assert [node["pattern"] for node in found if "(?" in str(node.get("pattern", ""))] == []
    assert [values for values in spelled if len({str(value).lower() for value in values}) < len(values)] == []
    statuses = {status for _, _, operation in operations(document) for status in operation["responses"]}
    assert all(status.isdigit() for status in statuses)
    assert [node for node in found if node.get("const") in statuses or isinstance(node.get("const"), int)] == []


def test_an_amount_of_money_is_a_number_and_a_week_has_seven_days() -> None:
    schemas = build_document(BY_NAME.values(), version="1")["components"]["schemas"]
    week = schemas["Week"]["properties"]["week"]

    assert schemas["BookingDetail"]["properties"]["total_amount"] == {"type": "number"}
    assert schemas["CreateService"]["properties"]["price"] == {"type": "number", "minimum": 0}
    assert (week["minItems"], week["maxItems"], week["items"]["items"]["$ref"]) == (
        7,
        7,
        "#/components/schemas/LocalSpan",
    )


def test_what_a_form_needs_is_in_the_schema() -> None:
    schemas = build_document(BY_NAME.values(), version="1")["components"]["schemas"]
    sign_up, created = schemas["Register"]["properties"], schemas["BookingDetail"]["properties"]

    assert (sign_up["email"]["format"], sign_up["password"]["minLength"]) == ("email", 8)
    assert "minLength" not in schemas["SignIn"]["properties"]["password"]
    assert created["scheduled_date"]["format"] == "date"
    assert schemas["ChangeStatusBody"]["properties"]["status"]["enum"] == [
        "CONFIRMED",
        "IN_PROGRESS",
        "COMPLETED",
        "CANCELLED",
    ]


def test_every_component_is_referred_to() -> None:
    document = build_document(BY_NAME.values(), version="1", paths=events_path())
    referred = {node["$ref"].rpartition("/")[2] for node in nodes(document) if isinstance(node.get("$ref"), str)}

    assert document["components"]["schemas"].keys() <= referred
    assert document["components"]["responses"].keys() <= referred


def test_each_command_has_one_canonical_operation_and_an_alias_says_whose_it_is() -> None:
    described = _by_name(list(BY_NAME.values()))
    aliases = {name: said["x-alias-of"] for name, said in described.items() if "x-alias-of" in said}

    assert aliases["booking.cancel.put_bookings_status"] == "booking.cancel"
    assert described.keys() - aliases.keys() == {
        *(name for name, one in BY_NAME.items() if one.routes),
        "commands.send",
    }
    for name, canonical in aliases.items():
        assert canonical in described
        assert f"`{canonical}`" in described[name]["description"]


def test_internal_commands_are_nowhere(declarations: list[Declaration]) -> None:
    document = build_document(declarations, version="1")
    envelope = document["paths"][ENVELOPE_PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]
    names = set(envelope["allOf"][1]["properties"]["name"]["enum"])
    commands = [declaration for declaration in declarations if declaration.mode is Mode.COMMAND]

    assert names == {declaration.name for declaration in commands if not is_internal(declaration)}
    assert all(not declaration.routes for declaration in commands if is_internal(declaration))


def test_a_declaration_becomes_an_operation() -> None:
    document = build_document(gadgets(), version="1")
    make = document["paths"]["/gadgets/"]["post"]
    body = document["components"]["schemas"]["MakeGadget"]

    assert make["operationId"] == "gadget.make"
    assert make["summary"] == "Make a gadget."
    assert make["description"].startswith("It has a label, and parts if you like.")
    assert make["tags"] == ["gadget"]
    assert make["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/MakeGadget"}
    assert make["responses"]["201"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/GadgetMade"
    }
    assert {"400", "401", "403", "409", "413", "415", "422", "429", "500", "503"} <= make["responses"].keys()
    assert body["properties"]["label"] == {
        "type": "string",
        "maxLength": 40,
        "description": "What is written on it.",
    }
    assert body["required"] == ["label"]


def test_a_further_route_has_its_own_body_and_name() -> None:
    document = build_document(gadgets(), version="1")
    renames = document["paths"]["/gadget-names/{gadget_id}/"]["put"]
    reference = renames["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    body = document["components"]["schemas"][reference.rpartition("/")[2]]

    assert renames["operationId"] == "gadget.rename.put_gadget_names"
    assert renames["x-alias-of"] == "gadget.rename"
    assert list(body["properties"]) == ["newLabel"]


def test_queries_have_parameters_and_public_operations_need_no_token() -> None:
    document = build_document(gadgets(), version="1")
    listing = document["paths"]["/gadgets/"]["get"]
    by_name = {parameter["name"]: parameter for parameter in listing["parameters"]}

    assert by_name["howMany"]["description"] == "How many at most."
    assert by_name["near"]["schema"] == {"type": "number"}
    assert by_name["tags"]["schema"]["type"] == "array"
    assert not any(parameter["required"] for parameter in by_name.values())
    assert {} in listing["security"]
    assert "401" not in listing["responses"]
    assert "security" not in document["paths"]["/gadgets/{booking_id}"]["get"]


def test_declared_refusals_are_described_beside_the_general_ones() -> None:
    document = build_document(gadgets(), version="1")
    reference = document["paths"]["/gadgets/{booking_id}"]["delete"]["responses"]["409"]["$ref"]
    refusal = document["components"]["responses"][reference.rpartition("/")[2]]

    assert "`wrong_state`: The entity's status does not allow the command." in refusal["description"]
    assert "application/problem+json" in refusal["content"]


def test_events_over_http_are_described_with_all_that_may_come_back() -> None:
    document = build_document(BY_NAME.values(), version="1", paths=events_path())
    listen = document["paths"]["/v1/events"]["get"]

    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert {p["name"]: p["in"] for p in listen["parameters"]} == {
        "since": "query",
        "wait_s": "query",
        "limit": "query",
        "Last-Event-ID": "header",
    }
    assert listen["responses"].keys() == {"200", "400", "401", "406", "422", "429", "500", "503"}
    assert listen["responses"]["200"]["content"].keys() == {"application/json", "text/event-stream"}
    page = listen["responses"]["200"]["content"]["application/json"]["schema"]
    sent = {"outcome": "resumed", "as_of": "e:42", "more": False, "events": [json.loads(GOLDEN_EVENT.read_bytes())]}
    validate(sent, page)
    with pytest.raises(ValidationError):
        validate({**sent, "events": [{"frame": "event"}]}, page)
