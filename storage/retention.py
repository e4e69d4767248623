"""What is not kept for good: old rows go in small statements, so that nobody waits for a lock or a long transaction."""

from datetime import datetime

from storage.database import Pool

#: Blocks of 8 KiB that one statement looks through, and so, with their rows, all that it can delete.
SWEEP_BLOCKS_MAX = 256


async def sweep(pool: Pool, table: str, column: str, before: datetime) -> int:
    """Delete a table's rows with an instant before that, and answer how many.

    It goes through the whole table, block by block: the work of one sequential scan a night, and no index that every
    insert would have to keep up.
    """
    blocks = await pool.fetchval(
        "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::int", table
    )
    deleted = 0
    for first in range(0, blocks, SWEEP_BLOCKS_MAX):
        status = await pool.execute(
            f"DELETE FROM {table} WHERE ctid >= $1::tid AND ctid < $2::tid AND {column} < $3",
            *((first, 0), (first + SWEEP_BLOCKS_MAX, 0), before),
        )
        deleted += int(status.rpartition(" ")[2])
    return deleted
