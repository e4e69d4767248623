"""Every column of text says whose data it holds and how long it is kept, and docs/data.md says the same.

``python -m tests.integration.storage.test_declarations`` writes docs/data.md anew.
"""

import asyncio
from pathlib import Path

import pytest

from server.ops.config import RetentionConfig
from storage.database import Pool, connect
from storage.declarations import DATA, KEPT, read_declarations, render
from tests.support.postgres import TestPostgres

PAGE = Path(__file__).parents[3] / "docs" / "data.md"


async def test_every_text_declares_whose_data_it_is_and_how_long_it_is_kept(pool: Pool) -> None:
    declared = await read_declarations(pool)

    assert [f"{one.table}.{one.column}" for one in declared if one.data is None] == []


async def test_each_word_of_the_grammar_is_used(pool: Pool) -> None:
    declared = await read_declarations(pool)

    assert {one.data for one in declared} >= set(DATA)
    assert {one.kept for one in declared} >= set(KEPT)


async def test_a_retention_that_is_named_is_a_setting(pool: Pool) -> None:
    named = {one.setting for one in await read_declarations(pool) if one.setting}

    assert named <= set(RetentionConfig.__struct_fields__)


@pytest.mark.parametrize(
    "comment",
    ["NULL", "'customer'", "'data: nobody; kept: for good'", "'data: none; kept: a while'", "'data: none'"],
)
async def test_a_text_without_a_proper_declaration_is_found(pool: Pool, comment: str) -> None:
    await pool.execute(f"CREATE TABLE extra (id int, words text[]); COMMENT ON COLUMN extra.words IS {comment}")

    assert "extra.words" in [f"{one.table}.{one.column}" for one in await read_declarations(pool) if one.data is None]


async def test_the_page_says_what_the_schema_says(pool: Pool) -> None:
    assert PAGE.read_text(encoding="utf-8") == render(await read_declarations(pool))


async def _write() -> None:
    postgres = TestPostgres()
    try:
        async with postgres.database(migrated=True) as dsn:
            session = await connect(dsn)
            PAGE.write_text(render(await read_declarations(session)), encoding="utf-8")
            await session.close()
    finally:
        await asyncio.to_thread(postgres.leave)


if __name__ == "__main__":
    asyncio.run(_write())
