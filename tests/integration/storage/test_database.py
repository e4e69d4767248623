"""Connections: their limits, their codec, and their patience with a server that is still starting."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from storage.database import DatabaseUnreachable, Pool, connect, connect_pool

TIMEOUT_S = 60


async def test_every_session_has_its_limits(pool: Pool) -> None:
    settings = await pool.fetch("SELECT name, setting, unit FROM pg_settings WHERE name LIKE '%\\_timeout'")
    limits = {row["name"]: (row["setting"], row["unit"]) for row in settings}

    assert limits["statement_timeout"] == ("30000", "ms")
    assert limits["lock_timeout"] == ("5000", "ms")
    assert limits["idle_in_transaction_session_timeout"] == ("30000", "ms")


async def test_a_statement_past_its_limit_is_cut(database_dsn: str) -> None:
    pool = await connect_pool(database_dsn, statement_timeout_s=0.05)

    with pytest.raises(asyncpg.QueryCanceledError):
        await pool.fetchval("SELECT pg_sleep(60)")

    await pool.close()


async def test_jsonb_passes_as_text_both_ways(pool: Pool) -> None:
    assert await pool.fetchval("SELECT $1::jsonb", '{"b":1,"a":"ä"}') == '{"a": "ä", "b": 1}'


async def test_instants_come_back_in_utc(pool: Pool) -> None:
    at = await pool.fetchval("SELECT timestamptz '2026-03-29 03:30:00+02:00'")

    assert at.isoformat() == "2026-03-29T01:30:00+00:00"


async def test_each_test_has_a_database_of_its_own(pool: Pool) -> None:
    """Both of the two equal tests would fail in a shared database."""
    await pool.execute("CREATE TABLE only_mine (x int)")


async def test_each_test_has_a_database_of_its_own_again(pool: Pool) -> None:
    await pool.execute("CREATE TABLE only_mine (x int)")


async def test_a_server_that_is_not_up_yet_is_waited_for(bare_dsn: str, tmp_path: Path) -> None:
    late = tmp_path / "s"
    dsn = bare_dsn.replace(socket_dir(bare_dsn), str(late).replace("/", "%2F"))
    connecting = asyncio.create_task(connect(dsn))
    done, _ = await asyncio.wait([connecting], timeout=0.1)
    assert not done

    late.symlink_to(socket_dir(bare_dsn).replace("%2F", "/"))

    session = await asyncio.wait_for(connecting, TIMEOUT_S)
    assert await session.fetchval("SELECT 1") == 1
    await session.close()


async def test_a_server_that_never_comes_up_is_reported_without_secrets() -> None:
    with pytest.raises(DatabaseUnreachable) as refusal:
        await connect("postgresql://me:secret@localhost:1/guildwire", startup_wait_s=0.0)

    assert "localhost:1/guildwire" in str(refusal.value)
    assert "secret" not in str(refusal.value)


async def test_a_missing_database_is_no_reason_to_wait(bare_dsn: str) -> None:
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await connect(bare_dsn.replace("/test_", "/no_such_"))


def socket_dir(dsn: str) -> str:
    """Return the DSN's host, as it is quoted there."""
    return dsn.partition("host=")[2].partition("&")[0]


async def test_order_and_letters_are_those_of_the_builtin_locale(pool: Pool) -> None:
    row = await pool.fetchrow(
        "SELECT datlocprovider::text AS provider, datlocale, lower('ČŽ') AS lowered, 'Z' < 'a' AS bytewise"
        " FROM pg_database WHERE datname = current_database()"
    )

    assert row is not None
    assert tuple(row) == ("b", "C.UTF-8", "čž", True)


async def test_trigrams_keep_letters_that_are_not_ascii(pool: Pool) -> None:
    await pool.execute("CREATE EXTENSION pg_trgm")

    trigrams = await pool.fetchval("SELECT show_trgm('Šíp')")

    assert len(trigrams) == 4
    assert await pool.fetchval("SELECT similarity('Žluťoučký kůň', 'ŽLUŤOUČKÝ KŮŇ')") == 1
    assert await pool.fetchval("SELECT similarity('日本語', '日本')") > 0
