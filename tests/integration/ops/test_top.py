"""``server top --once`` with and without a running server."""

import asyncio
import os
import sys
from pathlib import Path

from tests.support.event_stream import open_stream
from tests.support.server import TIMEOUT_S, Site

ROOT = Path(__file__).parents[3]
ABSENT = "http://127.0.0.1:1"


async def top(folder: Path, url: str, *arguments: str) -> tuple[int, str]:
    """Run it on a terminal of 80 columns; returns its exit code and output."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GUILDWIRE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "top", "--url", url, "--interval", "0.2", *arguments),
        cwd=folder,  # away from any config.toml
        env={**environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(TIMEOUT_S):
        printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def test_one_frame_of_a_running_server_has_its_metrics(server: Site, tmp_path: Path) -> None:
    ada = await server.person("Ada", live=True)
    async with open_stream(server.url, await ada.rest.token()):
        code, printed = await top(tmp_path, server.url, "--once")

    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert code == 0, printed
    assert lines[0] == f"guildwire {server.url} ready"
    assert any("people online 1" in line for line in lines)
    assert any("sessions 1 json 1 sse" in line for line in lines)
    assert any("frames/s 0.0 in 0.0 out" in line for line in lines)
    for label in ("commands/s", "commits/s", "events/s", "CPU", "memory", "database", "unsealed"):
        assert not any(f"{label} –" in line for line in lines), printed
    assert "\x1b" not in printed


async def test_without_a_server_it_says_so_and_fails(tmp_path: Path) -> None:
    code, printed = await top(tmp_path, ABSENT, "--once")

    assert code == 1
    assert f"{ABSENT}: no answer" in printed
    assert "Traceback" not in printed
