"""The server with a sampler beside it: ``python -m bench.profiled <control directory> run``.

A thread looks a thousand times a second where the event loop's thread is, for as long as the control directory holds a
file ``sampling``, whose content names what goes on. What it saw is written to ``<name>.samples`` afterwards. Time
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

EVERY_S = 0.001
LOOK_EVERY_S = 0.05
#: The sampler asks for the interpreter's lock; the default would let the loop run on for 5 ms first.
SWITCH_INTERVAL_S = 0.000_2
DEPTH_MAX = 60
LINES = 45
CONTROL = "sampling"


class Profile:
    """The bench's side of it."""

    def __init__(self, home: Path) -> None:
        self._home = home / "profile"
        self._home.mkdir()
        self._names: list[str] = []

    @property
    def launcher(self) -> tuple[str, ...]:
        """What is run instead of the server."""
        return "bench.profiled", str(self._home)

    def watch(self, name: str | None) -> None:
        """Sample from now on, under this name; None: no more."""
        control = self._home / CONTROL
        if name is None:
            control.unlink(missing_ok=True)
        else:
            self._names.append(name)
            control.write_text(name)

    def read(self) -> str:
        """What was seen, once the server has stopped."""
        found = [self._home / f"{name}.samples" for name in self._names]
        return "\n\n".join(path.read_text() for path in found if path.exists())


class Sampler(threading.Thread):
    """Looks where a thread is."""

    def __init__(self, home: Path, thread_id: int) -> None:
        super().__init__(daemon=True)
        self._home = home
        self._thread_id = thread_id

    def run(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        control = self._home / CONTROL
        while True:
            time.sleep(LOOK_EVERY_S)
            if control.exists() and (name := control.read_text()):
                text = self._sample(control)
                (self._home / f"{name}.samples").write_text(f"{name}\n{text}")

    def _sample(self, control: Path) -> str:
        own: Counter[str] = Counter()
        within: Counter[str] = Counter()
        seen, look_at = 0, 0.0
        while time.monotonic() < look_at or control.exists():
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + LOOK_EVERY_S
            time.sleep(EVERY_S)
            stack = _stack(sys._current_frames().get(self._thread_id))
            if stack:
                seen += 1
                own[stack[0]] += 1
                within.update(set(stack))
        return _table(own, within, seen)


def _stack(frame: FrameType | None) -> list[str]:
    """Innermost first."""
    stack: list[str] = []
    while frame is not None and len(stack) < DEPTH_MAX:
        code = frame.f_code
        path = code.co_filename.removeprefix(f"{ROOT}/").removeprefix(f"{STDLIB}/").rpartition("site-packages/")[2]
        stack.append(f"{path}:{code.co_qualname}")
        frame = frame.f_back
    return stack


def _table(own: Counter[str], within: Counter[str], seen: int) -> str:
    """The functions in which, and the ones within which, the loop was most often."""
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
