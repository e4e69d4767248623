"""What the test suite itself promises: no Postgres outlives a pytest run, however the run ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from storage.embedded import MAINTENANCE_DATABASE
from tests.support.postgres import DIRECTORY_VARIABLE, ROOT, TestPostgres
from tests.support.sizes import some

TIMEOUT_S = 60

HANGING_TEST = """
import asyncio
import signal
import asyncpg

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell runs in the background

async def test_hangs(bare_dsn):
    session = await asyncpg.connect(bare_dsn)
    directory = await session.fetchval("SHOW data_directory")
    await session.close()
    print("cluster", directory, flush=True)
    await asyncio.Event().wait()
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A pytest run of its own that hangs in a test with a database."""
    (tmp_path / "test_hanging.py").write_text(HANGING_TEST)
    options = ["-s", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    environ = {name: value for name, value in os.environ.items() if name != DIRECTORY_VARIABLE}
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("end", some([signal.SIGINT, signal.SIGTERM, signal.SIGKILL], signal.SIGKILL))
def test_no_postgres_outlives_a_test_run(run: subprocess.Popen[str], end: signal.Signals) -> None:
    assert run.stdout is not None
    line = next(line for line in run.stdout if "cluster " in line)
    cluster = Path(line.split("cluster ")[1].strip())
    postmaster = psutil.Process(int((cluster / "postmaster.pid").read_text().splitlines()[0]))
    keeper = postmaster.parent()
    assert keeper is not None

    run.send_signal(end)

    _, alive = psutil.wait_procs([keeper, postmaster], timeout=TIMEOUT_S)
    assert alive == []
    assert not cluster.parents[1].exists()


async def test_a_dropped_database_leaves_nothing_on_the_server(postgres_server: TestPostgres) -> None:
    async with postgres_server.database(migrated=False) as dsn:
        name = dsn.partition("?")[0].rpartition("/")[2]

    session = await asyncpg.connect(postgres_server.address(MAINTENANCE_DATABASE))
    count = await session.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", name)
    await session.close()
    assert count == 0
