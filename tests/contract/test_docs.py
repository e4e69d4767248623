"""What the documents name is there, what they show works, and what they print is what is printed."""

import asyncio
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from rich.console import Console

from protocol.rates import HOUR_S, MINUTE_S, Rate
from protocol.registry import BY_NAME
from server.app.bootstrap import VERSION
from server.app.cli import app
from server.app.config import Config
from server.app.startup_banner import Screen
from server.demo.marketplace import make_marketplace
from server.edge.config import DevConfig
from storage.database import Pool
from tests.support.documents import ROOT, table
from tests.support.server import Site

README, CHANGELOG, DECISIONS = ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "docs/decisions"
OPERATIONS, ARCHITECTURE = ROOT / "docs/operations.md", ROOT / "docs/architecture.md"
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
#: Where the README's examples find their server.
ADDRESS = "http://127.0.0.1:8080"
TIMEOUT_S = 60

PACKAGES = ("actors", "bench", "docs", "protocol", "server", "storage", "tests")
PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join(PACKAGES)})/[\w./*-]*[\w/*]|(?<=`)[\w-]+\.(?:py|sql|md|toml)(?=`)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What belongs to one machine, or to whoever once worked on it, and not to the product.
FORBIDDEN = re.compile(
    r"(?<![\w.])/(?:work|root|home|tmp|Users|mnt|opt)/"
    r"|pypi|pythonhosted|index-url|\bmirror\b|seed \d{3}|\bSPEC\b|\bDESIGN\b"
)

documents = pytest.mark.parametrize("document", DOCS, ids=lambda path: path.relative_to(ROOT).as_posix())


def text_of(document: Path) -> str:
    """A document without its changes to files, which name what is not there yet."""
    return BLOCK.sub(lambda block: "" if block[1] == "diff" else block[0], document.read_text())


def blocks(document: Path, language: str) -> list[str]:
    """The document's code in one language."""
    return [block[2] for block in BLOCK.finditer(document.read_text()) if block[1] == language]


def words(document: Path) -> set[str]:
    """What stands in backticks within its text."""
    return set(re.findall(r"`([^`\n]+)`", BLOCK.sub("", document.read_text())))


# What is named


@documents
def test_every_path_that_is_named_exists(document: Path) -> None:
    missing = {path for path in PATH.findall(text_of(document)) if not is_there(path)}

    assert not missing


def is_there(path: str) -> bool:
    """Whether it is a file, a folder or a pattern of this repository; a bare name may be anywhere in it."""
    if "/" in path:
        return any(ROOT.glob(path.rstrip("/")))
    return (ROOT / path).exists() or any(found for package in PACKAGES for found in (ROOT / package).rglob(path))


@documents
def test_every_make_target_command_and_module_that_is_named_exists(document: Path) -> None:
    text = text_of(document)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback is not None}
    commands |= {group.name for group in app.registered_groups if group.name is not None}

    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets
    assert set(re.findall(r"(?:-m server|`server) ([a-z]+)", text)) <= commands
    assert all(find_spec(module) for module in re.findall(r"-m ([a-z]\w*(?:\.\w+)*)", text) if module != "server")


@documents
def test_every_configuration_key_and_variable_that_is_named_exists(document: Path) -> None:
    keys, events = dict(config_keys()), log_events()
    sections = {key.partition(".")[0] for key in keys}
    named = {word for word in words(document) if re.fullmatch(rf"(?:{'|'.join(sections)})\.\w+", word)}
    variables = set(re.findall(r"GUILDWIRE_([A-Z]+__[A-Z_]+)", text_of(document)))

    assert named <= keys.keys() | events
    assert {variable.lower().replace("__", ".").removesuffix("_file") for variable in variables} <= keys.keys()


def config_keys() -> Iterator[tuple[str, Any]]:
    """Each key and its default."""
    for section in msgspec.structs.fields(Config):
        for field in msgspec.structs.fields(section.type):
            yield f"{section.name}.{field.name}", field.default


def log_events() -> set[str]:
    """What is ever logged."""
    sources = [
        path.read_text() for package in ("actors", "server", "storage") for path in (ROOT / package).rglob("*.py")
    ]
    return set(re.findall(r'log\.\w+\(\s*"([\w.]+)"', "\n".join(sources)))


def test_the_readme_has_every_configuration_key_with_its_default() -> None:
    said = {key.strip("`"): default.strip("`") for key, default, _ in table(README, "key")}

    assert said == {key: plain(default) for key, default in config_keys()}


def plain(default: Any) -> str:
    """A default as the environment writes it."""
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(default) if isinstance(default, tuple) else str(default)


async def test_the_operators_page_has_every_metric_and_no_other(server: Site) -> None:
    page = (await server.request("GET", "/metrics")).body.decode()
    shown = {name for name in re.findall(r"^# HELP (\w+)", page, re.MULTILINE) if not name.endswith("_created")}

    assert {name.strip("`") for name, *_ in table(OPERATIONS, "metric")} == shown


def test_the_page_of_the_protocol_has_every_rate_of_a_command() -> None:
    windows = {"a minute": MINUTE_S, "an hour": HOUR_S}
    shown = {}
    for name, said in table(ROOT / "docs/protocol.md", "command | at once, and in every"):
        times, _, window = said.partition(" ")
        shown[name.strip("`")] = Rate(int(times) / windows[window], int(times))

    assert shown == {name: declared.rate for name, declared in BY_NAME.items() if declared.rate is not None}


def test_every_log_event_of_the_operators_page_is_logged() -> None:
    named = {event for cell, *_ in table(OPERATIONS, "event") for event in re.findall(r"`([\w.]+)`", cell)}

    assert named
    assert named <= log_events()


@documents
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def anchors(document: Path) -> set[str]:
    """The names of a document's headings as links use them."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@documents
def test_the_documents_speak_of_the_product_alone(document: Path) -> None:
    assert not FORBIDDEN.findall(document.read_text())


# What is shown


@documents
def test_excerpts_are_what_the_file_says(document: Path) -> None:
    for block in blocks(document, "python"):
        head, _, excerpt = block.partition("\n")
        if PATH.fullmatch(head.removeprefix("# ")):
            assert excerpt in (ROOT / head.removeprefix("# ")).read_text(), head


def test_the_readme_shows_what_a_start_prints() -> None:
    screen = io.StringIO()
    Screen(Console(file=screen, width=40)).ready(ADDRESS, Config(dev=DevConfig(enabled=True)))

    printed = "\n".join(line.rstrip() for line in screen.getvalue().strip().splitlines())
    assert any(printed == block.strip() for block in blocks(README, ""))


async def test_the_python_example_of_the_readme_runs_as_it_says(server: Site, tmp_path: Path) -> None:
    (source,) = blocks(README, "python")
    example = tmp_path / "example.py"
    example.write_text(source.replace(ADDRESS, server.url))
    await make_marketplace(server.node, lambda done, total, what: None)

    printed = await run(sys.executable, str(example))

    assert shape_of(printed) in [shape_of(block) for block in blocks(README, "")]


def shape_of(printed: str) -> str:
    """An output without what differs each time."""
    printed = re.sub(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>", printed)
    printed = re.sub(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b", "<number>", printed)
    return re.sub(r"\b[A-Z]{3}\b", "<currency>", re.sub(r"\b\d+(?:\.\d+)?\b", "<n>", printed))


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
async def test_the_shell_example_of_the_readme_books(server: Site, tmp_path: Path) -> None:
    (source,) = blocks(README, "sh")
    example = tmp_path / "example.sh"
    example.write_text(source.replace(ADDRESS, server.url))
    await make_marketplace(server.node, lambda done, total, what: None)

    head, _, body = (await run("sh", "-eu", str(example))).partition("\r\n\r\n")

    assert head.startswith("HTTP/1.1 201 ")
    booked = msgspec.json.decode(body)
    assert booked["status"] == "PENDING"


async def run(*command: str) -> str:
    """Run a program of a document in this folder; answers what it prints."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(TIMEOUT_S):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_the_sql_of_the_documents_fits_the_schema(pool: Pool) -> None:
    statements = [sql for document in DOCS for sql in blocks(document, "sql")]

    assert statements
    for sql in statements:
        await pool.execute(f"EXPLAIN {sql.replace('…', str(uuid4()))}")


def test_the_worked_example_works(tmp_path: Path) -> None:
    """The changes that docs/architecture.md shows, made in a copy, pass the tests that they bring along."""
    for name in (*PACKAGES, "pyproject.toml"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    changed = [make_change(tmp_path, change) for change in blocks(ARCHITECTURE, "diff")]
    tests = [path for path in changed if path.startswith("tests/unit/")]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GUILDWIRE_", "PYTEST_"))}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert len(tests) == 2  # the table of transitions, and one of its own
    assert done.returncode == 0, done.stdout


def make_change(root: Path, change: str) -> str:
    """Make one change in a copy; each of its places must be there once. Answers the file's path."""
    head, *places = re.split(r"^@@\n", change, flags=re.MULTILINE)
    path = head.strip().removeprefix("+++ ")
    file = root / path
    text = file.read_text() if file.exists() else ""
    for place in places:
        lines = place.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
        after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
        assert (text.count(before) == 1) if before else not text, f"{path} has not once:\n{before}"
        text = text.replace(before, after) if before else after
    file.write_text(text)
    return path


# Their form


def test_decisions_are_numbered_and_say_context_choice_and_cost() -> None:
    decisions = sorted(DECISIONS.glob("*.md"))

    numbers = [decision.name[:4] for decision in decisions]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    for decision in decisions:
        text = decision.read_text()
        assert text.startswith(f"# {decision.name[:4]} · "), decision.name
        assert [part for part in ("**Context.**", "**Choice.**", "**What it costs.**") if part not in text] == [], (
            decision.name
        )


def test_the_changelog_has_the_version_of_this_tree() -> None:
    released = re.findall(r"^## \[([^\]]+)\]", CHANGELOG.read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert released[0] == "Unreleased"
    assert project["version"] == VERSION
    assert VERSION in released
