"""The results as a table: on the terminal, and in docs/benchmarks.md."""

import os
import re
from datetime import UTC, datetime

from rich.box import SIMPLE
from rich.table import Table

from bench.machine import ROOT
from bench.measured import TARGETS, Measured, yardstick_of

PAGE = ROOT / "docs" / "benchmarks.md"
_FIGURES = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- /figures -->)", re.DOTALL)

#: CPU time, user and system, is for one request.
HEADINGS = ("workload", "per s", "× pgbench", "p50 ms", "p99 ms", "µs server", "Postgres", "client", "batch", "others")


def results_table(runs: list[Measured]) -> Table:
    """Make the table for the terminal."""
    table = Table(box=SIMPLE, padding=0, collapse_padding=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "workload" else "right", no_wrap=True)
    for cells in _rows(runs):
        table.add_row(*cells)
    return table


def write_page(runs: list[Measured], *, seconds: int, committers: int) -> None:
    """Write the results to the page, between its markers."""
    rows = [HEADINGS, tuple("---" if heading == "workload" else "--:" for heading in HEADINGS), *_rows(runs)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    header = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, {seconds} s each,"
        f" {committers} committer{'s' if committers > 1 else ''}.\n\n"
    )
    PAGE.write_text(
        _FIGURES.sub(lambda _: f"\n{header}{table}\n\n", PAGE.read_text(encoding="utf-8")), encoding="utf-8"
    )


def _rows(runs: list[Measured]) -> list[tuple[str, ...]]:
    yardstick = yardstick_of(runs)
    return [
        (
            run.name,
            f"{run.rate:,.0f}",
            f"{run.rate / yardstick:.2f}",
            f"{run.p50_s * 1e3:.1f}",
            "" if run.p99_s is None else f"{run.p99_s * 1e3:.1f}",
            "" if run.batch is None else f"{run.server_s * 1e6:.0f}",
            f"{run.postgres_s * 1e6:.0f}",
            f"{run.client_s * 1e6:.0f}",
            "" if run.batch is None else f"{run.batch:.0f}",
            f"{run.others_cores:.1f}",
        )
        for run in runs
    ]


def targets() -> str:
    """Describe the targets."""
    wanted = [f"{name} ≥ {ratio} × pgbench with p99 < {p99_ms} ms" for name, (ratio, p99_ms) in TARGETS.items()]
    return ", ".join(wanted)
