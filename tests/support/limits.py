"""All named limits, read from the code: ``make limits`` prints them as a page."""

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from protocol.rates import Rate

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocol", "actors", "storage", "server")
#: What the demo does, and what only development has, bounds nobody's product.
LEFT_OUT = ("server/demo/", "server/payments/sandbox/")
#: Each of their fields is a limit.
CLASSES = ("Limits", "RateLimits")

#: A number whose name ends so bounds something, or says how long it takes.
_BOUNDS = re.compile(r"_(MAX|MIN|S|BYTES|KIB|PASSES|LANES|THREADS|AT_ONCE|PAGE|USERS|DEFAULT)$|^PAGE$")
_SIZES = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))
_SPANS = ((24 * 3600, "d"), (3600, "h"), (60, "min"), (1, "s"))

HEAD = """# Limits

Every named bound, from the code. What an operator sets is in README; where the configuration has a say (rates,
connections, drain), it wins over what stands here.
"""


class Limit(NamedTuple):
    """One named bound."""

    name: str
    value: str
    #: What its comment says; empty if it has none.
    says: str


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        limits = [] if name.startswith(LEFT_OUT) else list(limits_of(path))
        if limits:
            rows = "\n".join(f"| `{limit.name}` | {limit.value} | {limit.says} |" for limit in limits)
            parts.append(f"## `{name}`\n\n| limit | value | what it is |\n| --- | --: | --- |\n{rows}\n")
    return "\n".join(parts)


def limits_of(path: Path) -> Iterator[Limit]:
    """The bounds that a module declares: constants, and the fields of its classes of limits."""
    lines = path.read_text().splitlines()
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.parse("\n".join(lines)).body:
        if isinstance(node, ast.ClassDef) and node.name in CLASSES:
            declared = getattr(import_module(module), node.name)()
            for name, lineno in _names(node.body):
                yield Limit(name, shown(name, getattr(declared, name)), comment_above(lines, lineno))
            continue
        for name, lineno in _names([node]):
            if name.isupper() and not name.startswith("_"):
                value = getattr(import_module(module), name)
                if isinstance(value, timedelta | Rate) or (isinstance(value, int | float) and _BOUNDS.search(name)):
                    yield Limit(name, shown(name, value), comment_above(lines, lineno))


def _names(nodes: list[ast.stmt]) -> Iterator[tuple[str, int]]:
    """What these statements assign to, and where."""
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                yield target.id, node.lineno


def comment_above(lines: list[str], lineno: int) -> str:
    """The ``#:`` lines right above a line (1-based)."""
    said: list[str] = []
    for line in reversed(lines[: lineno - 1]):
        text = line.strip()
        if not text.startswith("#:"):
            break
        said.insert(0, text.removeprefix("#:").strip())
    return " ".join(said).replace("``", "`").replace("|", "\\|")


def shown(name: str, value: Any) -> str:
    """A value for people, with its unit."""
    if isinstance(value, Rate):
        return f"{value.per_s:.3g}/s, {value.burst} at once"
    if isinstance(value, timedelta):
        return _of(round(value.total_seconds()), _SPANS)
    return _number(name.upper(), value)


def _number(name: str, value: Any) -> str:
    if "BYTES" in name:
        return _of(value, _SIZES) if value % 1024 == 0 else f"{value:,} bytes"
    if "_KIB" in name:
        return f"{value:,} KiB"
    if name.endswith("_PER_S"):
        return f"{value:g}/s"
    if name.endswith("_S"):
        return _of(int(value), _SPANS) if value >= 60 and value == int(value) else f"{value:g} s"
    return f"{value:,g}" if isinstance(value, float) else f"{value:,}"


def _of(value: int, units: tuple[tuple[int, str], ...]) -> str:
    """In the largest unit that divides it."""
    size, unit = next((size, unit) for size, unit in (*units, (1, "")) if value % size == 0)
    return f"{value // size:,} {unit}".rstrip()


if __name__ == "__main__":
    print(page())
