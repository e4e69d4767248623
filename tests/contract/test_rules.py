"""The rules are numbered once, and what cites one cites one that is there."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.documents import ROOT

RULES = ROOT / "docs/rules.md"
PACKAGES = ("actors", "protocol", "server", "storage")
SUFFIXES = {".md", ".py", ".sql"}

STATED = re.compile(r"^\*\*([A-Z]-\d+)\*\* ", re.MULTILINE)
NUMBER = re.compile(r"\b[A-Z]-\d+\b")
#: ``rule B-7``, ``rules B-7, M-3``; a list may go on in the next line.
CITED = re.compile(r"\b[Rr]ules? ([A-Z]-\d+(?:(?:,| and|,? or)\s+(?:#:? )?[A-Z]-\d+)*)")
#: Documents of which this repository has none.
ELSEWHERE = re.compile(r"\bSPEC(?:\.md)? ?§|\bDESIGN(?:\.md)? ?§|\b[Ss]eed \d{3}\b")


def sources() -> Iterator[Path]:
    """Everything that may cite a rule."""
    yield from ROOT.glob("*.md")
    for folder in (*PACKAGES, "bench", "docs", "tests"):
        yield from (path for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES and path != Path(__file__))


def citations() -> dict[str, set[str]]:
    """The rules cited, by file."""
    cited: dict[str, set[str]] = {}
    for path in sources():
        found = {number for listed in CITED.findall(path.read_text()) for number in NUMBER.findall(listed)}
        if found:
            cited[path.relative_to(ROOT).as_posix()] = found
    return cited


def test_each_number_is_given_to_one_rule() -> None:
    stated = Counter(STATED.findall(RULES.read_text()))

    assert [number for number, times in stated.items() if times > 1] == []


def test_the_numbers_of_a_subject_are_in_order() -> None:
    last: dict[str, int] = {}
    for number in STATED.findall(RULES.read_text()):
        subject, _, count = number.partition("-")
        assert int(count) > last.get(subject, 0), number
        last[subject] = int(count)


def test_every_rule_that_is_cited_is_stated() -> None:
    stated = set(STATED.findall(RULES.read_text()))
    cited = citations()

    assert any(path.startswith(PACKAGES) for path in cited)
    assert {path: numbers - stated for path, numbers in cited.items() if numbers - stated} == {}


def test_no_file_cites_a_document_that_is_not_here() -> None:
    found = {path.relative_to(ROOT).as_posix(): ELSEWHERE.findall(path.read_text()) for path in sources()}

    assert {path: cited for path, cited in found.items() if cited} == {}
