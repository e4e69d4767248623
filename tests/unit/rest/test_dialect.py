"""Schemas for client generators: simpler, and the same in meaning."""

import pytest

from server.rest.dialect import plain, used


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        (
            {"anyOf": [{"type": "number"}, {"type": "integer"}], "description": "d"},
            {"type": "number", "description": "d"},
        ),
        (
            {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "number", "minimum": 0}, {"type": "null"}]},
            {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]},
        ),
        (
            {"type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [{"type": "integer"}] * 2, "items": False},
            {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "integer"}},
        ),
        ({"type": "string", "pattern": "^[A-Z]{3}$(?!\\n)"}, {"type": "string", "pattern": "^[A-Z]{3}$"}),
    ],
)
def test_a_schema_is_rewritten_wherever_it_stands(declared: object, written: object) -> None:
    assert plain({"properties": {"x": [declared]}}) == {"properties": {"x": [written]}}


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"type": "integer", "maximum": 9}, {"type": "number", "maximum": 5}]},
        {"minItems": 2, "maxItems": 2, "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
        {"minItems": 1, "maxItems": 2, "prefixItems": [{"type": "integer"}] * 2, "items": False},
    ],
)
def test_what_would_mean_something_else_stays(schema: dict[str, object]) -> None:
    assert plain(schema) == schema


def test_components_are_used_through_each_other() -> None:
    components = {"A": {"$ref": "#/s/B"}, "B": {"$ref": "#/s/A"}, "C": {"$ref": "#/s/A"}}

    assert used(components, {"schema": {"$ref": "#/s/A"}}) == {"A": {"$ref": "#/s/B"}, "B": {"$ref": "#/s/A"}}
