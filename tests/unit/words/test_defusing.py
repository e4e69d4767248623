"""Texts of strangers in our messages: no program makes a link of them."""

import re

import pytest

from server.words.defusing import defused

#: Roughly what linkifiers look for.
LINK = re.compile(r"https?://\S|\b[\w-]+\.[a-z]{2,}\b|\w@[\w-]+\.\w")


@pytest.mark.parametrize(
    "text",
    [
        "Your account is locked - confirm at https://evil.example/login",
        "evil.example",
        "www.evil.example",
        "mail help@evil.example",
        "http://192.0.2.1/",
        "пример.рф evil.com",
    ],
)
def test_a_text_with_an_address_looks_the_same_and_has_no_link(text: str) -> None:
    assert LINK.search(text)

    assert not LINK.search(defused(text))
    assert defused(text).replace("\N{WORD JOINER}", "") == text


@pytest.mark.parametrize(
    "text", ["Haircut, 45 min.", "Dr. Ada", "9.30", "50% off!", "A/B: test", "St. Gallen", "J.R. Ewing"]
)
def test_a_text_without_an_address_stays(text: str) -> None:
    assert defused(text) == text
