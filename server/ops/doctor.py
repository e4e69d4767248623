"""``server doctor``: checks an installation before the server is started."""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from protocol.instants import ZONES_VERSION
from server.delivery.adapters import Adapter
from server.delivery.config import DeliverySections
from server.delivery.pipeline import CHANNELS, providers_of
from server.edge.adapter_error import AdapterError
from server.llm.asking import Model
from server.llm.config import LlmConfig
from server.llm.service import model_of
from server.ops.config import DatabaseConfig
from server.ops.demo_accounts import DEMO_DOMAIN, describe
from server.ops.pid_file import Running, read_pid_file
from storage.database import connect_pool
from storage.queries.demo import count_accounts_at

DISK_FREE_MIN_BYTES = 1024**3
CLOCK_SKEW_MAX_S = 2.0
POSTGRES_VERSION_MIN = 150_000
#: How long a provider may take to respond.
CHECK_TIMEOUT_S = 15.0
#: How long the check of the server's own port may take.
PORT_TIMEOUT_S = 2.0


class Sections(DeliverySections, Protocol):
    """The sections of the configuration that the doctor checks."""

    @property
    def database(self) -> DatabaseConfig: ...

    @property
    def llm(self) -> LlmConfig: ...


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check. A ``fatal`` failure prevents the server from running, or from being secure."""

    name: str
    ok: bool
    detail: str
    fatal: bool = True


async def run_doctor(config: Sections, console: Console) -> int:
    """Run and print all checks; returns the exit code."""
    worst = 0
    async for found in examine(config):
        mark = ("ok  ", "green") if found.ok else ("bad ", "red") if found.fatal else ("note", "yellow")
        console.print(Text.assemble(mark, f" {found.name}: {found.detail}"), soft_wrap=True)
        if not found.ok and found.fatal:
            worst = 1
    return worst


async def examine(config: Sections) -> AsyncIterator[Diagnosis]:
    """Run the checks one after the other."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Diagnosis("python", sys.version_info >= (3, 11), version)
    yield Diagnosis("time zones", True, f"rules of tzdata {ZONES_VERSION}")
    yield _data_dir(Path(config.server.data_dir))
    yield _keys(config.server.keys_dir)
    running = read_pid_file(Path(config.server.data_dir))
    yield _port(config.server.host, config.server.port, running)
    yield _development(config)
    if config.database.url:
        async for found in _database(config.database.url):
            yield found
    else:
        yield Diagnosis("database", True, "embedded Postgres in the data folder")
    async for found in _demo_accounts(config, config.database.url or (running.dsn if running else "")):
        yield found
    async for found in _channels(config):
        yield found
    yield await _language_model(config)


def _data_dir(path: Path) -> Diagnosis:
    place = path if path.exists() else path.absolute().parent
    if not os.access(place, os.W_OK):
        return Diagnosis("data folder", False, f"{path} cannot be written")
    free = shutil.disk_usage(place).free
    return Diagnosis("data folder", free >= DISK_FREE_MIN_BYTES, f"{path}, {free / 1024**3:.1f} GiB free")


def _keys(path: Path) -> Diagnosis:
    if not path.exists():
        return Diagnosis("signing keys", True, "made at first start")
    loose = [key.name for key in path.iterdir() if key.stat().st_mode & 0o077]
    return Diagnosis("signing keys", not loose, f"others can read {', '.join(loose)}" if loose else f"{path}")


def _port(host: str, port: int, running: Running | None) -> Diagnosis:
    try:
        with socket.create_connection((host, port), timeout=PORT_TIMEOUT_S):
            taken = True
    except socket.gaierror:
        return Diagnosis("port", False, f"{host} is not an address of this machine")
    except OSError:  # nothing listens there, or the port is 0
        taken = False
    if taken and running is not None and running.listens_at == f"{host}:{port}":
        return Diagnosis("port", True, f"{host}:{port} is that of the running server (process id {running.pid})")
    return Diagnosis("port", not taken, f"{host}:{port} is {'taken (is a server running?)' if taken else 'free'}")


def _development(config: Sections) -> Diagnosis:
    if not config.dev.enabled:
        return Diagnosis("development mode", True, "off")
    if not config.server.is_local:
        detail = "on, and others can reach it: everyone may sign in as an admin and read /dev/mailbox"
        return Diagnosis("development mode", False, detail)
    return Diagnosis("development mode", False, "on: sandbox gateway and demo accounts", fatal=False)


async def _demo_accounts(config: Sections, dsn: str) -> AsyncIterator[Diagnosis]:
    """Look for demo accounts in a database that can be read without starting one."""
    if config.dev.enabled or not dsn:
        return
    try:
        pool = await connect_pool(dsn, size_min=1, size_max=1, startup_wait_s=5.0)
    except Exception:  # reported by the check of the database
        return
    try:
        if await pool.fetchval("SELECT to_regclass('unique_keys') IS NULL"):
            return  # no server has used it yet
        count = await count_accounts_at(pool, DEMO_DOMAIN)
        yield Diagnosis("demo accounts", not count, describe(count) if count else "none")
    finally:
        await pool.close()


async def _channels(config: Sections) -> AsyncIterator[Diagnosis]:
    """Check all configured providers concurrently; for other channels, report where their messages go."""
    try:
        providers = providers_of(config, lambda: datetime.now(UTC))
    except AdapterError as error:
        yield Diagnosis("channels", False, str(error))
        return
    results = await asyncio.gather(*(_check(str(channel), provider) for channel, provider in providers.items()))
    checked = dict(zip(providers, results, strict=True))
    for channel in CHANNELS:
        if channel in checked:
            yield checked[channel]
        elif config.dev.enabled:
            yield Diagnosis(channel, True, "no provider: kept and shown at /dev/mailbox")
        else:
            yield Diagnosis(channel, False, "no provider: nothing is sent this way", fatal=False)


async def _language_model(config: Sections) -> Diagnosis:
    model = model_of(config.llm)
    if model is None:
        return Diagnosis("language model", True, "none: local rules are used")
    return await _check("language model", model)


async def _check(name: str, provider: Adapter[Any] | Model) -> Diagnosis:
    """Check that a provider can be reached with its configuration, within CHECK_TIMEOUT_S."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return Diagnosis(name, True, await provider.check())
    except TimeoutError:
        return Diagnosis(name, False, f"no answer within {CHECK_TIMEOUT_S:g} s")
    except AdapterError as error:
        return Diagnosis(name, False, str(error))
    except Exception as error:
        return Diagnosis(name, False, type(error).__name__)
    finally:
        await provider.close()


async def _database(url: str) -> AsyncIterator[Diagnosis]:
    try:
        pool = await connect_pool(url, size_min=1, size_max=1, startup_wait_s=5.0)
    except Exception as error:
        yield Diagnosis("database", False, f"{type(error).__name__}: {error}")
        return
    try:
        number = int(await pool.fetchval("SHOW server_version_num"))
        yield Diagnosis("database", number >= POSTGRES_VERSION_MIN, f"Postgres {number // 10_000}.{number % 10_000}")
        for name in ("fsync", "full_page_writes"):
            setting = await pool.fetchval(f"SHOW {name}")
            yield Diagnosis(name, setting == "on", setting)
        behind = datetime.now(UTC) - await pool.fetchval("SELECT clock_timestamp()")
        skew_s = abs(behind.total_seconds())
        yield Diagnosis("clock", skew_s <= CLOCK_SKEW_MAX_S, f"{skew_s:.2f} s from the database's")
        has = await pool.fetchval("SELECT count(*) FROM pg_available_extensions WHERE name = 'btree_gist'")
        yield Diagnosis("btree_gist", bool(has), "available" if has else "missing: install postgresql-contrib")
    finally:
        await pool.close()
