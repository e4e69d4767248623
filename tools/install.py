"""Create a virtual environment and install a lock file with hashes into it.

    python tools/install.py .venv requirements.lock

Needs only Python's standard library. pip works on one core, so it fetches the lock file in as many parts as there are
cores, and checks each package against its hashes. Then it installs all wheels at once, without byte-compiling: Python
compiles a module when it is first imported. A line of progress follows at least every two seconds.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PARTS_MAX = 4
PROGRESS_EVERY_S = 2.0

_REQUIREMENT = re.compile(r"^\w[^\s=]*==", re.MULTILINE)


class Progress:
    """Prints how far a step is, now and every two seconds until it ends."""

    def __init__(self, step: str, total: int = 0) -> None:
        self._step, self._total = step, total
        self._done = 0
        self._ended = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._print, daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def advance(self) -> None:
        """One more package is done."""
        self._done += 1

    def _print(self) -> None:
        while True:
            done = f" {self._done}/{self._total}" if self._total else ""
            print(f"{self._step}{done} ({time.monotonic() - self._started:.0f} s)", flush=True)
            if self._ended.wait(PROGRESS_EVERY_S):
                return


def main(target: Path, lock: Path) -> int:
    """Install the lock file; returns pip's exit code."""
    with Progress(f"making {target} with Python {sys.version.split()[0]}"):
        python = _make_environment(target)
    requirements = _requirements(lock.read_text())
    with tempfile.TemporaryDirectory(prefix="guildwire-") as folder:
        wheels = Path(folder, "wheels")
        with Progress("fetching packages", len(requirements)) as progress:
            code = _fetch(python, requirements, wheels, progress)
        if code:
            return code
        found = sorted(str(wheel) for wheel in wheels.glob("*.whl"))
        with Progress(f"installing {len(found)} packages"):
            return subprocess.run(
                [*_pip(python, "install"), "--no-index", "--no-compile", *found], check=False
            ).returncode


def _make_environment(target: Path) -> str:
    venv.create(target, with_pip=True, symlinks=os.name != "nt")
    return str(target / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def _requirements(lock: str) -> list[str]:
    """The lock file, one text for each requirement with its hashes."""
    starts = [match.start() for match in _REQUIREMENT.finditer(lock)]
    return [lock[start:end] for start, end in zip(starts, [*starts[1:], len(lock)], strict=True)]


def _fetch(python: str, requirements: Sequence[str], wheels: Path, progress: Progress) -> int:
    """Fetch in parts, side by side; prints what pip said if it failed, and returns its exit code."""
    parts = min(PARTS_MAX, os.cpu_count() or 1)
    options = ["--require-hashes", "--progress-bar", "off", "--wheel-dir", str(wheels)]

    def fetch(part: int) -> int:
        lock = wheels.parent / f"part{part}.lock"
        lock.write_text("".join(requirements[part::parts]))
        command = [*_pip(python, "wheel"), *options, "--requirement", str(lock)]
        said = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
            for line in pip.stdout or ():
                said.append(line)
                if line.startswith("Collecting "):
                    progress.advance()
        if pip.returncode:
            print("".join(said), file=sys.stderr)
        return pip.returncode

    with ThreadPoolExecutor(parts) as pool:
        return max(pool.map(fetch, range(parts)))


def _pip(python: str, command: str) -> list[str]:
    quiet = ["--quiet"] if command == "install" else []
    return [python, "-m", "pip", command, *quiet, "--disable-pip-version-check", "--no-deps"]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python tools/install.py ENVIRONMENT LOCK_FILE")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
