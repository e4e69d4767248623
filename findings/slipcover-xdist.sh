#!/usr/bin/env bash
# slipcover 1.1.0 with pytest-xdist 3.8.0 (pytest 9.2.0): with --fail-under the printed table leaves out what the workers ran,
# so it says 0 % where the same run without the option says 100 %; the exit code goes by the right figure. A reader of the log
# sees a table that contradicts the verdict. So coverage of parallel tests is better judged and printed from the JSON file.
#
# Seen (lines, missing, percent):
#   plain, two workers:        4 0 100
#   --fail-under, one process: 4 0 100
#   --fail-under, two workers: 4 4 0    and exit code 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install slipcover==1.1.0 pytest==9.2.0 pytest-xdist==3.8.0
mkdir pkg
cat > pkg/__init__.py <<'PY'
def double(x):
    if x > 10:
        return x * 2
    return x + x
PY
cat > test_double.py <<'PY'
from pkg import double


def test_small():
    assert double(2) == 4


def test_large():
    assert double(20) == 40
PY
row() { grep -E '^pkg/__init__.py' | tr -s ' ' | cut -d' ' -f2-4; }
plain=$(venv/bin/python -m slipcover --source pkg -m pytest -q -n 2 | row)
alone=$(venv/bin/python -m slipcover --source pkg --fail-under 90 -m pytest -q | row)
venv/bin/python -m slipcover --source pkg --fail-under 90 -m pytest -q -n 2 > log && code=0 || code=$?
workers=$(row < log)
echo "plain, two workers:        $plain"
echo "--fail-under, one process: $alone"
echo "--fail-under, two workers: $workers, exit code $code"
[ "$plain" = "4 0 100" ] && [ "$alone" = "4 0 100" ] && [ "$workers" = "4 4 0" ] && [ "$code" = 0 ]
