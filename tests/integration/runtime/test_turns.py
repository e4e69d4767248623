"""Turns: pipelining, the output gate, retries, reruns and bounds (rules G-1, G-4)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from actors.runtime import retries, turns
from actors.runtime.call import Call, Outcome, Published
from actors.runtime.limits import MAILBOX_MAX, PIPELINE_MAX, RERUNS_MAX, WAITING_RETRIES_MAX
from actors.runtime.observer import Observer
from actors.runtime.turns import Runtime
from protocol.errors import (
    Busy,
    CommandIdReused,
    InFlight,
    InsufficientFunds,
    Internal,
    NoStaffFree,
    Unavailable,
    VersionMismatch,
    WrongState,
)
from protocol.ids import Ref, UserId
from protocol.registry import Command
from protocol.roles import Principal
from storage.actors import Stored
from storage.commit import Committer, connect_committer
from storage.database import Pool
from storage.outcomes import OK, STALE
from tests.support.sample_actors import (
    Add,
    AddKnown,
    AddLater,
    Ask,
    Candidates,
    Counted,
    Crash,
    Gate,
    Hold,
    HolderState,
    Known,
    Look,
    OpenCounter,
    Pay,
    Tell,
    execute,
    free_staff,
    make_call,
    make_samples_runtime,
    person,
)
from tests.support.sample_decisions import HANG_S, declared, running

TAKEN = "slots_no_overlap"


@pytest.fixture(autouse=True)
def catalogue() -> Any:
    with declared():
        yield


@pytest.fixture
async def committer(database_dsn: str) -> AsyncIterator[Committer]:
    async with running(database_dsn) as committer:
        yield committer


@pytest.fixture
async def runtime(pool: Pool, committer: Committer) -> Runtime:
    return make_samples_runtime(pool, committer)


Send = Callable[..., Awaitable[Outcome]]


async def send(runtime: Runtime, command: Command, principal: Principal | None = None, **options: Any) -> Outcome:
    async with asyncio.timeout(HANG_S):
        return await execute(runtime, make_call(command, principal, **options))


async def settled() -> None:
    """Let everything run that is ready to run."""
    for _ in range(10):
        await asyncio.sleep(0)


def value(outcome: Outcome) -> int:
    assert outcome.error is None, outcome
    return msgspec.json.decode(outcome.reply, type=Counted).value


# The gate


async def test_a_turn_builds_on_a_decision_whose_commit_is_under_way() -> None:
    gate, counter = Gate(), uuid4()
    outcomes: list[Outcome] = []
    runtime = make_samples_runtime(None, gate)

    for _ in range(3):
        runtime.submit(make_call(Add(booking_id=counter), done=outcomes.append))
    await settled()
    decisions = [decision for decision, _ in gate.held]
    gate.answer(OK, OK, OK)

    assert [decision.expected_version for decision in decisions] == [0, 1, 2]
    assert [decision.expected_stamp for decision in decisions[1:]] == [decision.stamp for decision in decisions[:2]]
    assert [value(outcome) for outcome in outcomes] == [1, 2, 3]


async def test_nothing_of_a_turn_is_heard_before_its_commit() -> None:
    gate, counter = Gate(), uuid4()
    heard: list[object] = []
    runtime = make_samples_runtime(
        None, gate, publish=heard.append, scheduled=lambda to, effect: heard.append((to, effect))
    )
    runtime.send = lambda effect, cause: heard.append(effect)

    runtime.submit(make_call(Add(booking_id=counter), done=heard.append))
    runtime.submit(make_call(AddLater(booking_id=counter, after_s=1), done=heard.append))
    runtime.submit(make_call(Tell(booking_id=counter, other_id=counter), done=heard.append))
    runtime.submit(make_call(Add(booking_id=counter, amount=-9), done=heard.append))
    await settled()
    assert (len(gate.held), heard) == (4, [])

    for count in (2, 5, 8, 9):  # event and reply; event, timer and reply; event, message and reply; the refusal
        gate.answer(OK)
        assert len(heard) == count


async def test_an_answer_is_in_the_database_when_it_is_heard(pool: Pool, committer: Committer) -> None:
    gate, counter = Gate(committer), uuid4()
    heard: list[Published] = []
    runtime = make_samples_runtime(pool, gate, publish=heard.append)
    answer = asyncio.create_task(send(runtime, Add(booking_id=counter)))
    async with asyncio.timeout(HANG_S):
        while not gate.held:
            await asyncio.sleep(0)
    assert (heard, await pool.fetchval("SELECT count(*) FROM command_log")) == ([], 0)

    gate.let_through()

    assert value(await answer) == 1
    assert [published.version for published in heard] == [1]
    assert await pool.fetchval("SELECT state->>'value' FROM actors") == "1"


async def test_facts_wait_until_the_actor_is_durable() -> None:
    gate, counter = Gate(), uuid4()
    asked: list[Ask] = []

    async def load(asks: Sequence[Ask]) -> list[Known]:
        asked.extend(asks)
        return [Known(10) for _ in asks]

    runtime = make_samples_runtime(None, gate, {Known: load})
    runtime.submit(make_call(Add(booking_id=counter)))
    runtime.submit(make_call(AddKnown(booking_id=counter)))
    runtime.submit(make_call(Add(booking_id=counter)))
    await settled()
    assert (len(gate.held), asked) == (1, [])

    gate.answer(OK)
    await settled()

    assert len(asked) == 1
    assert [decision.version for decision, _ in gate.held] == [2, 3]  # the last one does not wait for the facts' commit


async def test_the_reply_tells_the_senders_own_inbox_number(runtime: Runtime) -> None:
    counter = uuid4()

    assert [(await send(runtime, Add(booking_id=counter))).seq for _ in range(3)] == [1, 2, 3]
    assert (await send(runtime, Look(booking_id=counter))).seq is None


async def test_a_command_that_changes_nothing_is_answered_and_logged(runtime: Runtime, pool: Pool) -> None:
    counter = uuid4()
    await send(runtime, Add(booking_id=counter, amount=7))

    outcome = await send(runtime, Look(booking_id=counter), key="look")

    assert (value(outcome), outcome.version) == (7, 1)
    assert await pool.fetchval("SELECT count(*) FROM command_log WHERE key = 'look' AND NOT refused") == 1


# Retries


async def test_a_retry_gets_the_first_answer(runtime: Runtime) -> None:
    counter = uuid4()
    first = await send(runtime, Add(booking_id=counter), key="one")
    await send(runtime, Add(booking_id=counter))

    again = await send(runtime, Add(booking_id=counter), key="one")

    assert (again.replayed, again.version, again.reply, again.seq) == (True, first.version, first.reply, first.seq)
    assert value(await send(runtime, Look(booking_id=counter))) == 2


async def test_a_retried_create_gets_the_first_ones_id(runtime: Runtime, pool: Pool) -> None:
    first = await send(runtime, OpenCounter(value=5), key="open")

    again = await send(runtime, OpenCounter(value=5), key="open")

    assert (again.to, again.replayed) == (first.to, True)
    assert await pool.fetchval("SELECT count(*) FROM actors") == 1


async def test_a_refusal_is_logged_and_a_retry_is_refused_alike(runtime: Runtime) -> None:
    counter = uuid4()
    first = await send(runtime, Add(booking_id=counter, amount=-1), key="one")
    await send(runtime, Add(booking_id=counter, amount=5))

    again = await send(runtime, Add(booking_id=counter, amount=-1), key="one")

    assert isinstance(first.error, WrongState)
    assert isinstance(again.error, WrongState)
    assert (again.error.fields, again.replayed, first.replayed) == (first.error.fields, True, False)


async def test_the_same_id_for_something_else_is_refused(runtime: Runtime) -> None:
    counter = uuid4()
    await send(runtime, Add(booking_id=counter), key="one")

    outcome = await send(runtime, Add(booking_id=counter, amount=2), key="one")

    assert isinstance(outcome.error, CommandIdReused)


async def test_another_persons_id_is_another_command(runtime: Runtime) -> None:
    counter = uuid4()
    await send(runtime, Add(booking_id=counter), person(1), key="one")

    assert value(await send(runtime, Add(booking_id=counter), person(2), key="one")) == 2


async def test_a_retry_in_flight_waits_for_the_first() -> None:
    gate, counter = Gate(), uuid4()
    outcomes: list[Outcome] = []
    runtime = make_samples_runtime(None, gate)
    for _ in range(2):
        runtime.submit(make_call(Add(booking_id=counter), key="one", done=outcomes.append))
    await settled()
    assert (len(gate.held), outcomes) == (1, [])

    gate.answer(OK)

    assert [(value(outcome), outcome.replayed) for outcome in outcomes] == [(1, False), (1, True)]


async def test_a_retry_in_flight_for_something_else_is_refused() -> None:
    gate, counter = Gate(), uuid4()
    outcomes: list[Outcome] = []
    runtime = make_samples_runtime(None, gate)
    runtime.submit(make_call(Add(booking_id=counter), key="one"))
    runtime.submit(make_call(Add(booking_id=counter, amount=2), key="one", done=outcomes.append))
    await settled()

    assert [type(outcome.error) for outcome in outcomes] == [CommandIdReused]


async def test_a_reused_id_does_not_affect_the_first_command(runtime: Runtime) -> None:
    counter = uuid4()
    first = await send(runtime, Add(booking_id=counter), key="one")

    misuse, retry = await asyncio.gather(
        send(runtime, Add(booking_id=counter, amount=2), key="one"), send(runtime, Add(booking_id=counter), key="one")
    )

    assert isinstance(misuse.error, CommandIdReused)
    assert (retry.reply, retry.replayed) == (first.reply, True)


async def test_a_retry_in_flight_waits_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "RETRY_WAIT_S", 0.0)
    gate, counter = Gate(), uuid4()
    runtime = make_samples_runtime(None, gate)
    runtime.submit(make_call(Add(booking_id=counter), key="one"))

    outcome = await send(runtime, Add(booking_id=counter), key="one")

    assert isinstance(outcome.error, InFlight)
    gate_answer = asyncio.create_task(send(runtime, Look(booking_id=counter)))
    await settled()
    gate.answer(OK, OK)  # a retry that has timed out gets no second outcome
    assert value(await gate_answer) == 1


async def test_only_so_many_retries_wait_for_one_command() -> None:
    gate, counter = Gate(), uuid4()
    outcomes: list[Outcome] = []
    runtime = make_samples_runtime(None, gate)
    for _ in range(WAITING_RETRIES_MAX + 2):
        runtime.submit(make_call(Add(booking_id=counter), key="one", done=outcomes.append))

    assert [type(outcome.error) for outcome in outcomes] == [InFlight]
    await settled()
    gate.answer(OK)
    assert len(outcomes) == WAITING_RETRIES_MAX + 2


async def test_after_a_fault_the_same_id_runs_anew() -> None:
    gate, counter = Gate(), uuid4()
    outcomes: list[Outcome] = []
    runtime = make_samples_runtime(None, gate)
    for status, fault in (("fault", Unavailable()), (OK, None)):
        runtime.submit(make_call(Add(booking_id=counter), key="one", done=outcomes.append))
        await settled()
        gate.answer(status, fault=fault)

    assert isinstance(outcomes[0].error, Unavailable)
    assert (value(outcomes[1]), outcomes[1].replayed) == (1, False)


# Another process, lost claims


async def test_a_command_is_decided_again_when_another_process_moved_the_actor(
    database_dsn: str, pool: Pool, runtime: Runtime
) -> None:
    counter = uuid4()
    await send(runtime, Add(booking_id=counter))
    async with running(database_dsn, Committer(partial(connect_committer, database_dsn))) as other:
        assert value(await send(make_samples_runtime(pool, other), Add(booking_id=counter, amount=10))) == 11

        outcomes = await asyncio.gather(*[send(runtime, Add(booking_id=counter)) for _ in range(5)])

    assert [value(outcome) for outcome in outcomes] == [12, 13, 14, 15, 16]


async def test_a_refusal_never_rests_on_a_stale_activation(database_dsn: str, pool: Pool, runtime: Runtime) -> None:
    counter = uuid4()
    await send(runtime, Add(booking_id=counter))
    async with running(database_dsn, Committer(partial(connect_committer, database_dsn))) as other:
        await send(make_samples_runtime(pool, other), Add(booking_id=counter, amount=10))

    assert value(await send(runtime, Add(booking_id=counter, amount=-5))) == 6


async def test_who_loses_a_claim_looks_at_the_facts_again(pool: Pool, committer: Committer) -> None:
    staff = [UserId(UUID(int=nth)) for nth in (1, 2, 3)]
    runtime = make_samples_runtime(pool, committer, {Candidates: free_staff(pool, staff)})

    outcomes = await asyncio.gather(*[send(runtime, Hold()) for _ in range(5)])

    held = [msgspec.json.decode(o.reply, type=HolderState).staff_id for o in outcomes if o.error is None]
    assert sorted(held) == staff
    assert [type(outcome.error) for outcome in outcomes if outcome.error] == [NoStaffFree] * 2


async def test_who_loses_a_claim_without_facts_is_refused_for_good(runtime: Runtime, pool: Pool) -> None:
    first = await send(runtime, Pay(amount=-5), key="one")
    await send(runtime, Pay(amount=5))

    again = await send(runtime, Pay(amount=-5), key="one")

    assert isinstance(first.error, InsufficientFunds)
    assert isinstance(again.error, InsufficientFunds)
    assert again.replayed
    assert await pool.fetchval("SELECT balance_minor FROM balances") == 5


async def test_what_stands_behind_a_refused_claim_keeps_its_order(runtime: Runtime) -> None:
    outcomes = await asyncio.gather(*[send(runtime, Pay(amount=amount)) for amount in (5, -9, 1, -6, -1)])

    errors = [outcome.error and type(outcome.error) for outcome in outcomes]
    assert errors == [None, InsufficientFunds, None, None, InsufficientFunds]
    assert [value(outcome) for outcome in outcomes if outcome.error is None] == [1, 2, 3]


async def test_a_version_that_the_sender_did_not_expect_is_refused(runtime: Runtime) -> None:
    counter = uuid4()
    await send(runtime, Add(booking_id=counter))

    assert isinstance((await send(runtime, Add(booking_id=counter), if_version=2)).error, VersionMismatch)
    assert value(await send(runtime, Add(booking_id=counter), if_version=1)) == 2


# Bounds


async def test_a_full_mailbox_is_busy() -> None:
    gate, counter = Gate(), uuid4()
    outcomes: list[Outcome] = []
    runtime = make_samples_runtime(None, gate)
    for _ in range(MAILBOX_MAX + 1):
        runtime.submit(make_call(Add(booking_id=counter), done=outcomes.append))

    assert [type(outcome.error) for outcome in outcomes] == [Busy]


async def test_only_so_many_decisions_of_an_actor_are_under_way() -> None:
    gate, counter = Gate(), uuid4()
    runtime = make_samples_runtime(None, gate)
    for _ in range(PIPELINE_MAX + 5):
        runtime.submit(make_call(Add(booking_id=counter)))
    await settled()
    assert len(gate.held) == PIPELINE_MAX

    gate.answer(OK, OK)

    assert len(gate.held) == PIPELINE_MAX


class Reruns(Observer):
    """Counts them."""

    def __init__(self) -> None:
        self.count = 0

    def rerun(self, call: Any, status: str) -> None:
        self.count += 1


async def test_a_command_is_decided_again_only_so_often() -> None:
    gate, counter, reruns = Gate(), uuid4(), Reruns()
    outcomes: list[Outcome] = []
    runtime = make_samples_runtime(None, gate, observer=reruns)
    runtime.submit(make_call(Add(booking_id=counter), done=outcomes.append))
    while not outcomes:
        await settled()
        gate.answer(STALE)

    assert [type(outcome.error) for outcome in outcomes] == [Busy]
    assert reruns.count == RERUNS_MAX


async def test_who_only_stands_behind_a_failing_command_is_not_charged_for_it(runtime: Runtime) -> None:
    outcomes = await asyncio.gather(*[send(runtime, Pay(amount=-1)) for _ in range(PIPELINE_MAX)])

    assert {type(outcome.error) for outcome in outcomes} == {InsufficientFunds}


async def test_idle_actors_make_room(monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    monkeypatch.setattr(turns, "ACTIVATIONS_MAX", 3)
    counters = [uuid4() for _ in range(5)]
    for counter in counters:
        await send(runtime, Add(booking_id=counter))

    assert runtime.activations == 3
    assert [value(await send(runtime, Add(booking_id=counter))) for counter in counters] == [2] * 5


async def test_an_actor_at_work_is_never_put_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "ACTIVATIONS_MAX", 1)
    gate = Gate()
    outcomes: list[Outcome] = []
    runtime = make_samples_runtime(None, gate)
    counters = [uuid4(), uuid4()]
    for counter in counters * 2:
        runtime.submit(make_call(Add(booking_id=counter), done=outcomes.append))
    await settled()

    assert sorted(decision.version for decision, _ in gate.held) == [1, 1, 2, 2]


async def test_the_actor_that_was_idle_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "ACTIVATIONS_MAX", 3)
    read: list[UUID] = []

    async def load(refs: Sequence[Ref]) -> list[Stored]:
        read.extend(ref.id for ref in refs)
        return [Stored(ref) for ref in refs]

    gate = Gate()
    runtime = make_samples_runtime(None, gate, load_states=load)
    first, second, third, fourth = (uuid4() for _ in range(4))
    for counter in (first, second, third, first):  # the first is idle again, later than the others
        runtime.submit(make_call(Add(booking_id=counter)))
        await settled()
        gate.answer(OK)

    runtime.submit(make_call(Add(booking_id=fourth)))
    for counter in (first, third, second):
        runtime.submit(make_call(Add(booking_id=counter)))
    await settled()

    assert read == [first, second, third, fourth, second]


async def test_a_command_that_is_refused_as_busy_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "IN_FLIGHT_MAX", 1)
    outcomes: list[Outcome] = []
    runtime = make_samples_runtime(None, Gate())
    for _ in range(2):
        runtime.submit(make_call(Add(booking_id=uuid4()), done=outcomes.append))

    assert [type(outcome.error) for outcome in outcomes] == [Busy]
    assert (runtime.activations, runtime.in_flight) == (1, 1)


async def test_idle_actors_are_dropped(monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    monkeypatch.setattr(turns, "IDLE_S", -1.0)
    counter = uuid4()
    await send(runtime, Add(booking_id=counter))

    assert (await runtime.passivate(), runtime.activations) == (1, 0)
    assert value(await send(runtime, Add(booking_id=counter))) == 2


async def test_drained_means_that_every_command_has_its_answer(runtime: Runtime) -> None:
    outcomes: list[Outcome] = []
    for _ in range(50):
        runtime.submit(make_call(Add(booking_id=uuid4()), done=outcomes.append))

    async with asyncio.timeout(HANG_S):
        await runtime.drain()

    assert (len(outcomes), runtime.in_flight) == (50, 0)


# Bugs


async def test_a_crash_is_internal_and_the_actor_goes_on(runtime: Runtime) -> None:
    counter = uuid4()
    await send(runtime, Add(booking_id=counter))

    crashed, after = await asyncio.gather(
        send(runtime, Crash(booking_id=counter)), send(runtime, Add(booking_id=counter))
    )

    assert isinstance(crashed.error, Internal)
    assert value(after) == 2


async def test_a_state_newer_than_this_server_is_left_alone() -> None:
    async def newer(refs: Sequence[Ref]) -> list[Stored]:
        return [Stored(ref, 3, 4, 2, b'{"value":1}') for ref in refs]

    gate = Gate()
    runtime = make_samples_runtime(None, gate, load_states=newer)

    outcome = await send(runtime, Add(booking_id=uuid4()))

    assert isinstance(outcome.error, Unavailable)
    assert gate.held == []


async def test_a_state_that_cannot_be_read_is_internal() -> None:
    async def broken(refs: Sequence[Ref]) -> list[Stored]:
        return [Stored(ref, 3, 4, 1, b'{"value":"many"}') for ref in refs]

    outcome = await send(make_samples_runtime(None, Gate(), load_states=broken), Add(booking_id=uuid4()))

    assert isinstance(outcome.error, Internal)


@pytest.mark.parametrize("deaf", ["publish", "scheduled", "send", "done", "observer"])
async def test_a_crashing_listener_does_not_keep_others_from_their_outcome(
    pool: Pool, committer: Committer, deaf: str
) -> None:
    def crash(*args: object) -> None:
        raise RuntimeError("a bug in a listener")

    class DeafObserver(Observer):
        def finished(self, call: Call, outcome: Outcome, seconds: float) -> None:
            crash()

    runtime = make_samples_runtime(pool, committer, observer=DeafObserver() if deaf == "observer" else None)
    if deaf in ("publish", "scheduled", "send"):
        setattr(runtime, deaf, crash)
    counter = uuid4()
    if deaf == "done":
        runtime.submit(make_call(Add(booking_id=counter), done=crash))
        runtime.submit(make_call(Add(booking_id=counter, amount=-9), done=crash))

    commands: list[Command] = [
        Add(booking_id=counter),
        AddLater(booking_id=counter, after_s=9),
        Tell(booking_id=counter, other_id=counter),
        Add(booking_id=counter, amount=-9),
    ]
    outcomes = [await send(runtime, command) for command in commands]

    async with asyncio.timeout(HANG_S):
        await runtime.drain()
    assert [type(outcome.error) for outcome in outcomes] == [type(None)] * 3 + [WrongState]
    assert value(await send(runtime, Look(booking_id=counter))) == (2 if deaf == "done" else 1)


async def test_facts_that_cannot_be_loaded_are_a_fault_and_the_actor_goes_on(pool: Pool, committer: Committer) -> None:
    async def fail(asks: Sequence[Ask]) -> list[Known]:
        raise OSError("no database")

    runtime = make_samples_runtime(pool, committer, {Known: fail})
    counter = uuid4()

    assert isinstance((await send(runtime, AddKnown(booking_id=counter))).error, Unavailable)
    assert value(await send(runtime, Add(booking_id=counter))) == 1


async def test_facts_may_refuse(pool: Pool, committer: Committer) -> None:
    async def refuse(asks: Sequence[Ask]) -> list[Any]:
        return [WrongState(status="closed") for _ in asks]

    runtime = make_samples_runtime(pool, committer, {Known: refuse})

    outcome = await send(runtime, AddKnown(booking_id=uuid4()), key="one")

    assert isinstance(outcome.error, WrongState)
    assert await pool.fetchval("SELECT count(*) FROM command_log WHERE refused") == 1
