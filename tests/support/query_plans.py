"""The query plans of statements."""

import re

from storage.database import Pool


async def generic_plan(pool: Pool, sql: str) -> str:
    """The generic plan of a statement, for any arguments."""
    nulls = ", ".join(["NULL"] * max(int(number) for number in re.findall(r"\$(\d+)", sql)))
    async with pool.acquire() as connection:
        await connection.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE asked AS {sql}")
        rows = await connection.fetch(f"EXPLAIN EXECUTE asked({nulls})")
        await connection.execute("DEALLOCATE asked")
    return "\n".join(row[0] for row in rows)
