"""The proof of the books: every invariant of the tables, the ledger's chain, and every state against its journal."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from actors.actor import Actor
from actors.runtime.replay import differs
from protocol.ids import Kind
from storage.chain import SealMark, check_chain
from storage.database import Pool
from storage.verify import CHECKS, SAMPLES_MAX, Finding, lives, run_check, snapshot

REPLAY = "replaying each actor's journal gives the state that is kept"


async def verify(
    pool: Pool, actors: Mapping[Kind, type[Actor[Any]]], expected: Sequence[SealMark] = ()
) -> AsyncIterator[Finding]:
    """Run every check over one snapshot of the database, telling each as it ends.

    Args:
        expected: seals that were written down, which the ledger's chain must still have.
    """
    async with snapshot(pool) as connection:
        for check in CHECKS:
            yield await run_check(connection, check)
        async for finding in check_chain(connection, expected):
            yield finding
        broken: list[str] = []
        async for life in lives(connection):
            try:
                wrong = differs(actors[life.to.kind], life)
            except Exception as error:
                broken.append(f"{life.to}: {error!r}")
                continue
            if wrong:
                broken.append(f"{life.to}: another state")
        yield Finding(REPLAY, len(broken), tuple(broken[:SAMPLES_MAX]))
