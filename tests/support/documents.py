"""Reading the documents of this repository."""

from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def table(document: Path, head: str) -> list[list[str]]:
    """The cells of the table whose first line begins so."""
    _, found, behind = document.read_text().partition(f"| {head} |")
    assert found, f"{document.name} has no table that begins with {head}"
    lines = behind.splitlines()[2:]
    rows = takewhile(bool, lines)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
