"""Checks of values that declared types cannot express."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from protocol.texts import TextKind, kind
from server.edge.guards import Unfit, check, invalid


class Colour(StrEnum):
    RED = "red"


class Inner(Struct):
    text: str = ""
    number: int = 0


class Outer(Struct, rename="camel"):
    the_text: str = ""
    inner: Inner | None = None
    items: tuple[Inner, ...] = ()
    names: dict[str, Any] | None = None
    maybe: str | UnsetType = UNSET
    anything: Any = None


def problems(value: Any) -> dict[str, str]:
    try:
        check(value)
    except Unfit as unfit:
        return invalid({unfit.path or "body": unfit.problem}).fields
    return {}


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "line\nline\ttab",
        "\N{GRINNING FACE}\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}\N{LINE SEPARATOR}.",
        2**63 - 1,
        -(2**63),
        1.5,
        Decimal("12.50"),
        datetime(2026, 1, 1, tzinfo=UTC),
        UUID(int=0),
        Colour.RED,
        True,
        None,
        b"\x00",
        [1, "a", {"b": (None, 2.0)}],
    ],
)
def test_ordinary_values_pass(value: Any) -> None:
    assert problems(Outer(anything=value)) == {}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("\x00", "control_character"),
        ("a\x1f", "control_character"),
        ("a\r\n", "control_character"),
        ("\x7f", "control_character"),
        ("\x85", "control_character"),
        ("\ud800", "lone_surrogate"),
        (" a", "not_normal"),
        ("e\N{COMBINING ACUTE ACCENT}", "not_normal"),
        (2**63, "out_of_range"),
        (-(2**63) - 1, "out_of_range"),
        (float("nan"), "out_of_range"),
        (float("-inf"), "out_of_range"),
        (Decimal("NaN"), "out_of_range"),
        (Decimal("1E+999999999"), "out_of_range"),
        (Decimal("1E-999999999"), "out_of_range"),
        (datetime(2026, 1, 1), "offset_missing"),
        (datetime(1, 1, 1, tzinfo=UTC), "out_of_range"),
        (datetime(9999, 1, 1, tzinfo=UTC), "out_of_range"),
    ],
)
def test_an_unacceptable_value_is_named_with_its_problem(value: Any, problem: str) -> None:
    assert problems(Outer(anything=value)) == {"anything": problem}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Outer(the_text="\0"), "theText"),
        (Outer(inner=Inner(text="\0")), "inner.text"),
        (Outer(items=(Inner(), Inner(number=2**64))), "items[1].number"),
        (Outer(names={"a": [1, ["\0"]]}), "names.a[1][0]"),
        (Outer(names={"a\0": 1}), "names.a\N{REPLACEMENT CHARACTER}"),
        (Outer(maybe="\0"), "maybe"),
        ("\0", "body"),
        (["\0"], "[0]"),
    ],
)
def test_the_path_uses_the_names_on_the_wire(value: Any, path: str) -> None:
    assert list(problems(value)) == [path]


class Typed(Struct):
    password: Annotated[str, Meta(extra=kind(TextKind.SECRET))] = ""
    images: tuple[Annotated[str, Meta(extra=kind(TextKind.IMAGE))], ...] = ()
    email: Annotated[str, Meta(extra=kind(TextKind.EMAIL))] | None = None


def test_a_text_is_checked_as_the_kind_that_its_type_declares() -> None:
    assert problems(Typed(password=" e\N{COMBINING ACUTE ACCENT} ", images=("/a",), email="a@b.test")) == {}
    assert problems(Typed(images=("/a", "javascript:x"))) == {"images[1]": "not_https"}
    assert problems(Typed(email="a@B.test")) == {"email": "not_normal"}


def test_names_sent_by_the_client_are_shortened_and_cleaned() -> None:
    [path] = problems({"self\x1b" + "x" * 500: "\0"})

    assert path.startswith("self\N{REPLACEMENT CHARACTER}xxx")
    assert len(path) == 100
