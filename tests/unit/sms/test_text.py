"""Short messages: segments, cutting, and opt-out words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.delivery.channels.sms.opt_out import Meaning, meaning
from server.delivery.channels.sms.segments import fit, segments


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("ä€" * 53, 1),
        ("€" * 81, 2),
        ("ą" * 70, 1),
        ("ą" * 71, 2),
        ("ą" * 135, 3),
        ("🦉" * 35, 1),
        ("🦉" * 36, 2),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("ą" * 66 + "🦉" + "ą" * 66, 3),
    ],
)
def test_segments_are_counted_as_networks_do(text: str, parts: int) -> None:
    assert segments(text) == parts


def test_typography_does_not_cost_half_of_the_space() -> None:
    assert fit("“It’s late” – see you…", 1) == '"It\'s late" - see you...'


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert fit("a" * 200, 1) == "a" * 157 + "..."
    assert fit("ą" * 100, 1) == "ą" * 69 + "…"


@given(st.text(max_size=500), st.integers(1, 3))
def test_a_cut_text_fits_and_is_a_prefix(text: str, parts: int) -> None:
    cut = fit(text, parts)

    assert segments(cut) <= parts
    if segments(text) <= parts:
        assert len(cut) >= len(text)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("STOP", Meaning.STOP),
        (" stop. ", Meaning.STOP),
        ("Stopp!", Meaning.STOP),
        ("UNSUBSCRIBE", Meaning.STOP),
        ("StopAll", Meaning.STOP),
        ("Quit", Meaning.STOP),
        ("end", Meaning.STOP),
        ("Cancel", Meaning.STOP),
        ("opt-out", Meaning.STOP),
        ("basta", Meaning.STOP),
        ("START", Meaning.START),
        ("unstop", Meaning.START),
        ("Please stop by at 5", Meaning.OTHER),
        ("Fine", Meaning.OTHER),
        ("", Meaning.OTHER),
        ("x" * 2_000, Meaning.OTHER),
    ],
)
def test_one_word_opts_out_and_a_sentence_does_not(text: str, means: Meaning) -> None:
    assert meaning(text) is means
