"""Whatever several processes decide at once, a single one could have decided in some order (rule G-5)."""

import asyncio
import os
from collections import Counter as Histogram
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from actors.runtime.activation import Activations
from actors.runtime.call import Outcome
from actors.runtime.turns import Runtime
from protocol.errors import InsufficientFunds, WrongState
from protocol.registry import Command
from protocol.roles import Principal
from storage.commit import Committer, connect_committer
from storage.database import Pool
from tests.support.sample_actors import (
    Add,
    AddKnown,
    Counted,
    Look,
    Pay,
    execute,
    make_call,
    make_samples_runtime,
    person,
)
from tests.support.sample_decisions import HANG_S, declared, running

EXAMPLES = int(os.environ.get("GUILDWIRE_EXAMPLES", "30"))
STEPS_MAX = 40
COUNTERS = 2
EMPTY_ALL = """
SET LOCAL session_replication_role = replica;
DELETE FROM actors; DELETE FROM journal; DELETE FROM command_log; DELETE FROM inbox; DELETE FROM inbox_counters;
DELETE FROM transfers; DELETE FROM balances;
"""


@dataclass(frozen=True)
class Step:
    """One command: to which node, from whom, what, and whether everybody waits for its answer."""

    node: int
    principal: int
    kind: str
    target: int
    amount: int
    key: int
    pause: bool


STEPS = st.lists(
    st.builds(
        Step,
        node=st.integers(0, 1),
        principal=st.integers(1, 2),
        kind=st.sampled_from(["add", "add", "add", "known", "look", "pay", "pay"]),
        target=st.integers(0, COUNTERS - 1),
        amount=st.integers(-4, 4),
        key=st.integers(0, 80),
        pause=st.booleans(),
    ),
    min_size=1,
    max_size=STEPS_MAX,
)


@pytest.fixture
async def nodes(database_dsn: str, pool: Pool) -> AsyncIterator[list[Runtime]]:
    """Two nodes on one database."""
    with declared():
        async with (
            running(database_dsn) as first,
            running(database_dsn, Committer(partial(connect_committer, database_dsn))) as second,
        ):
            yield [make_samples_runtime(pool, committer) for committer in (first, second)]


@pytest.mark.sized
@settings(
    max_examples=EXAMPLES,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(steps=STEPS)
async def test_two_nodes_answer_as_one_after_another(nodes: list[Runtime], pool: Pool, steps: list[Step]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(EMPTY_ALL)
    for node in nodes:
        node._activations = Activations()
    sent: list[tuple[Step, Command, asyncio.Task[Outcome]]] = []
    async with asyncio.timeout(HANG_S):
        for step in steps:
            command, principal = what(step), person(step.principal)
            call = make_call(command, principal, key=f"key-{step.key}")
            sent.append((step, command, asyncio.create_task(execute(nodes[step.node], call))))
            if step.pause:
                await asyncio.wait([task for _, _, task in sent], return_when=asyncio.FIRST_COMPLETED)
        answered = [(step, command, await task) for step, command, task in sent]

    first = assert_answered_once(answered)
    for counter in range(COUNTERS):
        await assert_counter(pool, UUID(int=1 + counter), first)
    for nth in (1, 2):
        await assert_account(pool, person(nth), first)


def what(step: Step) -> Command:
    counter = UUID(int=1 + step.target)
    match step.kind:
        case "add":
            return Add(booking_id=counter, amount=step.amount)
        case "known":
            return AddKnown(booking_id=counter)
        case "look":
            return Look(booking_id=counter)
        case _:
            return Pay(amount=step.amount or 1)


Answered = list[tuple[Step, Command, Outcome]]


def assert_answered_once(answered: Answered) -> Answered:
    """Of the commands of one id exactly one was decided; who said the same got the same, who said else was refused."""
    by_id: dict[tuple[int, int], Answered] = {}
    for step, command, outcome in answered:
        by_id.setdefault((step.principal, step.key), []).append((step, command, outcome))
    first = []
    for group in by_id.values():
        decided = [one for one in group if not one[2].replayed and code(one[2]) != "command_id_reused"]
        assert len(decided) == 1, group
        first += decided
        for _, command, outcome in group:
            if command == decided[0][1]:
                assert (outcome.reply, code(outcome)) == (decided[0][2].reply, code(decided[0][2]))
            else:
                assert code(outcome) == "command_id_reused"
    return first


def code(outcome: Outcome) -> str | None:
    return None if outcome.error is None else outcome.error.code


async def assert_counter(pool: Pool, counter: UUID, answered: Answered) -> None:
    """Each answer is what the journal gives at its version."""
    rows = await pool.fetch(
        "SELECT version, data->>'value' AS value FROM journal WHERE id = $1 ORDER BY version", counter
    )
    values = [0, *[int(row["value"]) for row in rows]]
    seen: Histogram[int] = Histogram()
    for _, command, outcome in answered:
        if getattr(command, "booking_id", None) != counter:
            continue
        here = values[outcome.version]
        amount: Any = {Add: getattr(command, "amount", 0), AddKnown: 1}.get(type(command))
        if outcome.error is not None:
            assert isinstance(outcome.error, WrongState)
            assert here + amount < 0
            continue
        assert msgspec.json.decode(outcome.reply, type=Counted).value == here
        if amount is not None:
            assert here == values[outcome.version - 1] + amount
            seen[outcome.version] += 1
    assert seen == dict.fromkeys(range(1, len(values)), 1)


async def assert_account(pool: Pool, principal: Principal, answered: Answered) -> None:
    """The wallet holds what was paid, and was never short on the way."""
    paid = [
        (outcome.version, command.amount, outcome.error)
        for step, command, outcome in answered
        if isinstance(command, Pay) and person(step.principal) == principal
    ]
    balance = 0
    for _, amount, _ in sorted((version, amount, None) for version, amount, error in paid if error is None):
        balance += amount
        assert balance >= 0
    assert all(isinstance(error, InsufficientFunds) and amount < 0 for _, amount, error in paid if error)
    wallet = f"wallet/{principal.user_id}/EUR"
    assert (await pool.fetchval("SELECT balance_minor FROM balances WHERE account = $1", wallet) or 0) == balance
