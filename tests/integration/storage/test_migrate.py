"""Migrations: applied once, in order, each whole or not at all, and never against a schema they do not fit."""

import asyncio
from pathlib import Path

import pytest

from storage.database import connect
from storage.migrate import (
    DatabaseNewer,
    MigrationEdited,
    MigrationFailed,
    MigrationMalformed,
    migrate,
    read_migrations,
)

FIRST = "CREATE TABLE first (x int);"
SECOND = "CREATE TABLE second (x int); INSERT INTO second SELECT 1;"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text(FIRST)
    (tmp_path / "0002_second.sql").write_text(SECOND)
    return tmp_path


async def fetchval(dsn: str, sql: str) -> object:
    session = await connect(dsn)
    try:
        return await session.fetchval(sql)
    finally:
        await session.close()


async def test_a_fresh_database_gets_every_migration_in_order(bare_dsn: str, directory: Path) -> None:
    applied = await migrate(bare_dsn, directory=directory)

    assert applied == ["0001_first.sql", "0002_second.sql"]
    assert await fetchval(bare_dsn, "SELECT x FROM second") == 1


async def test_a_second_run_finds_nothing_to_do(bare_dsn: str, directory: Path) -> None:
    await migrate(bare_dsn, directory=directory)

    assert await migrate(bare_dsn, directory=directory) == []


async def test_only_what_is_missing_is_applied(bare_dsn: str, directory: Path) -> None:
    await migrate(bare_dsn, directory=directory)
    (directory / "0003_third.sql").write_text("ALTER TABLE first ADD y int")

    assert await migrate(bare_dsn, directory=directory) == ["0003_third.sql"]


async def test_an_edited_migration_is_refused_by_name(bare_dsn: str, directory: Path) -> None:
    await migrate(bare_dsn, directory=directory)
    (directory / "0001_first.sql").write_text(FIRST + " -- edited")

    with pytest.raises(MigrationEdited, match=r"0001_first\.sql"):
        await migrate(bare_dsn, directory=directory)


async def test_a_database_newer_than_the_program_is_refused(bare_dsn: str, directory: Path) -> None:
    await migrate(bare_dsn, directory=directory)
    (directory / "0002_second.sql").unlink()

    with pytest.raises(DatabaseNewer, match=r"0002_second\.sql"):
        await migrate(bare_dsn, directory=directory)


async def test_a_failing_migration_leaves_no_trace_and_keeps_the_earlier_ones(bare_dsn: str, directory: Path) -> None:
    (directory / "0002_second.sql").write_text(SECOND + " SELECT 1 / 0;")

    with pytest.raises(MigrationFailed, match=r"0002_second\.sql: division by zero"):
        await migrate(bare_dsn, directory=directory)

    assert await fetchval(bare_dsn, "SELECT to_regclass('second')") is None
    assert await fetchval(bare_dsn, "SELECT array_agg(name) FROM schema_migrations") == ["0001_first.sql"]


async def test_a_repaired_migration_is_applied_on_the_next_run(bare_dsn: str, directory: Path) -> None:
    (directory / "0002_second.sql").write_text("SELECT 1 / 0;")
    with pytest.raises(MigrationFailed):
        await migrate(bare_dsn, directory=directory)
    (directory / "0002_second.sql").write_text(SECOND)

    assert await migrate(bare_dsn, directory=directory) == ["0002_second.sql"]


async def test_of_several_nodes_at_once_one_migrates(bare_dsn: str, directory: Path) -> None:
    (directory / "0001_first.sql").write_text(FIRST + " SELECT pg_sleep(0.1);")

    runs = await asyncio.gather(*(migrate(bare_dsn, directory=directory) for _ in range(4)))

    assert sorted(runs, key=len) == [[], [], [], ["0001_first.sql", "0002_second.sql"]]


async def test_a_given_connection_is_used_and_left_as_it_was(bare_dsn: str, directory: Path) -> None:
    session = await connect(bare_dsn)

    await migrate(session, directory=directory)

    assert await session.fetchval("SHOW statement_timeout") == "30s"
    assert await session.fetchval("SHOW lock_timeout") == "5s"
    assert (
        await session.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        == 0
    )
    await session.close()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("0004_gap.sql", "the next number is 0003"),
        ("0002_twice.sql", "the next number is 0003"),
        ("3_short.sql", "NNNN_name"),
        ("0003_Upper.sql", "NNNN_name"),
    ],
)
def test_a_misnamed_file_is_refused(directory: Path, name: str, complaint: str) -> None:
    (directory / name).write_text("SELECT 1")

    with pytest.raises(MigrationMalformed, match=complaint):
        read_migrations(directory)


def test_our_own_migrations_are_well_named() -> None:
    assert [migration.number for migration in read_migrations()][:1] == [1]


async def test_our_own_migrations_fit_a_fresh_database(bare_dsn: str) -> None:
    assert await migrate(bare_dsn) == [migration.name for migration in read_migrations()]
