"""Figures that are no rates of the database, each beside its yardstick of the same run."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.box import SIMPLE
from rich.table import Table

from bench.report import PAGE

_FIGURES = re.compile(r"(?<=<!-- compared -->\n).*(?=<!-- /compared -->)", re.DOTALL)
HEADINGS = ("workload", "what", "Guildwire", "yardstick", "ratio", "wanted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One figure."""

    workload: str
    #: With its unit.
    what: str
    ours: float
    #: The same of the yardstick; None: there is none.
    theirs: float | None = None
    digits: int = 0
    #: What is wanted; empty: nothing is.
    wanted: str = ""


def compared_table(figures: Sequence[Compared]) -> Table:
    """The table for the terminal."""
    table = Table(box=SIMPLE, padding=0, collapse_padding=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("workload", "what") else "right")
    for figure in figures:
        table.add_row(*_cells(figure))
    return table


def write_compared(figures: Sequence[Compared]) -> None:
    """Put the figures into the page, between their marks."""
    rule = tuple("---" if heading in ("workload", "what") else "--:" for heading in HEADINGS)
    rows = [HEADINGS, rule, *map(_cells, figures)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    told = f"Measured on {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores.\n\n"
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_FIGURES.sub(lambda _: f"\n{told}{table}\n\n", page), encoding="utf-8")


def _cells(figure: Compared) -> tuple[str, ...]:
    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:,.{figure.digits}f}"

    ratio = "" if not figure.theirs else f"{figure.ours / figure.theirs:.2f}"
    return figure.workload, figure.what, shown(figure.ours), shown(figure.theirs), ratio, figure.wanted
