"""``make clients``: generate clients from the documents of a real server, compile them, and book with them.

Starts a server with the embedded database and demo accounts, installs the generators of ``versions.toml`` from npm and
PyPI into a temporary folder, and runs each. Needs a network; what lacks a program or its package is skipped and says
why. Exits with 1 if a generator that ran failed.

Args: names of generators; none runs all. ``--keep FOLDER`` works in that folder and leaves it.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clients.generators import COMPILED, GENERATORS, ORVAL_CONFIG, TSCONFIG, URL, Generator
from tests.support.process import readable_directory, server_process

HERE = Path(__file__).parent
#: Installing takes the longest.
COMMAND_MAX_S = 540
OUTPUT_CHARS_MAX = 1_500
SERVER = {"GUILDWIRE_DEV__ENABLED": "true"}


class Failed(Exception):
    """A command, or what it made, is not as it should be."""


def run(command: tuple[str, ...], folder: Path) -> str:
    """Run a command; returns what it printed. Raises: Failed."""
    environ = os.environ | {"PYTHONPATH": str(folder / "made"), "NO_COLOR": "1", "CI": "1"}
    environ["PATH"] = f"{folder / 'python/bin'}:{environ['PATH']}"
    try:
        done = subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, text=True, timeout=COMMAND_MAX_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{' '.join(command)}: {error}") from None
    printed = done.stdout + done.stderr
    if done.returncode:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}\n{printed[-OUTPUT_CHARS_MAX:]}")
    return printed


def install(folder: Path) -> dict[str, str]:
    """Install the packages; returns program → why it is missing."""
    versions = tomllib.loads((HERE / "versions.toml").read_text(encoding="utf-8"))
    missing = {name: "is not on this machine" for name in ("node", "npm", "java") if shutil.which(name) is None}
    if not missing.keys() & {"node", "npm"}:
        package = {"private": True, "type": "module", "dependencies": versions["npm"]}
        (folder / "package.json").write_text(json.dumps(package))
        try:
            run(("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"), folder)
        except Failed as failed:
            missing["npm"] = f"could not install: {failed}"
    try:
        if not (folder / "python").exists():
            run((sys.executable, "-m", "venv", "python"), folder)
        wanted = tuple(f"{name}=={version}" for name, version in versions["pypi"].items())
        run(("python/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted), folder)
    except Failed as failed:
        missing["python"] = missing["java"] = f"could not install: {failed}"
    return missing


def prepare(folder: Path, url: str) -> None:
    """Put the documents, programs and configurations there."""
    for name in ("openapi.json", "asyncapi.json"):
        with urllib.request.urlopen(f"{url}/{name}") as answer:
            (folder / name).write_bytes(answer.read())
    shutil.copytree(HERE / "programs", folder / "programs", dirs_exist_ok=True)
    (folder / "made").mkdir(exist_ok=True)
    for name, files in COMPILED.items():
        config = {"compilerOptions": TSCONFIG, "include": list(files)}
        (folder / f"tsconfig.{name}.json").write_text(json.dumps(config))
    (folder / "orval.config.cjs").write_text(ORVAL_CONFIG)


def attempt(generator: Generator, missing: dict[str, str], folder: Path, url: str) -> tuple[str, str]:
    """Run one generator; returns its outcome, and the details."""
    for program in generator.needs:
        if program in missing:
            return "skipped", f"{program} {missing[program]}"
    printed = ""
    try:
        for command in generator.commands:
            printed = run(tuple(url if part == URL else part for part in command), folder)
            if said := [words for words in generator.silent_about if words in printed]:
                raise Failed(f"{' '.join(command)} says {said}\n{printed[-OUTPUT_CHARS_MAX:]}")
        if wrong := generator.check(folder / "made"):
            raise Failed(f"made wrongly: {', '.join(wrong[:10])} ({len(wrong)})")
    except Failed as failed:
        return "FAILED", str(failed)
    return "ok", printed.strip().rpartition("\n")[2] if URL in generator.commands[-1] else ""


async def main(chosen: list[str], keep: Path | None) -> int:
    """Returns the exit code."""
    generators = [one for one in GENERATORS if not chosen or one.name in chosen]
    outcomes: list[str] = []
    with TemporaryDirectory(prefix="guildwire-clients-") as temporary, readable_directory() as data:
        folder = (keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        missing = await asyncio.to_thread(install, folder)
        async with server_process(data, **SERVER) as server:
            await server.start()
            await asyncio.to_thread(prepare, folder, server.url)
            for generator in generators:
                outcome, details = await asyncio.to_thread(attempt, generator, missing, folder, server.url)
                print(f"{generator.name:36} {outcome:8} {details}", flush=True)
                outcomes.append(outcome)
            await server.stop()
    return 1 if "FAILED" in outcomes or not outcomes else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make clients", description=__doc__)
    parser.add_argument("generators", nargs="*", metavar="generator")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    sys.exit(asyncio.run(main(arguments.generators, arguments.keep)))
