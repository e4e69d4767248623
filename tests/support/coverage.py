"""How much of the program the tests of this process ran: ``python -m tests.support.coverage FILE`` holds it to a bound.

FILE is what slipcover wrote. Lines of programs that a test starts as processes of their own are not counted.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Of all lines together, in percent.
PERCENT_MIN = 90
#: Files that are named, those with the most lines that were not run.
FILES_SHOWN = 15


def report(files: Mapping[str, Any]) -> tuple[str, float]:
    """The table of the packages and of the least covered files, and how many percent were run in all."""
    covered, missing = Counter[str](), Counter[str]()
    for name, found in files.items():
        for counted in (name.partition("/")[0], name):
            covered[counted] += len(found["executed_lines"])
            missing[counted] += len(found["missing_lines"])
    packages = sorted({name.partition("/")[0] for name in files})
    least = [name for name, count in missing.most_common() if count and name in files][:FILES_SHOWN]
    total = _percent(sum(covered[name] for name in packages), sum(missing[name] for name in packages))
    lines = [f"{_percent(covered[name], missing[name]):6.1f} %  {missing[name]:5} missing  {name}" for name in packages]
    lines += [f"{_percent(covered[name], missing[name]):6.1f} %  {missing[name]:5} missing  {name}" for name in least]
    return "\n".join([*lines, f"{total:6.1f} %  in all, at least {PERCENT_MIN}"]), total


def _percent(covered: int, missing: int) -> float:
    return 100 * covered / (covered + missing) if covered + missing else 100.0


if __name__ == "__main__":
    text, percent = report(json.loads(Path(sys.argv[1]).read_bytes())["files"])
    print(text)
    sys.exit(percent < PERCENT_MIN)
