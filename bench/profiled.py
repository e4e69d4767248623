"""The server with a sampling profiler: ``python -m bench.profiled <control directory> run``.

A thread samples the stack of the event loop's thread a thousand times a second, while the control directory contains a
file ``sampling``, whose content is the name of the run. The samples are written to ``<name>.samples`` afterwards. Time
inside C code counts for the Python function that called it.
"""

import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from bench.machine import ROOT

STDLIB = Path(os.__file__).parent

SAMPLE_EVERY_S = 0.001
POLL_EVERY_S = 0.05
#: Lets the sampler get the GIL soon; by default the loop would keep it for 5 ms.
SWITCH_INTERVAL_S = 0.000_2
DEPTH_MAX = 60
LINES = 45
CONTROL = "sampling"


class Profile:
    """Controls the profiler from the benchmark's process."""

    def __init__(self, home: Path) -> None:
        self._home = home / "profile"
        self._home.mkdir()
        self._names: list[str] = []

    @property
    def launcher(self) -> tuple[str, ...]:
        """The module that is run instead of the server, with its argument."""
        return "bench.profiled", str(self._home)

    def watch(self, name: str | None) -> None:
        """Start sampling under this name; None stops it."""
        control = self._home / CONTROL
        if name is None:
            control.unlink(missing_ok=True)
        else:
            self._names.append(name)
            control.write_text(name)

    def read(self) -> str:
        """Read the results, once the server has stopped."""
        found = [self._home / f"{name}.samples" for name in self._names]
        return "\n\n".join(path.read_text() for path in found if path.exists())


class Sampler(threading.Thread):
    """Samples the stack of a thread."""

    def __init__(self, home: Path, thread_id: int) -> None:
        super().__init__(daemon=True)
        self._home = home
        self._thread_id = thread_id

    def run(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        control = self._home / CONTROL
        while True:
            time.sleep(POLL_EVERY_S)
            if control.exists() and (name := control.read_text()):
                text = self._sample(control)
                (self._home / f"{name}.samples").write_text(f"{name}\n{text}")

    def _sample(self, control: Path) -> str:
        own: Counter[str] = Counter()
        within: Counter[str] = Counter()
        seen, poll_at = 0, 0.0
        while time.monotonic() < poll_at or control.exists():
            if time.monotonic() >= poll_at:
                poll_at = time.monotonic() + POLL_EVERY_S
            time.sleep(SAMPLE_EVERY_S)
            stack = _stack(sys._current_frames().get(self._thread_id))
            if stack:
                seen += 1
                own[stack[0]] += 1
                within.update(set(stack))
        return _table(own, within, seen)


def _stack(frame: FrameType | None) -> list[str]:
    """The functions on a stack, innermost first."""
    stack: list[str] = []
    while frame is not None and len(stack) < DEPTH_MAX:
        code = frame.f_code
        path = code.co_filename.removeprefix(f"{ROOT}/").removeprefix(f"{STDLIB}/").rpartition("site-packages/")[2]
        stack.append(f"{path}:{code.co_qualname}")
        frame = frame.f_back
    return stack


def _table(own: Counter[str], within: Counter[str], seen: int) -> str:
    """The functions with the most samples: their own, and including the functions that they call."""
    lines = [f"{seen} samples", "", "   own  within"]
    shown = {name for name, _ in own.most_common(LINES)}
    lines += [f"{own[name]:6} {within[name]:7}  {name}" for name, _ in own.most_common(LINES)]
    rest = [(name, count) for name, count in within.most_common(2 * LINES) if name not in shown]
    lines += ["", "   own  within  (callers)"]
    lines += [f"{own[name]:6} {count:7}  {name}" for name, count in rest[:LINES]]
    return "\n".join(lines)


if __name__ == "__main__":
    from server.app.cli import app

    Sampler(Path(sys.argv.pop(1)), threading.get_ident()).start()
    app()
