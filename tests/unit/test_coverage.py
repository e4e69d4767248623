"""The share of the code that tests ran counts all lines alike, and names the files that lack most."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.coverage import PERCENT_MIN, report
from tests.support.documents import ROOT

#: 3 of 4 lines in a large file, none of 1 in a small one.
FILES = {
    "actors/large.py": {"executed_lines": [1, 2, 3], "missing_lines": [4]},
    "storage/small.py": {"executed_lines": [], "missing_lines": [1]},
    "storage/empty.py": {"executed_lines": [], "missing_lines": []},
}


def test_every_line_counts_the_same() -> None:
    _, percent = report(FILES)

    assert percent == 60


def test_packages_and_files_with_missing_lines_are_named() -> None:
    text, _ = report(FILES)

    names = [line.split()[-1] for line in text.splitlines()[:-1]]
    assert names == ["actors", "storage", "actors/large.py", "storage/small.py"]


@pytest.mark.parametrize(("executed", "code"), [(PERCENT_MIN, 0), (PERCENT_MIN - 1, 1)])
def test_less_than_the_bound_fails(tmp_path: Path, executed: int, code: int) -> None:
    lines = list(range(100))
    found = {"files": {"actors/a.py": {"executed_lines": lines[:executed], "missing_lines": lines[executed:]}}}
    written = tmp_path / "coverage.json"
    written.write_text(json.dumps(found))

    done = subprocess.run([sys.executable, "-m", "tests.support.coverage", str(written)], cwd=ROOT, check=False)

    assert done.returncode == code
