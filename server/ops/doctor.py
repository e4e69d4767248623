"""``server doctor``: checks an installation before it runs."""

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

from server.delivery.adapters import Adapter
from server.delivery.config import DeliverySections
from server.delivery.pipeline import CHANNELS, providers_of
from server.edge.adapter_error import AdapterError
from server.llm.asking import Model
from server.llm.config import LlmConfig
from server.llm.service import model_of
from server.ops.config import DatabaseConfig
from storage.database import connect_pool

DISK_FREE_MIN_BYTES = 1024**3
CLOCK_SKEW_MAX_S = 2.0
POSTGRES_VERSION_MIN = 150_000
#: How long a provider may take to respond.
CHECK_TIMEOUT_S = 15.0
#: The same for a program that listens on the server's own port.
PORT_TIMEOUT_S = 2.0


class Sections(DeliverySections, Protocol):
    """The sections of the configuration that the doctor looks at."""

    @property
    def database(self) -> DatabaseConfig: ...

    @property
    def llm(self) -> LlmConfig: ...


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check. A ``fatal`` one prevents the server from running, or from being safe."""

    name: str
    fine: bool
    says: str
    fatal: bool = True


async def run_doctor(config: Sections, console: Console) -> int:
    """Run every check and print the results; returns the exit code."""
    worst = 0
    async for found in examine(config):
        mark = ("ok  ", "green") if found.fine else ("bad ", "red") if found.fatal else ("note", "yellow")
        console.print(Text.assemble(mark, f" {found.name}: {found.says}"), soft_wrap=True)
        if not found.fine and found.fatal:
            worst = 1
    return worst


async def examine(config: Sections) -> AsyncIterator[Diagnosis]:
    """Run the checks one after the other."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Diagnosis("python", sys.version_info >= (3, 11), version)
    yield _data_dir(Path(config.server.data_dir))
    yield _keys(config.server.keys_dir)
    yield _port(config.server.host, config.server.port)
    yield _development(config)
    if config.database.url:
        async for found in _database(config.database.url):
            yield found
    else:
        yield Diagnosis("database", True, "embedded Postgres in the data folder")
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


def _port(host: str, port: int) -> Diagnosis:
    try:
        with socket.create_connection((host, port), timeout=PORT_TIMEOUT_S):
            taken = True
    except socket.gaierror:
        return Diagnosis("port", False, f"{host} is no address of this machine")
    except OSError:  # nothing listens, or any port will do
        taken = False
    return Diagnosis("port", not taken, f"{host}:{port} is {'taken (is a server running?)' if taken else 'free'}")


def _development(config: Sections) -> Diagnosis:
    says = "on: sandbox gateway and demo accounts" if config.dev.enabled else "off"
    return Diagnosis("development mode", not config.dev.enabled, says, fatal=False)


async def _channels(config: Sections) -> AsyncIterator[Diagnosis]:
    """Check all configured providers at once, and report the channels without one."""
    try:
        providers = providers_of(config, lambda: datetime.now(UTC))
    except AdapterError as error:
        yield Diagnosis("channels", False, str(error))
        return
    said = await asyncio.gather(*(_ask(str(channel), provider) for channel, provider in providers.items()))
    asked = dict(zip(providers, said, strict=True))
    for channel in CHANNELS:
        if channel in asked:
            yield asked[channel]
        elif config.dev.enabled:
            yield Diagnosis(channel, True, "no provider: kept and shown at /dev/mailbox")
        else:
            yield Diagnosis(channel, False, "no provider: nothing is sent this way", fatal=False)


async def _language_model(config: Sections) -> Diagnosis:
    model = model_of(config.llm)
    if model is None:
        return Diagnosis("language model", True, "none: local rules answer")
    return await _ask("language model", model)


async def _ask(name: str, provider: Adapter[Any] | Model) -> Diagnosis:
    """Check a provider, with a time limit."""
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
