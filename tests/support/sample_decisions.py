"""Sample commands, events, rows and decisions for tests of the commit and the runtime.

The commands are in the registry only inside ``declared()``, so that tests of the public contract never see them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import ClassVar, TypeVar
from uuid import UUID, uuid4

from protocol.effects import Decision, Effect, Emitted, Logged
from protocol.events import EVENTS, Event, Row, event
from protocol.ids import AgendaId, Kind, Ref, UserId
from protocol.registry import BY_NAME, BY_TYPE, Command, Declaration, command
from protocol.roles import ANYONE
from storage.commit import Committer, connect_committer
from storage.outcomes import Committed

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

#: The longest wait of a test before it fails.
HANG_S = 30

C = TypeVar("C", bound=type[Command])
E = TypeVar("E", bound=type[Event])

_declared: list[Declaration] = []
_stamps = count(1)


def sample(name: str, actor: Kind, *, creates: bool = False) -> Callable[[C], C]:
    """Declare a command, and keep it out of the registry until ``declared()``."""

    def declare(cls: C) -> C:
        command(name, actor=actor, by=ANYONE, creates=creates)(cls)
        _declared.append(BY_TYPE.pop(cls))
        del BY_NAME[name]
        return cls

    return declare


def sample_event(name: str) -> Callable[[E], E]:
    """Declare an event, and keep it out of the registry of the product's events."""

    def declare(cls: E) -> E:
        event(name)(cls)
        del EVENTS[name]
        return cls

    return declare


@contextmanager
def declared() -> Iterator[None]:
    """Put the sample commands into the registry."""
    added = [declaration for declaration in _declared if declaration.name not in BY_NAME]
    for declaration in added:
        BY_NAME[declaration.name] = BY_TYPE[declaration.type] = declaration
    try:
        yield
    finally:
        for declaration in added:
            del BY_NAME[declaration.name], BY_TYPE[declaration.type]


@sample_event("sample.changed")
class SampleChanged(Event, frozen=True):
    """Something happened."""

    value: int = 0


@sample("sample.poke", Kind.BOOKING)
class Poke(Command, frozen=True):
    """A command for timers and messages that never fire."""

    booking_id: UUID
    value: int = 0


class SampleRow(Row, frozen=True):
    """A read row with a key of two columns."""

    table: ClassVar[str] = "sample_rows"
    key: ClassVar[tuple[str, ...]] = ("owner_id", "part")

    owner_id: UUID
    part: str
    value: int


ROWS_DDL = """
CREATE TABLE sample_rows (owner_id uuid, part text, value int CHECK (value >= 0), PRIMARY KEY (owner_id, part));
SELECT make_row_writers('sample_rows');
"""


def booking() -> Ref:
    """The address of a new actor."""
    return Ref(Kind.BOOKING, uuid4())


def make_decision(
    to: Ref,
    after: Decision | None = None,
    *,
    audiences: Sequence[Sequence[UserId]] = ((),),
    effects: Iterable[Effect] = (),
    key: str | None = None,
    principal: UserId | None = None,
    fired: AgendaId | None = None,
) -> Decision:
    """Make a decision with one event for each audience; without any it writes no state.

    Args:
        after: the decision that it builds on; None for the first one of an actor.
    """
    expected = (0, 0) if after is None else standing(after)
    principal = principal or UserId(uuid4())
    key = key or str(uuid4())
    version = expected[0] + len(audiences)
    return Decision(
        to=to,
        at=NOW,
        principal=principal,
        cause=key,
        expected_version=expected[0],
        expected_stamp=expected[1],
        version=version,
        stamp=next(_stamps),
        schema=1,
        state=b'{"version":%d}' % version if audiences else None,
        emitted=[Emitted(SampleChanged(value=nth), tuple(audience)) for nth, audience in enumerate(audiences)],
        effects=list(effects),
        log=Logged(principal, key, bytes(16), "sample.poke", not audiences, b'{"version":%d}' % version),
        fired=fired,
    )


def standing(decision: Decision) -> tuple[int, int]:
    """The version and stamp of the actor's row after the decision."""
    if decision.state is None:
        return decision.expected_version, decision.expected_stamp
    return decision.version, decision.stamp


@asynccontextmanager
async def running(dsn: str, committer: Committer | None = None) -> AsyncIterator[Committer]:
    """Run a committer on the database, with the sample commands declared."""
    committer = committer or Committer(partial(connect_committer, dsn))
    with declared():
        await committer.start()
        try:
            yield committer
        finally:
            async with asyncio.timeout(HANG_S):
                await committer.stop()


async def commit(committer: Committer, *decisions: Decision) -> list[Committed]:
    """Submit decisions at once and wait for their outcomes."""
    loop = asyncio.get_running_loop()
    answers: list[asyncio.Future[Committed]] = []
    for decision in decisions:
        answer: asyncio.Future[Committed] = loop.create_future()
        committer.submit(decision, answer.set_result)
        answers.append(answer)
    async with asyncio.timeout(HANG_S):
        return [await answer for answer in answers]


def statuses(outcomes: Iterable[Committed]) -> list[str]:
    """The statuses of outcomes."""
    return [outcome.status for outcome in outcomes]
