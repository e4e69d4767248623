"""Which texts are valid: something to see, and no control characters."""

import pytest

from actors.rules.texts import text_problem


@pytest.mark.parametrize("text", ["Ada", "Zoë", "李", "😀", "!", "a\u3164", "שלום\u200f"])
def test_a_text_with_something_to_see_is_valid(text: str) -> None:
    assert text_problem(text, lines=False) is None


@pytest.mark.parametrize(
    "text",
    ["", " ", "\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\U0001d159", "\ufe0f", "\u034f", "\u200d", "\u0301"],
)
def test_a_text_with_nothing_to_see_is_blank(text: str) -> None:
    assert text_problem(text) == "blank"


@pytest.mark.parametrize("control", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\n\t\u2028")
def test_a_name_controls_neither_lines_nor_direction(control: str) -> None:
    assert text_problem(f"a{control}b", lines=False) == "control_character"
    assert text_problem(f"a{control}b") is None


def test_a_text_has_no_control_characters() -> None:
    assert text_problem("a\x1bb") == "control_character"
