"""The audit: every invariant of the tables, the ledger's chain, and every state against its journal."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.actor import Actor
from actors.runtime.replay import Replay
from protocol.ids import Kind
from storage.chain import COMPLETE, UNBROKEN, UNCHANGED, SealMark, check_chain
from storage.database import Pool
from storage.verify import CHECKS, Finding, JournalEntry, Life, Violation, lives, run_check, snapshot

REPLAY = "replaying each actor's journal gives the state that is kept"
#: The names of all checks, except that of the expected seals.
INVARIANTS = (*[check.name for check in CHECKS], UNBROKEN, UNCHANGED, COMPLETE, REPLAY)

Actors = Mapping[Kind, type[Actor[Any]]]


async def verify(pool: Pool, actors: Actors, expected: Sequence[SealMark] = ()) -> AsyncIterator[Finding]:
    """Run every check, each over one snapshot of the database, yielding each finding as the check ends.

    Args:
        expected: seals that were written down, which the ledger's chain must still have.
    """
    for check in CHECKS:
        yield await run_check(pool, check)
    async with snapshot(pool) as connection:
        async for finding in check_chain(connection, expected):
            yield finding
    replayed = Violation(REPLAY)
    async for problem in _problems(pool, actors):
        replayed.add(problem)
    yield replayed.finding()


async def _problems(pool: Pool, actors: Actors) -> AsyncIterator[str]:
    check: _ReplayCheck | None = None
    async for item in lives(pool):
        if isinstance(item, Life):
            if check is not None and (problem := check.problem()):
                yield problem
            check = _ReplayCheck(item, actors)
        else:
            assert check is not None, "events follow their actor"
            check.add(item)
    if check is not None and (problem := check.problem()):
        yield problem


@dataclass(slots=True)
class _ReplayCheck:
    """The replay of one actor, until the first error."""

    life: Life
    actors: Actors
    replay: Replay | None = None
    error: Exception | None = None

    def add(self, entry: JournalEntry) -> None:
        try:
            if self.replay is None:
                self.replay = Replay(self.actors[self.life.to.kind])
            if self.error is None:
                self.replay.add(entry)
        except Exception as error:
            self.error = error

    def problem(self) -> str | None:
        """The problem; None if the replay gives the stored state."""
        try:
            if self.error is not None:
                raise self.error
            if self.replay is not None and self.replay.gives(self.life.state):
                return None
        except Exception as error:
            return f"{self.life.to}: {error!r}"
        return f"{self.life.to}: another state"
