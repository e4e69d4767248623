"""Results that are not compared with pgbench, each beside its yardstick of the same run."""

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
    """One result."""

    workload: str
    #: With its unit.
    what: str
    ours: float
    #: The yardstick's value; None if there is none.
    theirs: float | None = None
    digits: int = 0
    #: The target; empty if there is none.
    wanted: str = ""


def compared_table(results: Sequence[Compared]) -> Table:
    """Make the table for the terminal."""
    table = Table(box=SIMPLE, padding=0, collapse_padding=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("workload", "what") else "right")
    for result in results:
        table.add_row(*_cells(result))
    return table


def write_compared(results: Sequence[Compared]) -> None:
    """Write the results to the page, between their markers."""
    rule = tuple("---" if heading in ("workload", "what") else "--:" for heading in HEADINGS)
    rows = [HEADINGS, rule, *map(_cells, results)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    header = f"Measured on {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores.\n\n"
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_FIGURES.sub(lambda _: f"\n{header}{table}\n\n", page), encoding="utf-8")


def _cells(result: Compared) -> tuple[str, ...]:
    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:,.{result.digits}f}"

    ratio = "" if not result.theirs else f"{result.ours / result.theirs:.2f}"
    return result.workload, result.what, shown(result.ours), shown(result.theirs), ratio, result.wanted
