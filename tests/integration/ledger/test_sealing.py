"""The running server seals its ledger, shows how far it is, and ``server verify`` proves the chain (rule M-8)."""

import asyncio
import os
import re
import sys
from datetime import timedelta
from pathlib import Path

from server.ops.ledger_sealing import SEAL_EVERY_S
from storage.seal import seal
from tests.support.server import TIMEOUT_S, Site

ROOT = Path(__file__).parents[3]


async def figure(server: Site, name: str) -> float:
    page = (await server.request("GET", "/metrics")).body.decode()
    (value,) = re.findall(rf"^guildwire_{name} (\S+)$", page, re.MULTILINE)
    return float(value)


async def verified(dsn: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """What ``server verify`` answers and prints, in a terminal as narrow as there are."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GUILDWIRE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "verify", *arguments),
        cwd=folder,  # away from any config.toml
        env={**environ, "PYTHONPATH": str(ROOT), "GUILDWIRE_DATABASE__URL": dsn, "COLUMNS": "80"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(TIMEOUT_S):
        printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def test_the_server_seals_what_was_paid_by_itself_and_shows_it(server: Site) -> None:
    market = await server.market()
    await server.completed(market, await server.person())
    moved = await server.node.pool.fetchval("SELECT count(*) FROM transfers")

    await server.advance(timedelta(seconds=SEAL_EVERY_S))
    async with asyncio.timeout(TIMEOUT_S):
        while await figure(server, "ledger_sealed_total") < moved or not await figure(server, "ledger_last_seal"):
            await asyncio.sleep(0.02)

    assert moved > 0
    assert await figure(server, "ledger_unsealed") == 0
    assert await server.node.pool.fetchval("SELECT sum(transfers) FROM ledger_seals") == moved
    await server.prove()


async def test_verify_prints_the_last_seal_whole_and_finds_it_again(server: Site, tmp_path: Path) -> None:
    market = await server.market()
    await server.confirmed(market, await server.person())
    await seal(server.node.pool)
    transfers = await server.node.pool.fetchval("SELECT sum(transfers) FROM ledger_seals")

    code, printed = await verified(server.node.dsn, tmp_path)
    (noted,) = re.findall(r"^the last seal is (1:[0-9a-f]{64})$", printed, re.MULTILINE)
    assert code == 0, printed
    assert f"transfers sealed: {transfers}, waiting for their seal: 0" in printed

    assert (await verified(server.node.dsn, tmp_path, "--expect-seal", noted))[0] == 0
    number, hash_ = noted.split(":")
    other = f"{number}:{'0' * 8}{hash_[8:]}"
    code, printed = await verified(server.node.dsn, tmp_path, "--expect-seal", noted, "--expect-seal", other)
    assert code == 1
    assert f"seal 1: {'0' * 8}{hash_[8:12]}… was written down, it is {hash_[:12]}…" in printed


async def test_verify_refuses_an_expectation_that_is_no_seal(server: Site, tmp_path: Path) -> None:
    code, printed = await verified(server.node.dsn, tmp_path, "--expect-seal", "1:abc")

    assert code == 2
    assert "expect-seal" in printed
